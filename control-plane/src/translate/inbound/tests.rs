//! Inbound filter chains by protocol and mode.

use weft_proto::names::metadata;

use super::super::fixture::{BUNDLE, key, shop, workload};
use super::super::tests::{decoded, filter};
use super::super::translate;
use super::*;
use crate::model::{InboundPolicy, WorkloadPort};
use crate::translate::Visibility;

/// The chains of `web-1`'s one port, as `transport [protocols] tls? filter`.
fn chains(protocol: AppProtocol, mode: MtlsMode) -> Vec<String> {
    let mut mesh = shop();
    mesh.config.mtls = mode;
    workload(&mut mesh, "web-1").ports[0].protocol = protocol;
    let listener = listener(&mesh);
    let describe = |chain: &FilterChain| {
        let of = chain.filter_chain_match.as_ref().unwrap();
        assert_eq!(of.destination_port, Some(uint32(80)));
        let tls = if chain.transport_socket.is_some() { "mtls" } else { "plain" };
        let protocols = of.application_protocols.join(",");
        format!("{}[{protocols}] {tls} {}", of.transport_protocol, filter(chain).0)
    };
    let declared = listener.filter_chains.iter().filter(|chain| port_of(chain).is_some());
    declared.map(describe).collect()
}

/// `None` of a chain for all ports that nobody declared.
fn port_of(chain: &FilterChain) -> Option<u32> {
    Some(chain.filter_chain_match.as_ref()?.destination_port?.value)
}

fn listener(mesh: &Mesh) -> Listener {
    let set = translate(mesh, BUNDLE);
    set.check().unwrap();
    decoded(&set, ResourceType::Listener, "inbound/shop/web-1")
}

#[test]
fn chains_by_protocol_and_mode() {
    use AppProtocol::{Detect, Http, Tcp};
    use MtlsMode::{Disable, Permissive, Strict};
    const HTTP: &str = "HttpConnectionManager";
    let all = "weft-h2,weft-http/1.1,weft-tcp";
    assert_eq!(chains(Http, Strict), [format!("[] mtls {HTTP}")]);
    assert_eq!(chains(Tcp, Strict), ["[] mtls TcpProxy"]);
    assert_eq!(
        chains(Detect, Strict),
        [format!("[weft-h2,weft-http/1.1] mtls {HTTP}"), "[] mtls TcpProxy".to_owned()]
    );
    assert_eq!(
        chains(Http, Permissive),
        [format!("tls[{all}] mtls {HTTP}"), format!("raw_buffer[] plain {HTTP}")]
    );
    assert_eq!(
        chains(Tcp, Permissive),
        [format!("tls[{all}] mtls TcpProxy"), "raw_buffer[] plain TcpProxy".to_owned()]
    );
    assert_eq!(
        chains(Detect, Permissive),
        [
            format!("tls[weft-h2,weft-http/1.1] mtls {HTTP}"),
            "tls[weft-tcp] mtls TcpProxy".to_owned(),
            format!("raw_buffer[http/1.1,h2c] plain {HTTP}"),
            "raw_buffer[] plain TcpProxy".to_owned(),
        ]
    );
    assert_eq!(chains(Http, Disable), [format!("[] plain {HTTP}")]);
    assert_eq!(
        chains(Detect, Disable),
        [format!("[http/1.1,h2c] plain {HTTP}"), "[] plain TcpProxy".to_owned()]
    );
}

/// Envoy refuses a listener in which two chains match the same.
#[test]
fn no_two_chains_match_the_same() {
    use AppProtocol::{Detect, Http, Tcp};
    let mut mesh = shop();
    let ports = &mut workload(&mut mesh, "web-1").ports;
    let port = |port, protocol| WorkloadPort { name: String::new(), port, protocol };
    *ports = vec![port(1, Http), port(2, Tcp), port(3, Detect), port(1, Tcp)];
    for mode in [MtlsMode::Strict, MtlsMode::Permissive, MtlsMode::Disable] {
        mesh.config.mtls = mode;
        let mut seen = std::collections::HashSet::new();
        for chain in listener(&mesh).filter_chains {
            let of = chain.filter_chain_match.unwrap();
            let port = of.destination_port.map(|port| port.value);
            let protocols = match &of.application_protocols[..] {
                [] => vec![String::new()],
                some => some.to_vec(),
            };
            for protocol in protocols {
                assert!(seen.insert((port, of.transport_protocol.clone(), protocol)), "{mode:?}");
            }
        }
    }
}

#[test]
fn the_policy_of_a_port_decides() {
    let mut mesh = shop();
    mesh.inbound_policies.push(InboundPolicy {
        origin: Default::default(),
        created: 0,
        namespace: "shop".to_owned(),
        selector: [("app".to_owned(), "web".to_owned())].into(),
        ports: vec![80],
        mtls: Some(MtlsMode::Strict),
        default_access: None,
        rate_limits: vec![],
    });
    let chains = |mesh: &Mesh, port: Option<u32>| {
        let chains = listener(mesh).filter_chains;
        chains.iter().filter(|chain| port_of(chain) == port).count()
    };
    assert_eq!(chains(&mesh, Some(80)), 1);
    // HTTP or not, mutual TLS or plaintext.
    assert_eq!(chains(&mesh, None), 4);
    // A policy may speak of a port that the workload does not declare, and of all.
    mesh.inbound_policies[0].ports = vec![9000];
    assert_eq!(chains(&mesh, Some(9000)), 2);
    mesh.inbound_policies[0].ports.clear();
    assert_eq!((chains(&mesh, Some(80)), chains(&mesh, None)), (1, 2));
}

#[test]
fn only_a_sidecar_has_one_and_only_it_may_see_it() {
    let mut mesh = shop();
    let set = translate(&mesh, BUNDLE);
    let own = set.get(ResourceType::Listener, "inbound/shop/web-1").unwrap();
    assert_eq!(own.visibility, Visibility::Workload(key("web-1")));
    assert!(set.get(ResourceType::Listener, "inbound/shop/db-1").is_none());
    workload(&mut mesh, "web-1").ports.clear();
    let listener = listener(&mesh);
    assert_eq!(listener.address, Some(address([127, 66, 0, 1].into(), INTERCEPTED)));
    assert!(listener.filter_chains.iter().all(|chain| port_of(chain).is_none()));
}

#[test]
fn the_collector_is_named_only_if_there_is_one() {
    let mut mesh = shop();
    let metadata = |mesh: &Mesh| listener(mesh).metadata.unwrap().filter_metadata;
    assert!(!metadata(&mesh).contains_key(metadata::TRACING));
    mesh.config.tracing_collector = Some(crate::model::Collector {
        endpoint: "http://localhost:4317".to_owned(),
        ..Default::default()
    });
    let wanted = texts(&[("endpoint", "http://localhost:4317")]);
    assert_eq!(metadata(&mesh)[metadata::TRACING], wanted);
    assert!(metadata(&mesh).contains_key(metadata::SOURCE));
}

#[test]
fn every_port_is_an_address_of_the_listener() {
    let mut mesh = shop();
    let ports = &mut workload(&mut mesh, "web-1").ports;
    ports.push(WorkloadPort { name: String::new(), port: 81, protocol: AppProtocol::Http });
    let listener = listener(&mesh);
    let at = |port| Some(address([127, 66, 0, 1].into(), port));
    assert_eq!(listener.address, at(80));
    assert_eq!(listener.additional_addresses.len(), 1);
    assert_eq!(listener.additional_addresses[0].address, at(81));
}

#[test]
fn the_application_is_on_loopback() {
    let cluster: Cluster =
        decoded(&translate(&shop(), BUNDLE), ResourceType::Cluster, "inbound:8080");
    let assignment = cluster.load_assignment.unwrap();
    let endpoint = &assignment.endpoints[0].lb_endpoints[0];
    let Some(lb_endpoint::HostIdentifier::Endpoint(at)) = &endpoint.host_identifier else {
        panic!()
    };
    assert_eq!(at.address, Some(address([127, 0, 0, 1].into(), 8080)));
}

#[test]
fn a_workload_that_is_somewhere_is_told_where() {
    let mut mesh = shop();
    let place = |mesh: &Mesh| {
        let metadata = listener(mesh).metadata.unwrap();
        metadata.filter_metadata.get(metadata::PLACE).cloned()
    };
    workload(&mut mesh, "web-1").locality = Locality::default();
    assert_eq!(place(&mesh), None);
    let (region, zone) = ("eu".to_owned(), "eu-1a".to_owned());
    workload(&mut mesh, "web-1").locality = Locality { region, zone, sub_zone: String::new() };
    let expected = texts(&[("region", "eu"), ("zone", "eu-1a"), ("sub_zone", "")]);
    assert_eq!(place(&mesh), Some(expected));
}

//! Inbound listeners.

use weft_proto::envoy::listener::FilterChain;
use weft_proto::envoy::tls::DownstreamTlsContext;
use weft_proto::google::{BoolValue, Struct, Value, value};
use weft_proto::names::metadata;

use super::{change, refusal};
use crate::model::{AppProtocol, InboundListener, InboundPort, Locality, MtlsMode};
use crate::xds::fixture::{
    INBOUND, chain, downstream, inbound, inbound_http, on_port, seconds, socket, tcp_filter,
};
use crate::xds::{Change, Kind};

fn found(chains: Vec<FilterChain>) -> InboundListener {
    match change(Kind::Listener, INBOUND, &inbound(chains)) {
        (Change::Inbound(listener), references) => {
            assert_eq!(references, [], "clusters of inbound ports are flags of this proxy");
            listener
        }
        other => panic!("{other:?}"),
    }
}

fn refused(chains: Vec<FilterChain>) -> String {
    refusal(Kind::Listener, INBOUND, &inbound(chains))
}

fn http(port: u16, protocols: &[&str]) -> FilterChain {
    on_port(chain(&inbound_http(port), protocols), port.into(), "", None)
}

fn tcp(port: u16, protocols: &[&str]) -> FilterChain {
    let cluster = format!("inbound:{port}");
    on_port(chain(&tcp_filter(&cluster), protocols), port.into(), "", None)
}

fn secure(mut chain: FilterChain) -> FilterChain {
    chain.transport_socket = Some(socket(&downstream()));
    chain.filter_chain_match.as_mut().unwrap().transport_protocol = "tls".to_owned();
    chain
}

#[test]
fn chains_become_protocol_and_mode_of_each_port() {
    let listener = found(vec![
        secure(http(8080, &["weft-h2", "weft-http/1.1"])),
        secure(tcp(9000, &["weft-tcp"])),
        tcp(9000, &[]),
        http(9001, &[]),
        secure(http(9002, &["weft-h2"])),
        secure(tcp(9002, &[])),
        http(9002, &["http/1.1", "h2c"]),
        tcp(9002, &[]),
    ]);
    let port = |protocol, mtls| InboundPort { protocol, mtls };
    let expected = [
        (8080, port(AppProtocol::Http, MtlsMode::Strict)),
        (9000, port(AppProtocol::Tcp, MtlsMode::Permissive)),
        (9001, port(AppProtocol::Http, MtlsMode::Disable)),
        (9002, port(AppProtocol::Detect, MtlsMode::Permissive)),
    ];
    assert_eq!(listener.ports, expected.into());
    assert_eq!(listener.tracing.sampling, 0.25);
    let collector = listener.tracing.collector.map(|collector| collector.endpoint);
    assert_eq!(collector.as_deref(), Some("http://localhost:4317"));
    assert!(found(vec![]).ports.is_empty(), "all closed");
}

#[test]
fn tls_that_would_let_others_in_is_refused() {
    let with = |spoil: &dyn Fn(&mut DownstreamTlsContext)| {
        let mut context = downstream();
        spoil(&mut context);
        let mut strict = secure(http(8080, &[]));
        strict.transport_socket = Some(socket(&context));
        refused(vec![strict])
    };
    let start = "filter_chains[0].transport_socket.typed_config";
    assert_eq!(
        with(&|c| c.require_client_certificate = Some(BoolValue { value: false })),
        format!(
            "{start}.require_client_certificate: \
             must be true: peers without a certificate are not served over TLS"
        )
    );
    let other = |c: &mut DownstreamTlsContext| {
        let foreign = "spiffe://other/".to_owned();
        let common = c.common_tls_context.as_mut().unwrap();
        let Some(weft_proto::envoy::tls::common_tls_context::ValidationContextType::CombinedValidationContext(combined)) =
            &mut common.validation_context_type
        else {
            panic!("no validation context");
        };
        let context = combined.default_validation_context.as_mut().unwrap();
        let matcher = context.match_typed_subject_alt_names[0].matcher.as_mut().unwrap();
        matcher.match_pattern =
            Some(weft_proto::envoy::matcher::string_matcher::MatchPattern::Prefix(foreign));
    };
    assert_eq!(
        with(&other),
        format!(
            "{start}.common_tls_context.combined_validation_context: \
             match_typed_subject_alt_names must be the one URI prefix spiffe://demo.local/"
        )
    );
    assert_eq!(
        with(&|c| c.session_timeout = seconds(1)),
        format!("{start}.session_timeout: not supported by weft-proxy")
    );
}

#[test]
fn chains_without_a_sense_are_refused() {
    let cases = [
        (
            vec![on_port(chain(&inbound_http(8080), &[]), 0, "", None)],
            "filter_chains[0].filter_chain_match.destination_port: not a port",
        ),
        (
            vec![on_port(chain(&inbound_http(8080), &[]), 8080, "tls", None)],
            "filter_chains[0].filter_chain_match.transport_protocol: \"tls\" is wrong here",
        ),
        (
            vec![http(8080, &["weft-h2"])],
            "filter_chains[0].filter_chain_match.application_protocols: \"weft-h2\" is wrong here",
        ),
        (
            vec![http(8080, &[]), http(8080, &[])],
            "filter_chains[1].filter_chain_match: port 8080 has such a chain",
        ),
        (
            vec![secure(http(8080, &[])), tcp(8080, &[])],
            "filter_chains: port 8080: TLS and plaintext differ in protocol",
        ),
        (
            vec![on_port(chain(&inbound_http(9), &[]), 8080, "", None)],
            "filter_chains[0].filters[0].typed_config.route_config: \
             must send everything to inbound:8080, without changes or limits",
        ),
        (
            vec![on_port(chain(&tcp_filter("inbound:9"), &[]), 8080, "", None)],
            "filter_chains[0].filters[0].typed_config.cluster: \
             must send everything to inbound:8080, without changes or limits",
        ),
    ];
    for (chains, expected) in cases {
        assert_eq!(refused(chains), expected);
    }
}

#[test]
fn limits_and_sampling_that_are_not_honoured_are_refused() {
    let mut filter = inbound_http(8080);
    filter.tracing = None;
    assert_eq!(
        refused(vec![http(9001, &[]), on_port(chain(&filter, &[]), 8080, "", None)]),
        "filter_chains[1].filters[0].typed_config.tracing: must be the same on every port"
    );
    let mut filter = inbound_http(8080);
    if let Some(weft_proto::envoy::hcm::http_connection_manager::RouteSpecifier::RouteConfig(
        table,
    )) = &mut filter.route_specifier
    {
        table.virtual_hosts[0].domains = vec!["a".to_owned()];
    }
    assert_eq!(
        refused(vec![on_port(chain(&filter, &[]), 8080, "", None)]),
        "filter_chains[0].filters[0].typed_config.route_config: \
         must send everything to inbound:8080, without changes or limits"
    );
}

#[test]
fn the_place_of_the_workload_comes_with_its_listener() {
    let place = |fields: &[(&str, &str)]| {
        let mut listener = inbound(vec![http(8080, &[])]);
        let text = |value: &str| Value { kind: Some(value::Kind::StringValue(value.to_owned())) };
        let fields = fields.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect();
        let metadata = listener.metadata.get_or_insert_default();
        metadata.filter_metadata.insert(metadata::PLACE.to_owned(), Struct { fields });
        match change(Kind::Listener, INBOUND, &listener).0 {
            Change::Inbound(listener) => listener.place,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(place(&[("region", ""), ("zone", "")]), None);
    let (region, zone) = ("eu".to_owned(), "eu-1a".to_owned());
    let expected = Locality { region, zone, sub_zone: String::new() };
    assert_eq!(place(&[("region", "eu"), ("zone", "eu-1a"), ("sub_zone", "")]), Some(expected));
}

//! Who stands behind a port.

use super::super::fixture::{add_service, key, route, service, shop, workload};
use super::*;
use crate::model::{AppProtocol, Balancer, InboundPolicy, MtlsMode, TargetPort};

fn endpoints(mesh: &Mesh, name: &str) -> Vec<(String, u16)> {
    let ports = ports(mesh);
    let port = ports.iter().find(|port| port.name == name).expect("the port is there");
    port.endpoints.iter().map(|e| (e.workload.key.name.clone(), e.port)).collect()
}

#[test]
fn endpoints_are_the_selected_workloads_of_the_namespace_in_key_order() {
    let mut mesh = shop();
    let mut stranger = mesh.workloads[&key("product-v1")].clone();
    stranger.key = Key::new("elsewhere", "product-v1");
    mesh.workloads.insert(stranger.key.clone(), stranger);
    assert_eq!(
        endpoints(&mesh, "product.shop:8080"),
        [("product-v1".to_owned(), 8080), ("product-v2".to_owned(), 8080)]
    );
    assert_eq!(endpoints(&mesh, "mail.shop:25"), []);
}

#[test]
fn every_label_of_the_selector_counts_and_an_empty_one_selects_nothing() {
    let mut mesh = shop();
    workload(&mut mesh, "product-v2").labels.insert("version".to_owned(), "v2".to_owned());
    service(&mut mesh, "product").selector.insert("version".to_owned(), "v2".to_owned());
    assert_eq!(endpoints(&mesh, "product.shop:8080"), [("product-v2".to_owned(), 8080)]);
    service(&mut mesh, "product").selector.insert("zone".to_owned(), "a".to_owned());
    assert_eq!(endpoints(&mesh, "product.shop:8080"), []);
    service(&mut mesh, "product").selector.clear();
    assert_eq!(endpoints(&mesh, "product.shop:8080"), []);
}

#[test]
fn a_named_target_is_resolved_workload_by_workload() {
    let mut mesh = shop();
    service(&mut mesh, "product").ports[0].target = TargetPort::Name("api".to_owned());
    workload(&mut mesh, "product-v2").ports[0].name = "api".to_owned();
    workload(&mut mesh, "product-v2").ports[0].port = 9000;
    assert_eq!(endpoints(&mesh, "product.shop:8080"), [("product-v2".to_owned(), 9000)]);
}

#[test]
fn routes_and_policies_belong_to_their_port() {
    let mut mesh = shop();
    mesh.routes.push(route("a", ("web", 80), &[]));
    mesh.routes.push(route("b", ("web", 81), &[]));
    let mut twice = route("c", ("web", 80), &[]);
    twice.parents.push((key("web"), 80));
    mesh.routes.push(twice);
    let policy = TrafficPolicy { balancer: Balancer::Random, ..Default::default() };
    mesh.traffic_policies.insert((key("web"), None), policy);

    let ports = ports(&mesh);
    let web = ports.iter().find(|port| port.name == "web.shop:80").unwrap();
    let routes: Vec<_> = web.routes.iter().map(|route| route.key.name.as_str()).collect();
    assert_eq!(routes, ["a", "c"]);
    assert_eq!(web.policy.unwrap().balancer, Balancer::Random);
    assert!(ports.iter().filter(|port| port.name != "web.shop:80").all(|p| p.routes.is_empty()));
}

#[test]
fn every_service_has_an_address_of_its_own() {
    let mut mesh = shop();
    for number in 0..2000 {
        add_service(&mut mesh, &format!("s{number}"), 80, AppProtocol::Http);
    }
    service(&mut mesh, "web").cluster_ips = vec![[10, 0, 0, 1].into()];
    let addresses: BTreeSet<_> = ports(&mesh).iter().map(|port| port.address).collect();
    assert_eq!(addresses.len(), mesh.services.len());
    assert!(addresses.contains(&IpAddr::from([10, 0, 0, 1])));
}

#[test]
fn an_invented_address_that_is_taken_moves_on() {
    let mut mesh = shop();
    let of_web =
        |mesh: &Mesh| ports(mesh).iter().find(|p| p.name == "web.shop:80").unwrap().address;
    let invented = of_web(&mesh);
    assert_eq!(of_web(&mesh), invented);
    service(&mut mesh, "db").cluster_ips = vec![invented];
    assert_ne!(of_web(&mesh), invented);
}

#[test]
fn identities_are_those_with_a_sidecar_each_once() {
    let mut mesh = shop();
    let ids = |mesh: &Mesh, name: &str| -> Vec<String> {
        let ports = ports(mesh);
        let port = ports.iter().find(|port| port.name == name).unwrap();
        port.identities("td").into_iter().collect()
    };
    assert_eq!(ids(&mesh, "product.shop:8080"), ["spiffe://td/ns/shop/sa/product"]);
    assert!(ids(&mesh, "db.shop:5432").is_empty());
    workload(&mut mesh, "product-v2").service_account = "a".to_owned();
    assert_eq!(
        ids(&mesh, "product.shop:8080"),
        ["spiffe://td/ns/shop/sa/a", "spiffe://td/ns/shop/sa/product"]
    );
}

#[test]
fn what_takes_plaintext_only_is_called_in_plaintext() {
    let mut mesh = shop();
    let ids = |mesh: &Mesh| {
        let ports = ports(mesh);
        let port = ports.iter().find(|port| port.name == "product.shop:8080").unwrap();
        port.identities("td").len()
    };
    assert_eq!(ids(&mesh), 1);
    mesh.config.mtls = MtlsMode::Disable;
    assert_eq!(ids(&mesh), 0);
    mesh.config.mtls = MtlsMode::Strict;
    mesh.inbound_policies.push(InboundPolicy {
        origin: Default::default(),
        created: 0,
        namespace: "shop".to_owned(),
        selector: [("app".to_owned(), "product".to_owned())].into(),
        ports: vec![8080],
        mtls: Some(MtlsMode::Disable),
        default_access: None,
        rate_limits: vec![],
    });
    assert_eq!(ids(&mesh), 0);
}

//! The whole translation: what there is, what refers to what, and what a change touches.

use std::collections::BTreeSet;

use prost::Message as _;
use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::endpoint::ClusterLoadAssignment;
use weft_proto::envoy::listener::filter::ConfigType;
use weft_proto::envoy::listener::{FilterChain, Listener};
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::envoy::route::route::Action;
use weft_proto::envoy::route::route_action::ClusterSpecifier;
use weft_proto::envoy::tls::{Secret, secret};

use super::fixture::{BUNDLE, add_service, key, route, service, shop, workload};
use super::*;
use crate::model::{AppProtocol, Balancer, MtlsMode, TelemetryPolicy, TrafficPolicy};

/// Decodes a resource of the set.
pub(super) fn decoded<M: prost::Message + Default>(
    set: &ResourceSet,
    kind: ResourceType,
    name: &str,
) -> M {
    M::decode(set.get(kind, name).expect("the resource is there").body()).unwrap()
}

/// The one filter of a chain: its short name and configuration.
pub(super) fn filter(chain: &FilterChain) -> (&str, &[u8]) {
    let [filter] = &chain.filters[..] else { panic!("{chain:?}") };
    let Some(ConfigType::TypedConfig(config)) = &filter.config_type else { panic!() };
    (config.type_url.rsplit('.').next().unwrap(), &config.value)
}

fn names(set: &ResourceSet, kind: ResourceType) -> Vec<&str> {
    set.all(kind).map(|resource| &*resource.name).collect()
}

#[test]
fn every_service_port_and_every_workload_has_its_resources() {
    let set = translate(&shop(), BUNDLE);
    let ports = ["db.shop:5432", "mail.shop:25", "product.shop:8080", "web.shop:80"];
    assert_eq!(names(&set, ResourceType::Endpoint), ports);
    let clusters = [
        "db.shop:5432",
        "inbound:0",
        "inbound:80",
        "inbound:8080",
        "mail.shop:25",
        "product.shop:8080",
        "web.shop:80",
    ];
    assert_eq!(names(&set, ResourceType::Cluster), clusters);
    let listeners = [
        "db.shop:5432",
        "inbound/shop/product-v1",
        "inbound/shop/product-v2",
        "inbound/shop/web-1",
        "mail.shop:25",
        "product.shop:8080",
        "web.shop:80",
    ];
    assert_eq!(names(&set, ResourceType::Listener), listeners);
    // No routes for opaque bytes.
    let routes = ["mail.shop:25", "product.shop:8080", "web.shop:80"];
    assert_eq!(names(&set, ResourceType::Route), routes);
    assert_eq!(names(&set, ResourceType::Secret), ["weft:trust-bundle"]);
}

#[test]
fn every_workload_is_a_node_with_its_identity() {
    let set = translate(&shop(), BUNDLE);
    let node = set.node("product-v1.shop").unwrap();
    assert_eq!(node.workload, key("product-v1"));
    assert_eq!(node.identity, "spiffe://demo.local/ns/shop/sa/product");
    assert!(set.node("db-1.shop").is_some());
    assert!(set.node("product.shop").is_none());
}

#[test]
fn the_trust_bundle_is_a_validation_context_and_nothing_else_is_secret() {
    let set = translate(&shop(), BUNDLE);
    let secret: Secret = decoded(&set, ResourceType::Secret, "weft:trust-bundle");
    assert_eq!(secret.name, "weft:trust-bundle");
    let Some(secret::Type::ValidationContext(context)) = secret.r#type else { panic!() };
    let Some(weft_proto::envoy::core::data_source::Specifier::InlineString(pem)) =
        context.trusted_ca.unwrap().specifier
    else {
        panic!()
    };
    assert_eq!(pem, BUNDLE);
}

/// Pitfall 6: metadata maps encode in another order each time; versions must not follow.
#[test]
fn pitfall_6_versions_are_of_the_content_not_of_the_bytes() {
    let mut mesh = shop();
    mesh.config.tracing_collector = Some(crate::model::Collector {
        endpoint: "http://localhost:4317".to_owned(),
        ..Default::default()
    });
    mesh.routes.push(route("r", ("product", 8080), &[("web", 80, 1)]));
    let versions = || -> Vec<_> {
        let set = translate(&mesh, BUNDLE);
        ResourceType::ALL
            .into_iter()
            .flat_map(|kind| set.all(kind).map(|r| (r.name.clone(), r.version)).collect::<Vec<_>>())
            .collect()
    };
    let first = versions();
    for _ in 0..20 {
        assert_eq!(versions(), first);
    }
}

/// What differs between two translations, as `kind name`.
fn changed(before: &Mesh, after: &Mesh) -> BTreeSet<String> {
    let (before, after) = (translate(before, BUNDLE), translate(after, BUNDLE));
    after.check().unwrap();
    let mut changed = BTreeSet::new();
    for kind in ResourceType::ALL {
        let all = before.all(kind).chain(after.all(kind));
        for name in all.map(|resource| &resource.name) {
            let version = |set: &ResourceSet| set.get(kind, name).map(|resource| resource.version);
            if version(&before) != version(&after) {
                changed.insert(format!("{} {name}", kind.plural()));
            }
        }
    }
    changed
}

type Edit = fn(&mut Mesh);

fn tell_of_web(mesh: &mut Mesh) {
    let selector = [("app".to_owned(), "web".to_owned())].into();
    let (namespace, sampling) = ("shop".to_owned(), Some(1.0));
    let policy = TelemetryPolicy { namespace, selector, sampling, ..Default::default() };
    mesh.telemetry_policies.push(policy);
}

#[test]
fn a_change_touches_what_it_must_and_nothing_else() {
    let table: [(Edit, &[&str]); 10] = [
        (|_| {}, &[]),
        (
            |mesh| workload(mesh, "product-v1").address = [127, 66, 0, 77].into(),
            &["endpoints product.shop:8080", "listeners inbound/shop/product-v1"],
        ),
        (
            |mesh| workload(mesh, "product-v1").service_account = "other".to_owned(),
            &["clusters product.shop:8080", "endpoints product.shop:8080"],
        ),
        (tell_of_web, &["listeners inbound/shop/web-1"]),
        (
            |mesh| {
                let policy = TrafficPolicy { balancer: Balancer::Random, ..Default::default() };
                mesh.traffic_policies.insert((key("web"), Some(80)), policy);
            },
            &["clusters web.shop:80"],
        ),
        (
            |mesh| mesh.routes.push(route("r", ("web", 80), &[("product", 8080, 1)])),
            &["routes web.shop:80"],
        ),
        (
            |mesh| service(mesh, "web").cluster_ips = vec![[10, 0, 0, 1].into()],
            &["addresses web.shop:80", "listeners web.shop:80"],
        ),
        (
            |mesh| mesh.config.mtls = MtlsMode::Strict,
            &[
                "listeners inbound/shop/product-v1",
                "listeners inbound/shop/product-v2",
                "listeners inbound/shop/web-1",
            ],
        ),
        (
            |mesh| add_service(mesh, "new", 1, AppProtocol::Http),
            &[
                "clusters new.shop:1",
                "endpoints new.shop:1",
                "listeners new.shop:1",
                "routes new.shop:1",
            ],
        ),
        (
            |mesh| service(mesh, "web").origin.generation = 2,
            &["clusters web.shop:80", "listeners web.shop:80", "routes web.shop:80"],
        ),
    ];
    for (number, (edit, expected)) in table.into_iter().enumerate() {
        let mut mesh = shop();
        edit(&mut mesh);
        let expected: BTreeSet<_> = expected.iter().map(|&text| text.to_owned()).collect();
        assert_eq!(changed(&shop(), &mesh), expected, "edit {number}");
    }
}

#[test]
fn a_set_with_a_hole_is_found_out() {
    let mesh = shop();
    let complete = translate(&mesh, BUNDLE);
    complete.check().unwrap();

    let mut set = ResourceSet::default();
    for port in ports::ports(&mesh) {
        set.insert(listeners::outbound(&port, &mesh.config));
    }
    let dangling = set.check().unwrap_err();
    let missing: Vec<_> = dangling.iter().map(ToString::to_string).collect();
    assert!(
        missing.contains(
            &"Listener web.shop:80 refers to Route web.shop:80, which is missing".to_owned()
        ),
        "{missing:?}"
    );
    assert_eq!(missing.len(), 5, "{missing:?}"); // mail has routes and a cluster
}

/// `check` looks at what the builders noted; this looks at what they wrote.
#[test]
fn what_is_noted_as_referred_to_is_what_the_messages_name() {
    let mut mesh = shop();
    mesh.routes.push(route("split", ("product", 8080), &[("web", 80, 9), ("gone", 1, 1)]));
    let set = translate(&mesh, BUNDLE);
    for resource in set.all(ResourceType::Route) {
        let routes = RouteConfiguration::decode(resource.body()).unwrap();
        let actions = routes.virtual_hosts.into_iter().flat_map(|host| host.routes);
        let named: BTreeSet<String> = actions.flat_map(|route| clusters_of(route.action)).collect();
        let valid = named.into_iter().filter(|name| !name.starts_with("invalid/"));
        let noted: BTreeSet<_> = resource.references.iter().map(|r| r.name.to_string()).collect();
        assert_eq!(noted, valid.collect(), "{resource:?}");
    }
    for resource in set.all(ResourceType::Cluster) {
        let cluster = Cluster::decode(resource.body()).unwrap();
        let service = cluster.eds_cluster_config.map(|config| config.service_name);
        let endpoints = resource.references.iter().find(|r| r.kind == ResourceType::Endpoint);
        assert_eq!(endpoints.map(|reference| reference.name.to_string()), service, "{resource:?}");
    }
    for resource in set.all(ResourceType::Endpoint) {
        let assignment = ClusterLoadAssignment::decode(resource.body()).unwrap();
        assert_eq!(assignment.cluster_name, &*resource.name);
    }
    for resource in set.all(ResourceType::Listener) {
        assert_eq!(Listener::decode(resource.body()).unwrap().name, &*resource.name);
    }
}

fn clusters_of(action: Option<Action>) -> Vec<String> {
    match action {
        Some(Action::Route(action)) => match action.cluster_specifier.unwrap() {
            ClusterSpecifier::Cluster(name) => vec![name],
            ClusterSpecifier::WeightedClusters(clusters) => {
                clusters.clusters.into_iter().map(|cluster| cluster.name).collect()
            }
            other => panic!("{other:?}"),
        },
        _ => vec![],
    }
}

//! Endpoints and what is said of them.

use super::super::fixture::{BUNDLE, shop, workload};
use super::super::tests::decoded;
use super::super::{ResourceType, translate};
use super::*;

fn assignment_of(name: &str) -> ClusterLoadAssignment {
    decoded(&translate(&shop(), BUNDLE), ResourceType::Endpoint, name)
}

#[test]
fn meshed_endpoints_carry_their_identity_and_the_mark_for_mtls() {
    let assignment = assignment_of("product.shop:8080");
    let [group] = &assignment.endpoints[..] else { panic!() };
    assert_eq!(group.locality, None);
    assert_eq!(group.load_balancing_weight, Some(uint32(1)));
    let [first, second] = &group.lb_endpoints[..] else { panic!() };
    let at = |host| {
        let at = Some(address([127, 66, 0, host].into(), 8080));
        Some(lb_endpoint::HostIdentifier::Endpoint(Endpoint { address: at, ..Default::default() }))
    };
    assert_eq!(first.host_identifier, at(2));
    assert_eq!(second.host_identifier, at(3));
    assert_eq!(first.health_status(), HealthStatus::Healthy);
    let metadata = &first.metadata.as_ref().unwrap().filter_metadata;
    let identity = "spiffe://demo.local/ns/shop/sa/product";
    let endpoint = texts(&[("workload", "product-v1.shop"), ("identity", identity)]);
    assert_eq!(metadata[metadata::ENDPOINT], endpoint);
    assert_eq!(metadata[metadata::TRANSPORT_SOCKET_MATCH], texts(&[("mesh", "true")]));
}

#[test]
fn others_are_dialled_in_plaintext() {
    let assignment = assignment_of("db.shop:5432");
    let endpoint = &assignment.endpoints[0].lb_endpoints[0];
    let metadata = &endpoint.metadata.as_ref().unwrap().filter_metadata;
    assert_eq!(metadata[metadata::ENDPOINT], texts(&[("workload", "db-1.shop"), ("identity", "")]));
    assert!(!metadata.contains_key(metadata::TRANSPORT_SOCKET_MATCH));
}

#[test]
fn pitfall_3_without_endpoints_the_assignment_is_empty_not_missing() {
    let assignment = assignment_of("mail.shop:25");
    assert_eq!(assignment.cluster_name, "mail.shop:25");
    assert!(assignment.endpoints.is_empty());
}

#[test]
fn localities_are_groups_and_who_drains_says_so() {
    let mut mesh = shop();
    let place =
        |zone: &str| Locality { region: "eu".into(), zone: zone.into(), ..Default::default() };
    workload(&mut mesh, "product-v1").locality = place("b");
    workload(&mut mesh, "product-v2").locality = place("a");
    workload(&mut mesh, "product-v2").draining = true;
    let set = translate(&mesh, BUNDLE);
    let assignment: ClusterLoadAssignment =
        decoded(&set, ResourceType::Endpoint, "product.shop:8080");
    let [near, far] = &assignment.endpoints[..] else { panic!() };
    let zone = |group: &LocalityLbEndpoints| group.locality.as_ref().unwrap().zone.clone();
    assert_eq!((zone(near), zone(far)), ("a".to_owned(), "b".to_owned()));
    assert_eq!(near.lb_endpoints[0].health_status(), HealthStatus::Draining);
    assert_eq!(far.lb_endpoints[0].health_status(), HealthStatus::Healthy);
    assert!(assignment.endpoints.iter().all(|group| group.priority == 0));
}

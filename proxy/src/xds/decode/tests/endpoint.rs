//! Endpoints.

use weft_proto::envoy::core::{HealthStatus, Locality};
use weft_proto::envoy::endpoint::{LbEndpoint, lb_endpoint::HostIdentifier};
use weft_proto::names::metadata as keys;

use super::{change, refusal};
use crate::model::{EndpointSpec, EndpointsSpec};
use crate::xds::fixture::{address, endpoint, endpoints, fields, metadata, number};
use crate::xds::{Change, Kind};

const PRODUCT: &str = "spiffe://demo.local/ns/shop/sa/product";

fn found(list: Vec<LbEndpoint>) -> Vec<EndpointSpec> {
    match change(Kind::Endpoints, "a", &endpoints("a", list)) {
        (Change::Endpoints(EndpointsSpec { cluster, endpoints }), references) => {
            assert_eq!((cluster.as_str(), references), ("a", vec![]));
            endpoints.into_iter().map(|placed| placed.spec).collect()
        }
        other => panic!("{other:?}"),
    }
}

fn refused(spoil: impl FnOnce(&mut LbEndpoint)) -> String {
    let mut one = endpoint("10.0.0.1", PRODUCT);
    spoil(&mut one);
    refusal(Kind::Endpoints, "a", &endpoints("a", vec![endpoint("10.0.0.2", ""), one]))
}

fn at(endpoint: &mut LbEndpoint) -> &mut weft_proto::envoy::endpoint::Endpoint {
    match &mut endpoint.host_identifier {
        Some(HostIdentifier::Endpoint(inner)) => inner,
        other => panic!("{other:?}"),
    }
}

#[test]
fn meshed_and_plain_endpoints_in_the_order_sent() {
    let mut heavy = endpoint("fd00::7", "");
    heavy.load_balancing_weight = number(3);
    let list = found(vec![endpoint("10.0.0.1", PRODUCT), heavy]);
    let expected = [
        EndpointSpec {
            address: "10.0.0.1:8080".parse().unwrap(),
            workload: "product-v1.shop".to_owned(),
            identity: Some(PRODUCT.parse().unwrap()),
            weight: 1,
        },
        EndpointSpec {
            address: "[fd00::7]:8080".parse().unwrap(),
            workload: "product-v1.shop".to_owned(),
            identity: None,
            weight: 3,
        },
    ];
    assert_eq!(list, expected);
}

#[test]
fn no_endpoints_are_no_error() {
    assert_eq!(found(vec![]), []);
    let mut empty = endpoints("a", vec![]);
    empty.endpoints.clear();
    assert!(matches!(change(Kind::Endpoints, "a", &empty).0, Change::Endpoints(_)));
}

#[test]
fn endpoints_that_must_not_be_used_are_left_out() {
    let with = |status: HealthStatus| {
        let mut one = endpoint("10.0.0.1", PRODUCT);
        one.health_status = status as i32;
        found(vec![one]).len()
    };
    assert_eq!((with(HealthStatus::Unknown), with(HealthStatus::Healthy)), (1, 1));
    assert_eq!((with(HealthStatus::Timeout), with(HealthStatus::Unhealthy)), (0, 0));
}

#[test]
fn endpoints_have_their_place_and_may_be_draining() {
    let mut leaving = endpoint("10.0.0.2", PRODUCT);
    leaving.health_status = HealthStatus::Draining as i32;
    let mut message = endpoints("a", vec![endpoint("10.0.0.1", PRODUCT), leaving]);
    let mut far = message.endpoints[0].clone();
    far.lb_endpoints.truncate(1);
    let there = Locality { region: "eu".into(), zone: "a".into(), sub_zone: "1".into() };
    far.locality = Some(there.clone());
    message.endpoints.push(far);
    let Change::Endpoints(found) = change(Kind::Endpoints, "a", &message).0 else { panic!() };
    let draining: Vec<_> = found.endpoints.iter().map(|placed| placed.draining).collect();
    assert_eq!(draining, [false, true, false]);
    assert_eq!(found.endpoints[0].locality, crate::model::Locality::default());
    let Locality { region, zone, sub_zone } = there;
    assert_eq!(found.endpoints[2].locality, crate::model::Locality { region, zone, sub_zone });
    message.endpoints[1].priority = 1;
    assert_eq!(
        refusal(Kind::Endpoints, "a", &message),
        "endpoints[1].priority: not supported by weft-proxy"
    );
}

#[test]
fn a_mesh_endpoint_is_never_taken_for_a_plain_one() {
    let identity_only = fields([("workload", "w"), ("identity", PRODUCT)]);
    assert_eq!(
        refused(|one| one.metadata = metadata([(keys::ENDPOINT, identity_only)])),
        "endpoints[0].lb_endpoints[1].metadata.envoy.transport_socket_match: \
         an endpoint with an identity must have `mesh: \"true\"`"
    );
    let mesh = fields([("mesh", "true")]);
    assert_eq!(
        refused(|one| one.metadata = metadata([(keys::TRANSPORT_SOCKET_MATCH, mesh)])),
        "endpoints[0].lb_endpoints[1].metadata.weft.endpoint: a mesh endpoint without an identity"
    );
    let foreign = endpoint("10.0.0.1", "spiffe://evil/ns/shop/sa/product").metadata;
    assert_eq!(
        refused(|one| one.metadata = foreign),
        "endpoints[0].lb_endpoints[1].metadata.weft.endpoint: identity: \
         spiffe://evil/ns/shop/sa/product is not in the trust domain demo.local"
    );
}

#[test]
fn what_is_not_honoured_is_named() {
    let start = "endpoints[0].lb_endpoints[1]";
    let cases: [(&str, String); 6] = [
        (".health_status: not supported by weft-proxy", refused(|one| one.health_status = 5)),
        (
            ".load_balancing_weight: 0 is not allowed",
            refused(|one| one.load_balancing_weight = number(0)),
        ),
        (
            ".endpoint.hostname: not supported by weft-proxy",
            refused(|one| at(one).hostname = "h".to_owned()),
        ),
        (
            ".endpoint.address.socket_address.address: \"localhost\" is not an IP address",
            refused(|one| at(one).address = address("localhost", 1)),
        ),
        (
            ".endpoint.address.socket_address.port_value: not a port",
            refused(|one| at(one).address = address("10.0.0.1", 65_536)),
        ),
        (".endpoint: missing", refused(|one| one.host_identifier = None)),
    ];
    for (expected, found) in cases {
        assert_eq!(found, format!("{start}{expected}"));
    }
    let mut failover = endpoints("a", vec![]);
    failover.endpoints[0].priority = 1;
    assert_eq!(
        refusal(Kind::Endpoints, "a", &failover),
        "endpoints[0].priority: not supported by weft-proxy"
    );
    let mut policy = endpoints("a", vec![]);
    policy.policy = Some(weft_proto::envoy::endpoint::cluster_load_assignment::Policy {
        weighted_priority_health: true,
        ..Default::default()
    });
    assert_eq!(refusal(Kind::Endpoints, "a", &policy), "policy: not supported by weft-proxy");
}

//! Paths, and the names of fields that are left over.

use weft_proto::envoy::{cluster, core, hcm};
use weft_proto::google::{BoolValue, UInt32Value};

use super::{At, Reject, each, nothing_else};

#[test]
fn a_path_grows_from_the_inside_out() {
    let inner: Result<(), _> = Err(Reject::new("safe_regex", "no"));
    let outer = inner.at("match").at(format_args!("routes[{}]", 2)).unwrap_err();
    assert_eq!(outer.to_string(), "routes[2].match.safe_regex: no");
    let whole: Result<(), _> = Err(Reject::new("", "malformed"));
    assert_eq!(whole.clone().unwrap_err().to_string(), "malformed");
    assert_eq!(whole.at("secret").unwrap_err().to_string(), "secret: malformed");
    let second = each("a", vec![0, 1], |i| if i == 0 { Ok(()) } else { Err(Reject::new("", "b")) });
    assert_eq!(second.unwrap_err().to_string(), "a[1]: b");
}

#[test]
fn nothing_left_is_fine() {
    assert_eq!(nothing_else(&cluster::Cluster::default()), Ok(()));
}

#[test]
fn what_is_left_is_named_whatever_its_type() {
    let left = |m: cluster::Cluster| nothing_else(&m).unwrap_err().to_string();
    let default = cluster::Cluster::default;
    assert_eq!(
        left(cluster::Cluster { lb_policy: 3, ..default() }),
        "lb_policy: not supported by weft-proxy"
    );
    let health = vec![core::HealthCheck::default()];
    let sockets = vec![cluster::cluster::TransportSocketMatch {
        name: "}\n    name: \"x".to_owned(),
        ..Default::default()
    }];
    assert_eq!(
        left(cluster::Cluster { health_checks: health, ..default() }),
        "health_checks: not supported by weft-proxy"
    );
    assert_eq!(
        left(cluster::Cluster { transport_socket_matches: sockets, ..default() }),
        "transport_socket_matches: not supported by weft-proxy"
    );
    assert_eq!(
        left(cluster::Cluster { wait_for_warm_on_init: Some(BoolValue::default()), ..default() }),
        "wait_for_warm_on_init: not supported by weft-proxy"
    );
    let filter = hcm::HttpConnectionManager {
        max_request_headers_kb: Some(UInt32Value { value: 7 }),
        ..Default::default()
    };
    assert_eq!(
        nothing_else(&filter).unwrap_err().to_string(),
        "max_request_headers_kb: not supported by weft-proxy"
    );
}

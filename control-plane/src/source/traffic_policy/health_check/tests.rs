//! `healthCheck`: defaults, bounds, and what is wrong with it.

use std::time::Duration;

use crate::model::{HealthCheck, Key, Probe};
use crate::source::testing::{beside_shop, object};

fn read(fields: &str) -> (Option<HealthCheck>, Vec<String>) {
    let spec = format!("{{targetRefs: [{{kind: Service, name: web}}], healthCheck: {{{fields}}}}}");
    let (mesh, findings) = beside_shop(&object("TrafficPolicy", "p", &spec));
    let policy = mesh.traffic_policy(&Key::new("shop", "web"), 80);
    (policy.and_then(|policy| policy.health_check.clone()), findings)
}

#[test]
fn what_is_written_and_what_is_not() {
    let (check, findings) = read("http: {path: /healthz}");
    assert!(findings.is_empty(), "{findings:?}");
    let probe = Probe::Http { path: "/healthz".into(), host: None, expected: vec![200] };
    let default = HealthCheck {
        probe,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        healthy_threshold: 3,
        unhealthy_threshold: 3,
    };
    assert_eq!(check, Some(default.clone()));
    let (check, _) = read(
        "http: {path: '/x?y', host: a.b, expectedStatuses: [200, 204]}, interval: 5s, \
         timeout: 500ms, healthyThreshold: 1, unhealthyThreshold: 2",
    );
    let expected = vec![200, 204];
    let written = HealthCheck {
        probe: Probe::Http { path: "/x?y".into(), host: Some("a.b".into()), expected },
        interval: Duration::from_secs(5),
        timeout: Duration::from_millis(500),
        healthy_threshold: 1,
        unhealthy_threshold: 2,
    };
    assert_eq!(check, Some(written));
    let probe = |fields: &str| read(fields).0.unwrap().probe;
    assert_eq!(probe("grpc: {}"), Probe::Grpc(String::new()));
    assert_eq!(probe("grpc: {service: shop.v1.Product}"), Probe::Grpc("shop.v1.Product".into()));
    assert_eq!(probe("tcp: {}"), Probe::Tcp);
}

#[test]
fn what_is_wrong_is_told_at_its_field() {
    for (fields, field) in [
        ("interval: 5s", ""),
        ("http: {path: /}, tcp: {}", ""),
        ("http: {path: x}", ".http.path"),
        ("http: {path: '/a b'}", ".http.path"),
        ("http: {path: /, host: 'a b'}", ".http.host"),
        ("http: {path: /, expectedStatuses: []}", ".http.expectedStatuses"),
        ("http: {path: /, expectedStatuses: [200, 600]}", ".http.expectedStatuses[1]"),
        ("grpc: {service: 'a b'}", ".grpc.service"),
        ("tcp: {}, interval: 1ms", ".interval"),
        ("tcp: {}, timeout: 0s", ".timeout"),
        ("tcp: {}, healthyThreshold: 0", ".healthyThreshold"),
        ("tcp: {}, unhealthyThreshold: 1000", ".unhealthyThreshold"),
        ("tcp: {port: 1}", ".tcp.port"),
    ] {
        let (check, findings) = read(fields);
        assert_eq!(findings, [format!("WEFT0205 spec.healthCheck{field}")], "{fields}");
        assert_eq!(check, None);
    }
}

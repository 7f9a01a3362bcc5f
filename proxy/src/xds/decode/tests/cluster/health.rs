//! Clusters: active health checks.

use std::time::Duration;

use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::core::HealthCheck;
use weft_proto::envoy::core::health_check::{
    GrpcHealthCheck, HealthChecker, HttpHealthCheck, TcpHealthCheck,
};
use weft_proto::envoy::types::Int64Range;

use super::super::refusal;
use super::found;
use crate::model::{self, Probe};
use crate::xds::Kind;
use crate::xds::fixture::{cluster, number, seconds};

fn http_check(spoil: impl FnOnce(&mut HealthCheck, &mut HttpHealthCheck)) -> Cluster {
    let mut http = HttpHealthCheck {
        path: "/healthz".into(),
        expected_statuses: vec![Int64Range { start: 200, end: 205 }],
        retriable_statuses: vec![Int64Range { start: 100, end: 600 }],
        ..Default::default()
    };
    let mut check = HealthCheck {
        interval: seconds(30),
        no_traffic_interval: seconds(30),
        timeout: seconds(10),
        interval_jitter_percent: 10,
        healthy_threshold: number(2),
        unhealthy_threshold: number(3),
        ..HealthCheck::default()
    };
    spoil(&mut check, &mut http);
    check.health_checker.get_or_insert(HealthChecker::HttpHealthCheck(http));
    let mut message = cluster("a");
    message.health_checks = vec![check];
    message
}

#[test]
fn health_checks() {
    let expected = model::HealthCheck {
        probe: Probe::Http {
            path: "/healthz".parse().unwrap(),
            host: String::new(),
            expected: vec![200..=204],
        },
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(10),
        healthy_threshold: 2,
        unhealthy_threshold: 3,
    };
    assert_eq!(found(&http_check(|_, _| {})).health_check.as_deref(), Some(&expected));
    let grpc = GrpcHealthCheck { service_name: "s".into(), ..Default::default() };
    let grpc =
        http_check(|check, _| check.health_checker = Some(HealthChecker::GrpcHealthCheck(grpc)));
    assert_eq!(
        found(&grpc).health_check.unwrap().probe.clone(),
        Probe::Grpc { service: "s".into() }
    );
    let tcp = HealthChecker::TcpHealthCheck(TcpHealthCheck::default());
    let tcp = http_check(|check, _| check.health_checker = Some(tcp));
    assert_eq!(found(&tcp).health_check.unwrap().probe.clone(), Probe::Tcp);
    for (message, reason) in [
        (http_check(|check, _| check.timeout = None), "timeout: missing or too short"),
        (
            http_check(|check, _| check.healthy_threshold = None),
            "healthy_threshold: must be at least 1",
        ),
        (
            http_check(|check, _| check.no_traffic_interval = seconds(60)),
            "no_traffic_interval: not supported by weft-proxy",
        ),
        (
            http_check(|check, _| check.alt_port = number(1)),
            "alt_port: not supported by weft-proxy",
        ),
        (
            http_check(|_, http| http.path = "x".into()),
            "http_health_check.path: \"x\" is not a path",
        ),
        (
            http_check(|_, http| http.expected_statuses[0].end = 200),
            "http_health_check.expected_statuses[0]: 200 to 200 is no range",
        ),
        (
            http_check(|_, http| http.method = 3),
            "http_health_check.method: not supported by weft-proxy",
        ),
    ] {
        assert_eq!(refusal(Kind::Cluster, "a", &message), format!("health_checks[0].{reason}"));
    }
}

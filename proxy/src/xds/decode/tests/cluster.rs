//! Clusters.

mod balancing;
mod health;

use std::time::Duration;

use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::cluster::cluster::ClusterDiscoveryType;
use weft_proto::envoy::core::HealthCheck;
use weft_proto::envoy::lb::least_request::v3::LeastRequest;
use weft_proto::envoy::lb::random::v3::Random;
use weft_proto::envoy::lb::round_robin::v3::RoundRobin;
use weft_proto::envoy::types::Percent;
use weft_proto::google::{Any, BoolValue, Struct, Value, value};
use weft_proto::names::metadata as keys;

use super::{change, refusal};
use crate::model::{
    self, Balancer, BudgetSpec, ClusterSpec, FailurePercentage, LimitsSpec, OutlierSpec,
};
use crate::xds::fixture::{
    any, cluster, downstream, fields, number, origin, peak_ewma, policy, seconds, socket, upstream,
};
use crate::xds::{Change, Kind};

const DEFAULT_RTT: Duration = Duration::from_millis(30);

fn found(message: &Cluster) -> ClusterSpec {
    match change(Kind::Cluster, "a", message) {
        (Change::Cluster(spec), references) => {
            assert_eq!(references, [(Kind::Endpoints, "a".to_owned())]);
            spec
        }
        other => panic!("{other:?}"),
    }
}

fn refused(spoil: impl FnOnce(&mut Cluster)) -> String {
    let mut message = cluster("a");
    spoil(&mut message);
    refusal(Kind::Cluster, "a", &message)
}

#[test]
fn a_whole_cluster() {
    let expected = ClusterSpec {
        name: "a".to_owned(),
        origin: origin(),
        connect_timeout: Duration::from_secs(1),
        balancer: Balancer::PeakEwma(model::PeakEwma {
            decay: Duration::from_secs(5),
            default_rtt: DEFAULT_RTT,
        }),
        prefer_local: false,
        slow_start: None,
        health_check: None,
        limits: LimitsSpec::default(),
        outlier: OutlierSpec {
            consecutive_failures: 5,
            base_ejection: Duration::from_secs(10),
            max_ejected_percent: 50,
            ..OutlierSpec::default()
        },
        budget: BudgetSpec { percent: 30, min_per_second: 4 },
    };
    assert_eq!(found(&cluster("a")), expected);
}

#[test]
fn a_bare_cluster_has_the_documented_defaults() {
    let full = cluster("a");
    let bare = Cluster {
        name: full.name,
        cluster_discovery_type: full.cluster_discovery_type,
        eds_cluster_config: full.eds_cluster_config,
        ..Cluster::default()
    };
    let spec = found(&bare);
    assert_eq!(spec.origin.name, "a");
    assert_eq!(spec.connect_timeout, Duration::from_secs(5));
    assert_eq!(spec.balancer, Balancer::RoundRobin);
    assert_eq!(spec.outlier.consecutive_failures, 0, "nothing is ever ejected");
    assert_eq!(spec.budget, BudgetSpec { percent: 20, min_per_second: 10 });
}

#[test]
fn the_first_policy_that_is_known_counts() {
    let stranger = Any { type_url: "x/acme.Magic".to_owned(), value: vec![1] };
    let with = |configs: Vec<Any>| {
        let mut message = cluster("a");
        message.load_balancing_policy.as_mut().unwrap().policies =
            configs.into_iter().map(policy).collect();
        message
    };
    let balancer = |configs| found(&with(configs)).balancer;
    assert_eq!(
        balancer(vec![stranger.clone(), any(&Random::default()), peak_ewma()]),
        Balancer::Random
    );
    assert_eq!(balancer(vec![any(&RoundRobin::default())]), Balancer::RoundRobin);
    let two = LeastRequest { choice_count: number(2), ..Default::default() };
    assert_eq!(balancer(vec![any(&two)]), Balancer::LeastRequest);
    let three = LeastRequest { choice_count: number(3), ..Default::default() };
    assert_eq!(
        refusal(Kind::Cluster, "a", &with(vec![stranger.clone(), any(&three)])),
        "load_balancing_policy.policies[1].typed_extension_config.typed_config.choice_count: \
         not supported by weft-proxy"
    );
    assert_eq!(
        refusal(Kind::Cluster, "a", &with(vec![stranger])),
        "load_balancing_policy.policies: none of [acme.Magic] is supported"
    );
}

#[test]
fn ejection_can_be_switched_off() {
    let mut message = cluster("a");
    message.outlier_detection.as_mut().unwrap().enforcing_consecutive_5xx = number(0);
    assert_eq!(found(&message).outlier.consecutive_failures, 0);
    assert_eq!(
        refused(|m| m.outlier_detection.as_mut().unwrap().enforcing_consecutive_5xx = number(50)),
        "outlier_detection.enforcing_consecutive_5xx: 50: only 0 and 100 are supported"
    );
    assert_eq!(
        refused(|m| m.outlier_detection.as_mut().unwrap().enforcing_success_rate = number(100)),
        "outlier_detection.enforcing_success_rate: not supported by weft-proxy"
    );
}

#[test]
fn limits_are_thresholds_and_metadata() {
    let mut message = cluster("a");
    let thresholds = &mut message.circuit_breakers.as_mut().unwrap().thresholds[0];
    thresholds.max_connections = number(4);
    thresholds.max_pending_requests = number(1);
    thresholds.max_requests = number(3);
    thresholds.max_retries = number(2);
    let limits = LimitsSpec {
        connections: Some(4),
        pending: 1,
        pending_timeout: Duration::from_millis(50),
        requests: Some(3),
        retries: Some(2),
    };
    assert_eq!(found(&message).limits, limits);
    let with = |value: f64| {
        let number = Value { kind: Some(value::Kind::NumberValue(value)) };
        let names = ["pending_requests", "pending_timeout_ms"];
        let queue = names.map(|name| (name.to_owned(), number.clone())).into();
        let mut message = message.clone();
        let metadata = message.metadata.as_mut().unwrap();
        metadata.filter_metadata.insert(keys::LIMITS.to_owned(), Struct { fields: queue });
        message
    };
    let timeout = Duration::from_millis(7);
    assert_eq!(
        found(&with(7.0)).limits,
        LimitsSpec { pending: 7, pending_timeout: timeout, ..limits }
    );
    assert_eq!(
        refusal(Kind::Cluster, "a", &with(0.5)),
        "metadata.weft.limits.pending_requests: must be a whole number"
    );
}

#[test]
fn every_kind_of_ejection_that_envoy_has_is_read() {
    let mut message = cluster("a");
    let outlier = message.outlier_detection.as_mut().unwrap();
    outlier.consecutive_gateway_failure = number(2);
    outlier.enforcing_consecutive_gateway_failure = number(100);
    outlier.consecutive_local_origin_failure = number(3);
    outlier.interval = seconds(4);
    outlier.max_ejection_time = seconds(60);
    outlier.max_ejection_time_jitter = seconds(1);
    outlier.failure_percentage_threshold = number(30);
    outlier.failure_percentage_request_volume = number(6);
    outlier.enforcing_failure_percentage = number(100);
    let expected = OutlierSpec {
        consecutive_failures: 5,
        consecutive_gateway: 2,
        consecutive_local: None,
        failure_percentage: Some(FailurePercentage {
            threshold: 30,
            minimum: 6,
            window: Duration::from_secs(4),
        }),
        base_ejection: Duration::from_secs(10),
        max_ejection: Duration::from_secs(60),
        jitter: Duration::from_secs(1),
        max_ejected_percent: 50,
    };
    assert_eq!(found(&message).outlier, expected);
    message.outlier_detection.as_mut().unwrap().split_external_local_origin_errors = true;
    assert_eq!(found(&message).outlier, OutlierSpec { consecutive_local: Some(3), ..expected });
}

#[test]
fn what_is_not_honoured_is_named() {
    let breaker = |m: &mut Cluster| m.circuit_breakers.clone().unwrap().thresholds[0];
    let cases: [(&str, String); 12] = [
        (
            "type: only EDS is supported",
            refused(|m| m.cluster_discovery_type = Some(ClusterDiscoveryType::Type(0))),
        ),
        (
            "eds_cluster_config.service_name: must be the cluster's own name",
            refused(|m| m.eds_cluster_config.as_mut().unwrap().service_name = "b".to_owned()),
        ),
        (
            "eds_cluster_config.eds_config: missing",
            refused(|m| m.eds_cluster_config.as_mut().unwrap().eds_config = None),
        ),
        ("connect_timeout: 0 is not allowed", refused(|m| m.connect_timeout = seconds(0))),
        ("connect_timeout: -1s 0ns is out of range", refused(|m| m.connect_timeout = seconds(-1))),
        (
            "health_checks[0].interval: missing or too short",
            refused(|m| m.health_checks.push(HealthCheck::default())),
        ),
        (
            "circuit_breakers.thresholds[0].max_connections: 0 is not supported by weft-proxy",
            refused(|m| {
                m.circuit_breakers.as_mut().unwrap().thresholds[0].max_connections = number(0)
            }),
        ),
        (
            "circuit_breakers.thresholds[0].max_connection_pools: not supported by weft-proxy",
            refused(|m| {
                m.circuit_breakers.as_mut().unwrap().thresholds[0].max_connection_pools = number(9)
            }),
        ),
        (
            "circuit_breakers.thresholds[1]: only one priority is supported",
            refused(|m| {
                let more = breaker(m);
                m.circuit_breakers.as_mut().unwrap().thresholds.push(more);
            }),
        ),
        (
            "circuit_breakers.thresholds[0].retry_budget.budget_percent: \
             12.5 is not a whole number from 0 to 100",
            refused(|m| {
                let thresholds = &mut m.circuit_breakers.as_mut().unwrap().thresholds[0];
                let budget = thresholds.retry_budget.as_mut().unwrap();
                budget.budget_percent = Some(Percent { value: 12.5 });
            }),
        ),
        ("lb_policy: contradicts `load_balancing_policy`", refused(|m| m.lb_policy = 3)),
        (
            "typed_extension_protocol_options.acme: not supported by weft-proxy",
            refused(|m| {
                m.typed_extension_protocol_options.insert("acme".to_owned(), Any::default());
                m.typed_extension_protocol_options.retain(|key, _| key == "acme");
            }),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, expected);
    }
}

#[test]
fn only_the_mesh_kind_of_tls_is_taken() {
    let with = |spoil: &dyn Fn(&mut weft_proto::envoy::tls::UpstreamTlsContext)| {
        let mut context = upstream();
        spoil(&mut context);
        refused(|m| m.transport_socket_matches[0].transport_socket = Some(socket(&context)))
    };
    let start = "transport_socket_matches[0].transport_socket.typed_config";
    let cases: [(&str, String); 4] = [
        (".sni: not supported by weft-proxy", with(&|c| c.sni = "x".to_owned())),
        (
            ".common_tls_context.alpn_protocols: \"h2\" is not a mesh protocol",
            with(&|c| {
                c.common_tls_context.as_mut().unwrap().alpn_protocols.push("h2".to_owned());
            }),
        ),
        (
            ".common_tls_context.tls_certificate_sds_secret_configs: must be one",
            with(&|c| {
                let common = c.common_tls_context.as_mut().unwrap();
                common.tls_certificate_sds_secret_configs.clear();
            }),
        ),
        (
            ".common_tls_context.validation_context_type: \
             only `combined_validation_context` is supported",
            with(&|c| c.common_tls_context.as_mut().unwrap().validation_context_type = None),
        ),
    ];
    for (expected, found) in cases {
        assert_eq!(found, format!("{start}{expected}"));
    }
    assert_eq!(
        refused(|m| m.transport_socket_matches[0].transport_socket = Some(socket(&downstream()))),
        "transport_socket_matches[0].transport_socket.typed_config: \
         envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext is not supported"
    );
    assert_eq!(
        refused(|m| m.transport_socket_matches[0].r#match = Some(fields([("mesh", "maybe")]))),
        "transport_socket_matches[0].match: only `mesh: \"true\"` and the empty match are supported"
    );
    assert_eq!(
        refused(|m| m.transport_socket_matches[1].transport_socket = Some(socket(&upstream()))),
        "transport_socket_matches[1].transport_socket.typed_config: only raw_buffer is supported here"
    );
    assert_eq!(
        refused(|m| m.wait_for_warm_on_init = Some(BoolValue { value: false })),
        "wait_for_warm_on_init: not supported by weft-proxy"
    );
}

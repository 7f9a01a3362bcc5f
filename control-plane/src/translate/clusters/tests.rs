//! Clusters and their policies.

use prost::Message as _;
use weft_proto::envoy::cluster::load_balancing_policy;
use weft_proto::envoy::core::health_check::HealthChecker;
use weft_proto::envoy::core::transport_socket::ConfigType;
use weft_proto::envoy::lb::ring_hash::v3::RingHash;
use weft_proto::envoy::matcher::string_matcher::MatchPattern;
use weft_proto::envoy::route::route_action::HashPolicy;
use weft_proto::envoy::route::route_action::hash_policy::PolicySpecifier;
use weft_proto::envoy::tls::UpstreamTlsContext;
use weft_proto::envoy::tls::common_tls_context::ValidationContextType;
use weft_proto::google::value;

use super::super::fixture::{BUNDLE, key, shop, workload};
use super::super::tests::decoded;
use super::super::translate;
use super::super::value::uint32;
use super::*;
use crate::model::{
    self, Balancer, FailurePercentage, HashOn, Limits, Mesh, RetryBudget, RetryPolicy,
    TrafficPolicy,
};

fn cluster_of(mesh: &Mesh, name: &str) -> Cluster {
    decoded(&translate(mesh, BUNDLE), ResourceType::Cluster, name)
}

fn under(policy: TrafficPolicy) -> Cluster {
    let mut mesh = shop();
    mesh.traffic_policies.insert((key("product"), None), policy);
    cluster_of(&mesh, "product.shop:8080")
}

fn policies(cluster: &Cluster) -> Vec<&str> {
    let list = &cluster.load_balancing_policy.as_ref().unwrap().policies;
    let config = |policy: &'_ load_balancing_policy::Policy| {
        policy
            .typed_extension_config
            .as_ref()
            .unwrap()
            .typed_config
            .as_ref()
            .unwrap()
            .type_url
            .len()
    };
    assert!(list.iter().all(|policy| config(policy) > 0));
    list.iter().map(|p| p.typed_extension_config.as_ref().unwrap().name.as_str()).collect()
}

/// Expected names and ALPN of the mesh socket.
fn mesh_tls(cluster: &Cluster) -> (Vec<String>, Vec<String>) {
    let [mesh, plaintext] = &cluster.transport_socket_matches[..] else { panic!() };
    assert_eq!((mesh.name.as_str(), plaintext.name.as_str()), ("mesh", "plaintext"));
    assert_eq!(mesh.r#match, Some(texts(&[("mesh", "true")])));
    assert_eq!(plaintext.r#match, Some(Struct::default()));
    let Some(ConfigType::TypedConfig(any)) = &mesh.transport_socket.as_ref().unwrap().config_type
    else {
        panic!()
    };
    let context = UpstreamTlsContext::decode(&*any.value).unwrap().common_tls_context.unwrap();
    assert_eq!(context.tls_certificate_sds_secret_configs[0].name, "weft:leaf");
    let Some(ValidationContextType::CombinedValidationContext(combined)) =
        context.validation_context_type
    else {
        panic!()
    };
    let bundle = combined.validation_context_sds_secret_config.unwrap();
    assert_eq!(bundle.name, "weft:trust-bundle");
    assert!(bundle.sds_config.is_some());
    let names = combined.default_validation_context.unwrap().match_typed_subject_alt_names;
    let exact = names.into_iter().map(|name| match name.matcher.unwrap().match_pattern {
        Some(MatchPattern::Exact(uri)) => uri,
        other => panic!("{other:?}"),
    });
    (exact.collect(), context.alpn_protocols)
}

#[test]
fn defaults() {
    let cluster = cluster_of(&shop(), "product.shop:8080");
    assert_eq!(cluster.connect_timeout, Some(duration(Duration::from_secs(5))));
    assert_eq!(
        policies(&cluster),
        ["weft.load_balancing_policies.peak_ewma", "envoy.load_balancing_policies.least_request"]
    );
    let outliers = cluster.outlier_detection.unwrap();
    assert_eq!(outliers.consecutive_5xx, Some(uint32(5)));
    assert_eq!(outliers.enforcing_consecutive_5xx, Some(uint32(100)));
    assert_eq!(outliers.enforcing_success_rate, Some(uint32(0)));
    let thresholds = &cluster.circuit_breakers.unwrap().thresholds[0];
    let budget = thresholds.retry_budget.as_ref().unwrap();
    assert_eq!(budget.budget_percent.unwrap().value, 20.0);
    assert_eq!(budget.min_retry_concurrency, Some(uint32(10)));
    assert_eq!(thresholds.max_connections, None, "no limit but the proxy's own");
    let eds = cluster.eds_cluster_config.unwrap();
    assert_eq!(eds.service_name, "product.shop:8080");
}

#[test]
fn limits_are_envoys_thresholds_and_what_it_lacks_is_metadata() {
    let limits = Limits {
        connections: Some(4),
        pending_requests: Some(0),
        requests: Some(3),
        retries: Some(2),
        pending_timeout: Some(Duration::from_millis(20)),
    };
    let cluster = under(TrafficPolicy { limits, ..Default::default() });
    let thresholds = &cluster.circuit_breakers.unwrap().thresholds[0];
    assert_eq!(thresholds.max_connections, Some(uint32(4)));
    assert_eq!(thresholds.max_pending_requests, Some(uint32(1)), "0 would serve nobody");
    assert_eq!(thresholds.max_requests, Some(uint32(3)));
    assert_eq!(thresholds.max_retries, Some(uint32(2)));
    let metadata = cluster.metadata.unwrap();
    let queue = &metadata.filter_metadata["weft.limits"].fields;
    let number = |field: &str| queue[field].kind.clone();
    assert_eq!(number("pending_requests"), Some(value::Kind::NumberValue(0.0)));
    assert_eq!(number("pending_timeout_ms"), Some(value::Kind::NumberValue(20.0)));
    assert!(metadata.filter_metadata.contains_key("weft.source"));
}

#[test]
fn every_kind_of_ejection_has_its_switch() {
    let outliers = |detection| {
        let policy =
            TrafficPolicy { outlier_detection: Some(detection), ..TrafficPolicy::default() };
        under(policy).outlier_detection.unwrap()
    };
    let off = outliers(model::OutlierDetection { consecutive_failures: 0, ..Default::default() });
    for switch in [
        off.enforcing_consecutive_5xx,
        off.enforcing_consecutive_gateway_failure,
        off.enforcing_consecutive_local_origin_failure,
        off.enforcing_failure_percentage,
        off.enforcing_success_rate,
        off.enforcing_local_origin_success_rate,
    ] {
        assert_eq!(switch, Some(uint32(0)));
    }
    assert!(!off.split_external_local_origin_errors);
    let window = Duration::from_secs(3);
    let on = outliers(model::OutlierDetection {
        consecutive_gateway_failures: 2,
        consecutive_local_failures: 3,
        failure_percentage: Some(FailurePercentage { window, ..Default::default() }),
        ..Default::default()
    });
    assert_eq!(on.consecutive_gateway_failure, Some(uint32(2)));
    assert_eq!(on.enforcing_consecutive_gateway_failure, Some(uint32(100)));
    assert_eq!(on.consecutive_local_origin_failure, Some(uint32(3)));
    assert!(on.split_external_local_origin_errors);
    assert_eq!(on.failure_percentage_threshold, Some(uint32(50)));
    assert_eq!(on.failure_percentage_request_volume, Some(uint32(20)));
    assert_eq!(on.interval, Some(duration(window)));
    assert_eq!(on.max_ejection_time_jitter, Some(duration(Duration::from_secs(3))));
}

#[test]
fn a_ring_carries_its_keys() {
    let ring = model::RingHash {
        hash_on: vec![
            HashOn::Header("x-user".into()),
            HashOn::Cookie("sid".into()),
            HashOn::SourceAddress,
        ],
        ..model::RingHash::default()
    };
    let policy = TrafficPolicy { balancer: Balancer::RingHash(ring), ..Default::default() };
    let cluster = under(policy);
    assert_eq!(policies(&cluster), ["envoy.load_balancing_policies.ring_hash"]);
    let mut list = cluster.load_balancing_policy.unwrap().policies;
    let config = list.remove(0).typed_extension_config.unwrap().typed_config.unwrap();
    let ring = RingHash::decode(&*config.value).unwrap();
    assert_eq!(ring.minimum_ring_size.unwrap().value, 1024);
    let keys = ring.consistent_hashing_lb_config.unwrap().hash_policy;
    assert!(keys.iter().all(|key| key.terminal), "the first that yields a value decides");
    let name = |key: &HashPolicy| match key.policy_specifier.clone().unwrap() {
        PolicySpecifier::Header(header) => header.header_name,
        PolicySpecifier::Cookie(cookie) => cookie.name,
        PolicySpecifier::ConnectionProperties(of) => format!("source {}", of.source_ip),
        other => panic!("{other:?}"),
    };
    assert_eq!(keys.iter().map(name).collect::<Vec<_>>(), ["x-user", "sid", "source true"]);
}

#[test]
fn a_policy_sets_them() {
    let cluster = under(TrafficPolicy {
        balancer: Balancer::RoundRobin,
        connect_timeout: Some(Duration::from_millis(250)),
        outlier_detection: Some(model::OutlierDetection {
            consecutive_failures: 0,
            base_ejection: Duration::ZERO,
            max_ejected_percent: 200,
            ..Default::default()
        }),
        retries: Some(RetryPolicy {
            attempts: 1,
            on: vec![],
            per_try_timeout: None,
            backoff: None,
            budget: RetryBudget { percent: 50, min_per_second: 1 },
        }),
        ..Default::default()
    });
    assert_eq!(policies(&cluster), ["envoy.load_balancing_policies.round_robin"]);
    assert_eq!(cluster.connect_timeout, Some(duration(Duration::from_millis(250))));
    let outliers = cluster.outlier_detection.unwrap();
    assert_eq!(outliers.enforcing_consecutive_5xx, Some(uint32(0)));
    // Values that Envoy refuses are brought into its range.
    assert_eq!(outliers.max_ejection_percent, Some(uint32(100)));
    assert_ne!(outliers.base_ejection_time, Some(duration(Duration::ZERO)));
    let thresholds = &cluster.circuit_breakers.unwrap().thresholds[0];
    let budget = thresholds.retry_budget.as_ref().unwrap();
    assert_eq!(budget.budget_percent.unwrap().value, 50.0);

    for (balancer, name) in [
        (Balancer::Random, "envoy.load_balancing_policies.random"),
        (Balancer::LeastRequest, "envoy.load_balancing_policies.least_request"),
    ] {
        assert_eq!(policies(&under(TrafficPolicy { balancer, ..Default::default() })), [name]);
    }
    let zero = TrafficPolicy { connect_timeout: Some(Duration::ZERO), ..Default::default() };
    assert_eq!(under(zero).connect_timeout, Some(duration(CONNECT_TIMEOUT)));
}

#[test]
fn the_names_that_may_answer_are_those_of_the_endpoints() {
    let mut mesh = shop();
    workload(&mut mesh, "product-v2").service_account = "a".to_owned();
    let (names, alpn) = mesh_tls(&cluster_of(&mesh, "product.shop:8080"));
    assert_eq!(
        names,
        ["spiffe://demo.local/ns/shop/sa/a", "spiffe://demo.local/ns/shop/sa/product"]
    );
    assert_eq!(alpn, ["weft-http/1.1", "weft-h2"]);
}

#[test]
fn without_endpoints_nobody_may_answer() {
    let (names, alpn) = mesh_tls(&cluster_of(&shop(), "db.shop:5432"));
    assert_eq!(names, ["spiffe://demo.local/ns/_/sa/_"]);
    assert_eq!(alpn, ["weft-tcp"]);
    let (names, alpn) = mesh_tls(&cluster_of(&shop(), "mail.shop:25"));
    assert_eq!(names.len(), 1);
    assert_eq!(alpn, ["weft-h2", "weft-http/1.1", "weft-tcp"]);
}

#[test]
fn a_health_check_is_envoys() {
    let check = |probe| {
        let check = model::HealthCheck {
            probe,
            interval: Duration::from_secs(30),
            timeout: Duration::from_secs(10),
            healthy_threshold: 2,
            unhealthy_threshold: 3,
        };
        let policy = TrafficPolicy { health_check: Some(check), ..Default::default() };
        let mut checks = under(policy).health_checks;
        assert_eq!(checks.len(), 1);
        checks.remove(0)
    };
    let http = check(model::Probe::Http { path: "/h".into(), host: None, expected: vec![204] });
    let thirty = Some(duration(Duration::from_secs(30)));
    assert_eq!((&http.interval, &http.no_traffic_interval), (&thirty, &thirty));
    assert_eq!(
        (http.healthy_threshold, http.unhealthy_threshold),
        (Some(uint32(2)), Some(uint32(3)))
    );
    assert_eq!(http.tls_options.unwrap().alpn_protocols, ["weft-http/1.1"]);
    let Some(HealthChecker::HttpHealthCheck(http)) = http.health_checker else { panic!() };
    assert_eq!((http.path.as_str(), http.host.as_str()), ("/h", ""));
    assert_eq!((http.expected_statuses[0].start, http.expected_statuses[0].end), (204, 205));
    let grpc = check(model::Probe::Grpc("a.B".into()));
    assert_eq!(grpc.tls_options.unwrap().alpn_protocols, ["weft-h2"]);
    let tcp = check(model::Probe::Tcp);
    assert_eq!(tcp.tls_options.unwrap().alpn_protocols, ["weft-tcp"]);
    assert!(under(TrafficPolicy::default()).health_checks.is_empty());
}

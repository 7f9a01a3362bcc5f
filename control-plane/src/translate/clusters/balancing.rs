//! How an endpoint is chosen: `Cluster.load_balancing_policy`. The first policy of the list that the proxy knows is
//! used, so a real Envoy skips Weft's own.

use prost::Message as _;
use weft_proto::config::PeakEwma;
use weft_proto::envoy::cluster::{LoadBalancingPolicy, load_balancing_policy};
use weft_proto::envoy::core::TypedExtensionConfig;
use weft_proto::envoy::lb::common::v3::{ConsistentHashingLbConfig, SlowStartConfig};
use weft_proto::envoy::lb::least_request::v3::LeastRequest;
use weft_proto::envoy::lb::random::v3::Random;
use weft_proto::envoy::lb::ring_hash::v3::RingHash;
use weft_proto::envoy::lb::round_robin::v3::RoundRobin;
use weft_proto::envoy::route::route_action::{HashPolicy, hash_policy};
use weft_proto::google::{Any, UInt64Value};

use crate::model::{self, Balancer, HashOn, SlowStart, TrafficPolicy};
use crate::translate::value::{any, duration, percent};

const PEAK_EWMA: &str = "type.googleapis.com/weft.config.v1.PeakEwma";

/// The policies, best first.
pub(super) fn policies(policy: &TrafficPolicy) -> LoadBalancingPolicy {
    let slow = policy.slow_start.as_ref();
    let slow_start_config = slow.map(slow_start);
    let least_request =
        LeastRequest { slow_start_config: slow_start_config.clone(), ..Default::default() };
    let least_request = ("envoy.load_balancing_policies.least_request", any(&least_request));
    let policies = match &policy.balancer {
        Balancer::RoundRobin => {
            let turns = RoundRobin { slow_start_config, ..Default::default() };
            vec![("envoy.load_balancing_policies.round_robin", any(&turns))]
        }
        Balancer::Random => {
            vec![("envoy.load_balancing_policies.random", any(&Random::default()))]
        }
        Balancer::LeastRequest => vec![least_request],
        Balancer::PeakEwma => {
            let window = slow.map_or(0, |slow| slow.window.as_millis());
            let value = PeakEwma {
                slow_start_window_ms: u32::try_from(window).unwrap_or(u32::MAX),
                slow_start_minimum_percent: slow.map_or(0, |slow| slow.minimum_percent),
                ..Default::default()
            };
            let value = value.encode_to_vec();
            let peak_ewma = Any { type_url: PEAK_EWMA.to_owned(), value };
            vec![("weft.load_balancing_policies.peak_ewma", peak_ewma), least_request]
        }
        Balancer::RingHash(ring) => {
            vec![("envoy.load_balancing_policies.ring_hash", any(&ring_hash(ring)))]
        }
    };
    let policy = |(name, config): (&str, Any)| load_balancing_policy::Policy {
        typed_extension_config: Some(TypedExtensionConfig {
            name: name.to_owned(),
            typed_config: Some(config),
        }),
    };
    LoadBalancingPolicy { policies: policies.into_iter().map(policy).collect() }
}

fn slow_start(slow: &SlowStart) -> SlowStartConfig {
    SlowStartConfig {
        slow_start_window: Some(duration(slow.window)),
        min_weight_percent: Some(percent(slow.minimum_percent.into())),
        ..Default::default()
    }
}

/// The keys stand in the cluster and not in its routes: Envoy 1.40 heeds them there, and a ring is the same whatever
/// route leads to it.
fn ring_hash(ring: &model::RingHash) -> RingHash {
    let size = |value: u32| Some(UInt64Value { value: value.into() });
    RingHash {
        minimum_ring_size: size(ring.minimum),
        maximum_ring_size: size(ring.maximum),
        consistent_hashing_lb_config: Some(ConsistentHashingLbConfig {
            hash_policy: ring.hash_on.iter().map(hash_policy).collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}

fn hash_policy(of: &HashOn) -> HashPolicy {
    use hash_policy::PolicySpecifier;
    let specifier = match of {
        HashOn::Header(name) => PolicySpecifier::Header(hash_policy::Header {
            header_name: name.clone(),
            ..Default::default()
        }),
        HashOn::Cookie(name) => PolicySpecifier::Cookie(hash_policy::Cookie {
            name: name.clone(),
            ..Default::default()
        }),
        HashOn::SourceAddress => {
            PolicySpecifier::ConnectionProperties(hash_policy::ConnectionProperties {
                source_ip: true,
            })
        }
    };
    HashPolicy { terminal: true, policy_specifier: Some(specifier) }
}

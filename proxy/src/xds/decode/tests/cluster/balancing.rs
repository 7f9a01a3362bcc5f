//! Clusters: how an endpoint is chosen.

use std::time::Duration;

use prost::Message as _;
use weft_proto::envoy::core::RuntimeDouble;
use weft_proto::envoy::lb::common::v3::{ConsistentHashingLbConfig, SlowStartConfig};
use weft_proto::envoy::lb::least_request::v3::LeastRequest;
use weft_proto::envoy::lb::ring_hash::v3::{RingHash, ring_hash::HashFunction};
use weft_proto::envoy::lb::round_robin::v3::RoundRobin;
use weft_proto::envoy::route::route_action::HashPolicy;
use weft_proto::envoy::route::route_action::hash_policy::{Header, PolicySpecifier};
use weft_proto::envoy::types::Percent;
use weft_proto::google::{Any, UInt64Value};
use weft_proto::names::metadata as keys;

use super::super::refusal;
use super::found;
use crate::model::{self, Balancer, HashSource, SlowStart};
use crate::xds::Kind;
use crate::xds::fixture::{any, cluster, fields, number, peak_ewma, policy, seconds};

type Spoil = dyn Fn(&mut RingHash);

fn hashing(ring: &mut RingHash) -> &mut ConsistentHashingLbConfig {
    ring.consistent_hashing_lb_config.as_mut().unwrap()
}

#[test]
fn a_ring_has_its_keys_and_sizes() {
    let header =
        PolicySpecifier::Header(Header { header_name: "X-User".into(), ..Default::default() });
    let with = |spoil: &dyn Fn(&mut RingHash)| {
        let mut ring = RingHash {
            minimum_ring_size: Some(UInt64Value { value: 64 }),
            consistent_hashing_lb_config: Some(ConsistentHashingLbConfig {
                hash_policy: vec![HashPolicy {
                    terminal: true,
                    policy_specifier: Some(header.clone()),
                }],
                ..Default::default()
            }),
            ..Default::default()
        };
        spoil(&mut ring);
        let mut message = cluster("a");
        let list = message.load_balancing_policy.as_mut().unwrap();
        list.policies = vec![policy(any(&ring))];
        message
    };
    let policies = vec![model::HashPolicy {
        source: HashSource::Header(http::HeaderName::from_static("x-user")),
        terminal: true,
    }];
    let expected = model::RingHash { minimum: 64, maximum: 1 << 20, policies };
    assert_eq!(found(&with(&|_| {})).balancer, Balancer::RingHash(expected));
    let cases: [(&str, &Spoil); 5] = [
        ("hash_function: only XX_HASH is supported", &|ring| {
            ring.hash_function = HashFunction::MurmurHash2 as i32;
        }),
        ("minimum_ring_size: 9000000 is more than 1048576", &|ring| {
            ring.minimum_ring_size = Some(UInt64Value { value: 9_000_000 });
        }),
        ("minimum_ring_size: 64 is over the maximum", &|ring| {
            ring.maximum_ring_size = Some(UInt64Value { value: 9 });
        }),
        (
            "consistent_hashing_lb_config.hash_balance_factor: not supported by weft-proxy",
            &|ring| {
                hashing(ring).hash_balance_factor = number(150);
            },
        ),
        (
            "consistent_hashing_lb_config.hash_policy[0].policy_specifier: only `header`, `cookie` and \
             `connection_properties.source_ip` are supported",
            &|ring| hashing(ring).hash_policy[0].policy_specifier = None,
        ),
    ];
    for (reason, spoil) in cases {
        let at = "load_balancing_policy.policies[0].typed_extension_config.typed_config";
        assert_eq!(refusal(Kind::Cluster, "a", &with(spoil)), format!("{at}.{reason}"));
    }
}

#[test]
fn slow_start_and_locality() {
    let with = |config: Any| {
        let mut message = cluster("a");
        message.load_balancing_policy.as_mut().unwrap().policies = vec![policy(config)];
        message
    };
    let slow = SlowStart { window: Duration::from_secs(30), minimum: 0.25, aggression: 1.0 };
    let config = SlowStartConfig {
        slow_start_window: seconds(30),
        min_weight_percent: Some(Percent { value: 25.0 }),
        ..Default::default()
    };
    let turns = RoundRobin { slow_start_config: Some(config.clone()), ..Default::default() };
    assert_eq!(found(&with(any(&turns))).slow_start, Some(slow));
    let sooner = |value: f64| {
        let aggression =
            RuntimeDouble { default_value: value, runtime_key: "slow_start.aggression".into() };
        let config = SlowStartConfig { aggression: Some(aggression), ..config.clone() };
        any(&LeastRequest { slow_start_config: Some(config), ..Default::default() })
    };
    let expected = SlowStart { aggression: 2.0, ..slow };
    assert_eq!(found(&with(sooner(2.0))).slow_start, Some(expected));
    assert_eq!(found(&with(sooner(0.0))).slow_start, Some(slow), "as in Envoy");
    let at = "load_balancing_policy.policies[0].typed_extension_config.typed_config.\
              slow_start_config.aggression.default_value";
    for wrong in [-1.0, 0.01, 1000.0, f64::NAN] {
        let reason = format!("{at}: {wrong} is not from 0.1 to 100");
        assert_eq!(refusal(Kind::Cluster, "a", &with(sooner(wrong))), reason);
    }
    let least = LeastRequest { slow_start_config: Some(config), ..Default::default() };
    assert_eq!(found(&with(any(&least))).slow_start, Some(slow));
    let ewma = weft_proto::config::PeakEwma { slow_start_window_ms: 30_000, ..Default::default() };
    let ewma = Any { value: ewma.encode_to_vec(), ..peak_ewma() };
    let tenth = SlowStart { minimum: 0.1, ..slow };
    assert_eq!(found(&with(ewma)).slow_start, Some(tenth));
    let mut near = cluster("a");
    let mut place = |mode: &str| {
        let mode = fields([("mode", mode)]);
        let metadata = near.metadata.get_or_insert_default();
        metadata.filter_metadata.insert(keys::LOCALITY.to_owned(), mode);
        near.clone()
    };
    assert!(found(&place("PreferLocal")).prefer_local);
    assert_eq!(
        refusal(Kind::Cluster, "a", &place("Nearest")),
        "metadata.weft.locality: mode: \"Nearest\" is not supported by weft-proxy"
    );
}

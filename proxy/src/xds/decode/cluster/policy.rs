//! Load balancing policy → [`Balancer`]. As in Envoy the first policy of the list that is known counts, so
//! that a list can offer an extension first and a standard policy behind it.

use std::mem::take;
use std::time::Duration;

use prost::Name;
use weft_proto::config::PeakEwma;
use weft_proto::envoy::cluster::cluster::LbPolicy;
use weft_proto::envoy::cluster::{Cluster, LoadBalancingPolicy, load_balancing_policy::Policy};
use weft_proto::envoy::lb::common::v3::SlowStartConfig;
use weft_proto::envoy::lb::least_request::v3::LeastRequest;
use weft_proto::envoy::lb::random::v3::Random;
use weft_proto::envoy::lb::ring_hash::v3::{RingHash, ring_hash::HashFunction};
use weft_proto::envoy::lb::round_robin::v3::RoundRobin;
use weft_proto::envoy::route::route_action::{HashPolicy, hash_policy::PolicySpecifier};
use weft_proto::google::Any;

use super::super::reject::{At, Reject, each, nothing_else};
use super::super::value::{duration, message, required, share, type_name};
use crate::model::{self, Balancer, HashSource, SlowStart};

const PEAK_EWMA: &str = "weft.config.v1.PeakEwma";
const DECAY_MS: u32 = 10_000;
const DEFAULT_RTT_MS: u32 = 30;
/// Beyond these a share hardly grows, or is whole at once.
const LEAST_AGGRESSION: f64 = 0.1;
const MOST_AGGRESSION: f64 = 100.0;

/// The algorithm, and how a new endpoint comes in.
type Choice = (Balancer, Option<SlowStart>);

/// Takes the policy out of a cluster.
pub(super) fn balancer(cluster: &mut Cluster) -> Result<Choice, Reject> {
    let listed = cluster.load_balancing_policy.take();
    match (listed, LbPolicy::try_from(take(&mut cluster.lb_policy))) {
        (Some(list), Ok(LbPolicy::RoundRobin | LbPolicy::LoadBalancingPolicyConfig)) => {
            first_known(list).at("load_balancing_policy")
        }
        (Some(_), _) => Err(Reject::new("lb_policy", "contradicts `load_balancing_policy`")),
        (None, Ok(LbPolicy::RoundRobin)) => Ok((Balancer::RoundRobin, None)),
        (None, Ok(LbPolicy::LeastRequest)) => Ok((Balancer::LeastRequest, None)),
        (None, Ok(LbPolicy::Random)) => Ok((Balancer::Random, None)),
        (None, _) => Err(Reject::new("lb_policy", "not supported by weft-proxy")),
    }
}

fn first_known(mut list: LoadBalancingPolicy) -> Result<Choice, Reject> {
    let policies = take(&mut list.policies);
    nothing_else(&list)?;
    let mut unknown = Vec::new();
    for (index, mut policy) in policies.into_iter().enumerate() {
        let at = format!("policies[{index}].typed_extension_config");
        let config = typed_config(&mut policy).at(format_args!("policies[{index}]"))?;
        match known(&config).at("typed_config").at(&at)? {
            Some(choice) => return Ok(choice),
            None => unknown.push(type_name(&config).to_owned()),
        }
    }
    Err(Reject::new("policies", format!("none of [{}] is supported", unknown.join(", "))))
}

fn typed_config(policy: &mut Policy) -> Result<Any, Reject> {
    let mut extension = required("typed_extension_config", &mut policy.typed_extension_config)?;
    extension.name = String::new();
    let config = required("typed_config", &mut extension.typed_config);
    nothing_else(&extension).and(config).at("typed_extension_config")
}

fn known(config: &Any) -> Result<Option<Choice>, Reject> {
    let name = type_name(config);
    if name == PEAK_EWMA {
        return peak_ewma(&message(&config.value)?).map(Some);
    }
    if name == RoundRobin::full_name() {
        let mut turns: RoundRobin = message(&config.value)?;
        let slow = slow_start(turns.slow_start_config.take())?;
        nothing_else(&turns)?;
        return Ok(Some((Balancer::RoundRobin, slow)));
    }
    if name == Random::full_name() {
        nothing_else(&message::<Random>(&config.value)?)?;
        return Ok(Some((Balancer::Random, None)));
    }
    if name == RingHash::full_name() {
        return ring_hash(message(&config.value)?).map(|ring| Some((ring, None)));
    }
    if name == LeastRequest::full_name() {
        let mut least: LeastRequest = message(&config.value)?;
        // The better of two is what it means here, and Envoy's default.
        least.choice_count.take_if(|count| count.value == 2);
        let slow = slow_start(least.slow_start_config.take())?;
        nothing_else(&least)?;
        return Ok(Some((Balancer::LeastRequest, slow)));
    }
    Ok(None)
}

/// Bound of a ring: 16 MiB. Envoy's is eight times that; it is built anew whenever an endpoint leaves or returns.
const LARGEST_RING: u64 = 1024 * 1024;

fn ring_hash(mut ring: RingHash) -> Result<Balancer, Reject> {
    let known = [HashFunction::DefaultHash as i32, HashFunction::XxHash as i32];
    if !known.contains(&take(&mut ring.hash_function)) {
        return Err(Reject::new("hash_function", "only XX_HASH is supported"));
    }
    let default = model::RingHash::default();
    let minimum = ring.minimum_ring_size.take().map_or(default.minimum, |size| size.value);
    let maximum = ring.maximum_ring_size.take().map_or(default.maximum, |size| size.value);
    if minimum > LARGEST_RING {
        let reason = format!("{minimum} is more than {LARGEST_RING}");
        return Err(Reject::new("minimum_ring_size", reason));
    }
    if minimum > maximum {
        return Err(Reject::new("minimum_ring_size", format!("{minimum} is over the maximum")));
    }
    let mut hashing = ring.consistent_hashing_lb_config.take().unwrap_or_default();
    let policies = take(&mut hashing.hash_policy);
    let at = "consistent_hashing_lb_config";
    let policies = each("hash_policy", policies, hash_policy).at(at)?;
    nothing_else(&hashing).at(at)?;
    nothing_else(&ring)?;
    let maximum = maximum.min(LARGEST_RING);
    Ok(Balancer::RingHash(model::RingHash { minimum, maximum, policies }))
}

fn hash_policy(mut policy: HashPolicy) -> Result<model::HashPolicy, Reject> {
    let terminal = take(&mut policy.terminal);
    let source = match policy.policy_specifier.take() {
        Some(PolicySpecifier::Header(mut header)) => {
            let name = take(&mut header.header_name);
            nothing_else(&header).at("header")?;
            let name = http::HeaderName::try_from(name.as_str());
            let reason = "not the name of a header";
            HashSource::Header(name.map_err(|_| Reject::new("header.header_name", reason))?)
        }
        Some(PolicySpecifier::Cookie(mut cookie)) => {
            let name = take(&mut cookie.name);
            nothing_else(&cookie).at("cookie")?;
            if name.is_empty() {
                return Err(Reject::new("cookie.name", "missing"));
            }
            HashSource::Cookie(name)
        }
        Some(PolicySpecifier::ConnectionProperties(properties)) if properties.source_ip => {
            HashSource::SourceAddress
        }
        _ => {
            let reason =
                "only `header`, `cookie` and `connection_properties.source_ip` are supported";
            return Err(Reject::new("policy_specifier", reason));
        }
    };
    Ok(model::HashPolicy { source, terminal })
}

fn peak_ewma(config: &PeakEwma) -> Result<Choice, Reject> {
    let &PeakEwma { decay_ms, default_rtt_ms, .. } = config;
    let milliseconds = |value: u32, default: u32| {
        Duration::from_millis(u64::from(if value == 0 { default } else { value }))
    };
    let ewma = model::PeakEwma {
        decay: milliseconds(decay_ms, DECAY_MS),
        default_rtt: milliseconds(default_rtt_ms, DEFAULT_RTT_MS),
    };
    let percent = match config.slow_start_minimum_percent {
        0 => 10,
        percent @ 1..=100 => percent,
        percent => {
            let reason = format!("{percent} is more than 100");
            return Err(Reject::new("slow_start_minimum_percent", reason));
        }
    };
    let window = Duration::from_millis(config.slow_start_window_ms.into());
    let slow = SlowStart { window, minimum: f64::from(percent) / 100.0, aggression: 1.0 };
    Ok((Balancer::PeakEwma(ewma), Some(slow).filter(|slow| !slow.window.is_zero())))
}

fn slow_start(config: Option<SlowStartConfig>) -> Result<Option<SlowStart>, Reject> {
    let Some(mut config) = config else { return Ok(None) };
    let window = duration("slow_start_window", &mut config.slow_start_window);
    let minimum = share("min_weight_percent", &mut config.min_weight_percent, 0.1);
    // Runtime keys have nowhere to come from; Envoy too takes the default then.
    let wanted = config.aggression.take().map_or(0.0, |aggression| aggression.default_value);
    let aggression = aggression(wanted).at("aggression.default_value");
    let slow = window.and_then(|window| {
        let (window, minimum) = (window.unwrap_or_default(), minimum?);
        let slow = SlowStart { window, minimum, aggression: aggression? };
        nothing_else(&config).map(|()| slow)
    });
    let slow = slow.at("slow_start_config")?;
    Ok(Some(slow).filter(|slow| !slow.window.is_zero()))
}

/// 1, Envoy's default, if it is not written.
fn aggression(written: f64) -> Result<f64, Reject> {
    match written {
        0.0 => Ok(1.0),
        LEAST_AGGRESSION..=MOST_AGGRESSION => Ok(written),
        _ => Err(Reject::new("", format!("{written} is not from 0.1 to 100"))),
    }
}

//! Load balancing policy → [`Balancer`]. As in Envoy the first policy of the list that is known counts, so
//! that a list can offer an extension first and a standard policy behind it.

use std::mem::take;
use std::time::Duration;

use prost::Name;
use weft_proto::config::PeakEwma;
use weft_proto::envoy::cluster::cluster::LbPolicy;
use weft_proto::envoy::cluster::{Cluster, LoadBalancingPolicy, load_balancing_policy::Policy};
use weft_proto::envoy::lb::least_request::v3::LeastRequest;
use weft_proto::envoy::lb::random::v3::Random;
use weft_proto::envoy::lb::round_robin::v3::RoundRobin;
use weft_proto::google::Any;

use super::super::reject::{At, Reject, nothing_else};
use super::super::value::{message, required, type_name};
use crate::model::{self, Balancer};

const PEAK_EWMA: &str = "weft.config.v1.PeakEwma";
const DECAY_MS: u32 = 10_000;
const DEFAULT_RTT_MS: u32 = 30;

/// Takes the policy out of a cluster.
pub(super) fn balancer(cluster: &mut Cluster) -> Result<Balancer, Reject> {
    let listed = cluster.load_balancing_policy.take();
    match (listed, LbPolicy::try_from(take(&mut cluster.lb_policy))) {
        (Some(list), Ok(LbPolicy::RoundRobin | LbPolicy::LoadBalancingPolicyConfig)) => {
            first_known(list).at("load_balancing_policy")
        }
        (Some(_), _) => Err(Reject::new("lb_policy", "contradicts `load_balancing_policy`")),
        (None, Ok(LbPolicy::RoundRobin)) => Ok(Balancer::RoundRobin),
        (None, Ok(LbPolicy::LeastRequest)) => Ok(Balancer::LeastRequest),
        (None, Ok(LbPolicy::Random)) => Ok(Balancer::Random),
        (None, _) => Err(Reject::new("lb_policy", "not supported by weft-proxy")),
    }
}

fn first_known(mut list: LoadBalancingPolicy) -> Result<Balancer, Reject> {
    let policies = take(&mut list.policies);
    nothing_else(&list)?;
    let mut unknown = Vec::new();
    for (index, mut policy) in policies.into_iter().enumerate() {
        let at = format!("policies[{index}].typed_extension_config");
        let config = typed_config(&mut policy).at(format_args!("policies[{index}]"))?;
        match known(&config).at("typed_config").at(&at)? {
            Some(balancer) => return Ok(balancer),
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

fn known(config: &Any) -> Result<Option<Balancer>, Reject> {
    let name = type_name(config);
    if name == PEAK_EWMA {
        return Ok(Some(peak_ewma(message(&config.value)?)));
    }
    if name == RoundRobin::full_name() {
        nothing_else(&message::<RoundRobin>(&config.value)?)?;
        return Ok(Some(Balancer::RoundRobin));
    }
    if name == Random::full_name() {
        nothing_else(&message::<Random>(&config.value)?)?;
        return Ok(Some(Balancer::Random));
    }
    if name == LeastRequest::full_name() {
        let mut least: LeastRequest = message(&config.value)?;
        // The better of two is what it means here, and Envoy's default.
        least.choice_count.take_if(|count| count.value == 2);
        nothing_else(&least)?;
        return Ok(Some(Balancer::LeastRequest));
    }
    Ok(None)
}

fn peak_ewma(config: PeakEwma) -> Balancer {
    let PeakEwma { decay_ms, default_rtt_ms } = config;
    let milliseconds = |value: u32, default: u32| {
        Duration::from_millis(u64::from(if value == 0 { default } else { value }))
    };
    Balancer::PeakEwma(model::PeakEwma {
        decay: milliseconds(decay_ms, DECAY_MS),
        default_rtt: milliseconds(default_rtt_ms, DEFAULT_RTT_MS),
    })
}

//! Rate limits of an inbound port, as Envoy's own filters for it: one for each limit, so that a request must pass
//! all of them.
//!
//! A limit by key is a descriptor without a value, of which Envoy makes a bucket for each value that it sees. What
//! has no value of the key falls to the filter's own bucket, which is the same size.

use weft_proto::envoy::core::{RuntimeFractionalPercent, TypedExtensionConfig};
use weft_proto::envoy::hcm::HttpFilter;
use weft_proto::envoy::local_ratelimit::LocalRateLimit;
use weft_proto::envoy::rate_limit_expression::{Descriptor, descriptor::ExprSpecifier};
use weft_proto::envoy::ratelimit::{
    LocalRateLimitDescriptor, rate_limit_descriptor::Entry as DescriptorEntry,
};
use weft_proto::envoy::route::rate_limit::action::{ActionSpecifier, RequestHeaders};
use weft_proto::envoy::route::{RateLimit as Rates, rate_limit::Action};
use weft_proto::envoy::types::{FractionalPercent, TokenBucket};
use weft_proto::names::rate_limit::{CALLER, CALLER_EXPRESSION, FILTER, KEYS};

use super::filters::http_filter;
use super::value::{any, boolean, duration, uint32};
use crate::model::{InboundPolicy, RateLimit, RateLimitKey};

/// The filters of a policy, in the order of its limits.
pub(super) fn filters(policy: &InboundPolicy) -> Vec<HttpFilter> {
    policy.rate_limits.iter().map(|limit| http_filter(FILTER, &filter(limit))).collect()
}

fn filter(limit: &RateLimit) -> LocalRateLimit {
    let bucket = TokenBucket {
        max_tokens: limit.requests.saturating_add(limit.burst),
        tokens_per_fill: Some(uint32(limit.requests)),
        fill_interval: Some(duration(limit.per)),
    };
    let always = Some(RuntimeFractionalPercent {
        default_value: Some(FractionalPercent { numerator: 100, denominator: 0 }),
        ..Default::default()
    });
    let everybody = LocalRateLimit {
        stat_prefix: "rate_limit".to_owned(),
        token_bucket: Some(bucket),
        filter_enabled: always.clone(),
        filter_enforced: always,
        rate_limited_as_resource_exhausted: true,
        enable_retry_after_header: true,
        ..Default::default()
    };
    let (key, specifier) = match &limit.key {
        RateLimitKey::Everybody => return everybody,
        RateLimitKey::CallerIdentity => (CALLER, caller()),
        RateLimitKey::Header(name) => {
            let (header_name, descriptor_key) = (name.clone(), name.clone());
            let header = RequestHeaders { header_name, descriptor_key, ..Default::default() };
            (name.as_str(), ActionSpecifier::RequestHeaders(header))
        }
    };
    let entry = DescriptorEntry { key: key.to_owned(), value: String::new() };
    let action = Action { action_specifier: Some(specifier) };
    LocalRateLimit {
        always_consume_default_token_bucket: Some(boolean(false)),
        max_dynamic_descriptors: Some(uint32(KEYS)),
        rate_limits: vec![Rates { actions: vec![action], ..Default::default() }],
        descriptors: vec![LocalRateLimitDescriptor {
            entries: vec![entry],
            token_bucket: everybody.token_bucket,
            ..Default::default()
        }],
        ..everybody
    }
}

/// The SPIFFE id of the caller's certificate. Envoy's formats cannot say it here, its expressions can.
fn caller() -> ActionSpecifier {
    let descriptor = Descriptor {
        descriptor_key: CALLER.to_owned(),
        // Without a certificate: to the bucket of those who have none.
        skip_if_error: true,
        expr_specifier: Some(ExprSpecifier::Text(CALLER_EXPRESSION.to_owned())),
    };
    ActionSpecifier::Extension(TypedExtensionConfig {
        name: "envoy.rate_limit_descriptors.expr".to_owned(),
        typed_config: Some(any(&descriptor)),
    })
}

#[cfg(test)]
mod tests;

//! LocalRateLimit → [`RateLimit`]: a bucket for all, or one for each caller or each value of a header. Limits that
//! are switched off, shared by a cluster or of one connection only are refused.

use std::mem::take;

use http::header::HeaderName;
use weft_proto::envoy::core::RuntimeFractionalPercent;
use weft_proto::envoy::local_ratelimit::LocalRateLimit;
use weft_proto::envoy::rate_limit_expression::{Descriptor, descriptor::ExprSpecifier};
use weft_proto::envoy::ratelimit::LocalRateLimitDescriptor;
use weft_proto::envoy::route::RateLimit as Rates;
use weft_proto::envoy::route::rate_limit::action::ActionSpecifier;
use weft_proto::envoy::types::{FractionalPercent, TokenBucket};
use weft_proto::names::rate_limit::{CALLER, CALLER_EXPRESSION};

use super::reject::{At, Reject, nothing_else};
use super::value::{duration, required, unpack};
use crate::model::{LimitKey, RateLimit};

/// Decodes one limit.
pub(super) fn limit(mut filter: LocalRateLimit) -> Result<RateLimit, Reject> {
    filter.stat_prefix = String::new();
    // What this proxy does anyway: it says when to come again, and has a bound of its own on keys.
    filter.enable_retry_after_header = false;
    filter.max_dynamic_descriptors = None;
    filter.rate_limited_as_resource_exhausted = false;
    always("filter_enabled", filter.filter_enabled.take())?;
    always("filter_enforced", filter.filter_enforced.take())?;
    let mut limit =
        bucket(required("token_bucket", &mut filter.token_bucket)?).at("token_bucket")?;
    let rates = take(&mut filter.rate_limits);
    let descriptors = take(&mut filter.descriptors);
    let also_default = filter.always_consume_default_token_bucket.take().is_none_or(|it| it.value);
    nothing_else(&filter)?;
    match (<[Rates; 1]>::try_from(rates), <[LocalRateLimitDescriptor; 1]>::try_from(descriptors)) {
        (Err(rates), Err(descriptors)) if rates.is_empty() && descriptors.is_empty() => Ok(limit),
        (Ok([rates]), Ok([descriptor])) if !also_default => {
            let (name, key) = key(rates).at("rate_limits[0]")?;
            same(descriptor, &name, &limit).at("descriptors[0]")?;
            limit.key = key;
            Ok(limit)
        }
        _ => {
            let reason = "must be one, with one descriptor and without the default bucket";
            Err(Reject::new("rate_limits", reason))
        }
    }
}

fn always(field: &str, share: Option<RuntimeFractionalPercent>) -> Result<(), Reject> {
    let whole = FractionalPercent { numerator: 100, denominator: 0 };
    let share = share.unwrap_or_default();
    if share.default_value == Some(whole) && share.runtime_key.is_empty() {
        return Ok(());
    }
    Err(Reject::new(field, "must be 100 %, without a runtime key"))
}

fn bucket(mut bucket: TokenBucket) -> Result<RateLimit, Reject> {
    let capacity = take(&mut bucket.max_tokens);
    let requests = bucket.tokens_per_fill.take().map_or(1, |tokens| tokens.value);
    let per = duration("fill_interval", &mut bucket.fill_interval)?.unwrap_or_default();
    nothing_else(&bucket)?;
    if capacity == 0 || requests == 0 || per.is_zero() {
        return Err(Reject::new("", "must hold tokens and be filled"));
    }
    Ok(RateLimit { requests, per, capacity, key: LimitKey::Everybody })
}

/// The descriptor's name, and what it is made of.
fn key(mut rates: Rates) -> Result<(String, LimitKey), Reject> {
    let mut actions = take(&mut rates.actions);
    nothing_else(&rates)?;
    let action = actions.pop().and_then(|action| action.action_specifier);
    if !actions.is_empty() {
        return Err(Reject::new("actions", "only one is supported"));
    }
    match action {
        Some(ActionSpecifier::RequestHeaders(mut header)) => {
            let name = take(&mut header.header_name);
            let descriptor = take(&mut header.descriptor_key);
            nothing_else(&header).at("actions[0].request_headers")?;
            let name = HeaderName::try_from(name).map_err(|_| {
                Reject::new("actions[0].request_headers.header_name", "not a header name")
            })?;
            Ok((descriptor, LimitKey::Header(name)))
        }
        Some(ActionSpecifier::Extension(extension)) => {
            let at = "actions[0].extension.typed_config";
            let expected = Descriptor {
                descriptor_key: CALLER.to_owned(),
                skip_if_error: true,
                expr_specifier: Some(ExprSpecifier::Text(CALLER_EXPRESSION.to_owned())),
            };
            if unpack::<Descriptor>(at, extension.typed_config)? != expected {
                return Err(Reject::new(at, "only the caller's URI SAN is supported"));
            }
            Ok((CALLER.to_owned(), LimitKey::CallerIdentity))
        }
        _ => {
            let reason = "only `request_headers` and the caller's URI SAN are supported";
            Err(Reject::new("actions[0].action_specifier", reason))
        }
    }
}

/// The bucket of a key must be that of those without one.
fn same(mut of: LocalRateLimitDescriptor, name: &str, limit: &RateLimit) -> Result<(), Reject> {
    let entries = take(&mut of.entries);
    let matches = matches!(&entries[..], [only] if only.key == name && only.value.is_empty());
    if !matches {
        return Err(Reject::new("entries", format!("must be {name} without a value")));
    }
    let own = bucket(required("token_bucket", &mut of.token_bucket)?).at("token_bucket")?;
    if own != *limit {
        return Err(Reject::new("token_bucket", "must be the same as the filter's"));
    }
    nothing_else(&of)
}

//! How long to wait before a retry: what the server asks for, else a backoff. Pure.

use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, RETRY_AFTER};

use crate::model::Backoff;

const PUSHBACK: HeaderName = HeaderName::from_static("grpc-retry-pushback-ms");
/// Bound on what a gRPC server may ask for.
const LONGEST_PUSHBACK: Duration = Duration::from_secs(5);
/// Where a policy says nothing of it.
const BASE: Duration = Duration::from_millis(25);
const MAXIMUM: Duration = Duration::from_millis(250);

/// What a server says about retries of its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Hint {
    /// Nothing.
    Nothing,
    /// Not before that.
    After(Duration),
    /// None, or none before anybody would wait.
    Never,
}

/// Reads `grpc-retry-pushback-ms` of an answer to a call, else `Retry-After` up to `longest`. A date, which would be
/// seconds away at least, counts as too far.
pub(super) fn hint(headers: &HeaderMap, grpc: bool, longest: Option<Duration>) -> Hint {
    let within = |asked: Option<Duration>, longest: Duration| match asked {
        Some(asked) if asked <= longest => Hint::After(asked),
        Some(_) | None => Hint::Never,
    };
    if grpc && let Some(value) = headers.get(PUSHBACK) {
        // gRPC A6: negative, or no number, is a request not to retry.
        let millis = value.to_str().ok().and_then(|text| text.parse::<u32>().ok());
        let asked = millis.map(|millis| Duration::from_millis(millis.into()));
        return within(asked, LONGEST_PUSHBACK);
    }
    match (headers.get(RETRY_AFTER), longest) {
        (Some(value), Some(longest)) => {
            let seconds = value.to_str().ok().and_then(|text| text.trim().parse::<u32>().ok());
            within(seconds.map(|seconds| Duration::from_secs(seconds.into())), longest)
        }
        _ => Hint::Nothing,
    }
}

/// Before retry number `retries` (from 0), by `chance` (0 to 1). As a policy asks: between its `base` and twice that,
/// four times that and so on up to its `maximum`. Else between nothing and 25 ms, 50 ms and so on up to 250 ms, and
/// nothing before the first if `elsewhere` another endpoint can take it.
pub(super) fn backoff(
    asked: Option<Backoff>,
    retries: u32,
    elsewhere: bool,
    chance: f64,
) -> Duration {
    let doubled = 1 << retries.min(8);
    match asked {
        Some(Backoff { base, maximum }) => {
            let ceiling = base.saturating_mul(2 * doubled).min(maximum).max(base);
            base + (ceiling - base).mul_f64(chance)
        }
        None if retries == 0 && elsewhere => Duration::ZERO,
        None => BASE.saturating_mul(doubled).min(MAXIMUM).mul_f64(chance),
    }
}

#[cfg(test)]
mod tests;

//! Limits on the requests that a port takes. Asked by `inbound` for every request, once it is canonical; built by
//! `state` when a policy comes, and kept as long as its limits stay what they are.
//!
//! A limit is a token bucket ([`bucket`]), or one for each key ([`keys`]), shared by all workers without a lock. A
//! request takes a token of every limit in turn; one that is refused has taken those before.

mod bucket;
mod keys;
#[cfg(test)]
mod tests;

use std::hash::Hasher;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue, RETRY_AFTER};
use tokio::time::Instant;
use weft_certs::SpiffeId;
use weft_proto::origin::Origin;

use crate::error::{Error, Token};
use crate::model::{LimitKey, PortLimits, RateLimit};
use crate::telemetry::metrics::{Metrics, RATE_LIMIT_KEYS_FORGOTTEN, RATE_LIMITED};

use bucket::{Bucket, Rate};
use keys::Keys;

const RATELIMIT: HeaderName = HeaderName::from_static("ratelimit");
const RATELIMIT_POLICY: HeaderName = HeaderName::from_static("ratelimit-policy");

/// The limits of one port.
#[derive(Debug)]
pub struct RateLimits {
    origin: Origin,
    limits: Vec<Limit>,
    /// What the buckets count their time from.
    started: Instant,
    counters: Arc<Counters>,
}

/// What all limits of the process count.
#[derive(Debug, Default)]
pub struct Counters {
    refused: AtomicU64,
    /// Keys that had used tokens and made room for others.
    forgotten: AtomicU64,
}

#[derive(Debug)]
struct Limit {
    spec: RateLimit,
    rate: Rate,
    tokens: Tokens,
    /// `"limits.0";q=100;w=1`.
    policy: HeaderValue,
    name: String,
}

#[derive(Debug)]
enum Tokens {
    All(Bucket),
    Each(Keys),
}

impl Counters {
    /// Shows them in these metrics. Call it once, at start.
    pub fn show(self: &Arc<Self>, metrics: &Metrics) {
        let (refused, forgotten) = (Arc::clone(self), Arc::clone(self));
        metrics.watch(RATE_LIMITED, move || refused.refused.load(Relaxed));
        metrics.watch(RATE_LIMIT_KEYS_FORGOTTEN, move || forgotten.forgotten.load(Relaxed));
    }
}

impl RateLimits {
    /// Full buckets; those of `previous` as they are if the limits are the same.
    #[must_use]
    pub fn next(
        previous: Option<&Arc<Self>>,
        port: &PortLimits,
        counters: &Arc<Counters>,
    ) -> Arc<Self> {
        let same = previous.filter(|previous| previous.is_of(port));
        same.map_or_else(|| Arc::new(Self::new(port, Arc::clone(counters))), Arc::clone)
    }

    fn new(port: &PortLimits, counters: Arc<Counters>) -> Self {
        let numbered = port.limits.iter().enumerate();
        let limits = numbered.map(|(index, spec)| Limit::new(spec, &port.origin.name, index));
        Self {
            origin: port.origin.clone(),
            limits: limits.collect(),
            started: Instant::now(),
            counters,
        }
    }

    fn is_of(&self, port: &PortLimits) -> bool {
        // The generation counts changes of the whole object.
        let same_object = (&self.origin.namespace, &self.origin.name)
            == (&port.origin.namespace, &port.origin.name);
        same_object && self.limits.iter().map(|limit| &limit.spec).eq(&port.limits)
    }

    /// Takes a token of every limit for a request of this caller with these headers.
    ///
    /// # Errors
    /// [`Token::RateLimited`], with the headers that say when to come again.
    pub fn admit(
        &self,
        caller: Option<&SpiffeId>,
        headers: &HeaderMap,
        now: Instant,
    ) -> Result<(), Error> {
        // 584 years fit.
        let now = u64::try_from(now.duration_since(self.started).as_nanos()).unwrap_or(u64::MAX);
        for limit in &self.limits {
            if let Err(wait) = limit.take(caller, headers, now, &self.counters) {
                self.counters.refused.fetch_add(1, Relaxed);
                return Err(limit.refusal(wait).caused_by(&self.origin));
            }
        }
        Ok(())
    }
}

impl Limit {
    fn new(spec: &RateLimit, policy: &str, index: usize) -> Self {
        let name = format!("{policy}.{index}");
        let mut value = format!("\"{name}\";q={}", spec.requests);
        // The draft has whole seconds; a window of another length is left out.
        if spec.per.subsec_nanos() == 0 {
            value.push_str(&format!(";w={}", spec.per.as_secs()));
        }
        Self {
            rate: Rate::new(spec.requests, spec.per, spec.capacity),
            tokens: match spec.key {
                LimitKey::Everybody => Tokens::All(Bucket::default()),
                LimitKey::CallerIdentity | LimitKey::Header(_) => Tokens::Each(Keys::new()),
            },
            // Names of objects are letters, digits, dashes and dots.
            policy: HeaderValue::try_from(value).unwrap_or_else(|_| HeaderValue::from_static("")),
            spec: spec.clone(),
            name,
        }
    }

    /// `Err` with the nanoseconds until there is a token.
    fn take(
        &self,
        caller: Option<&SpiffeId>,
        headers: &HeaderMap,
        now: u64,
        counters: &Counters,
    ) -> Result<(), u64> {
        let keys = match &self.tokens {
            Tokens::All(bucket) => return bucket.take(&self.rate, now),
            Tokens::Each(keys) => keys,
        };
        let mut hasher = keys.hasher();
        match &self.spec.key {
            LimitKey::Header(name) => {
                for value in headers.get_all(name) {
                    hasher.write(value.as_bytes());
                    // As one list (RFC 9110 §5.3).
                    hasher.write_u8(b',');
                }
            }
            LimitKey::CallerIdentity | LimitKey::Everybody => {
                hasher.write(caller.map_or(&[][..], |id| id.as_str().as_bytes()));
            }
        }
        let found = keys.bucket(hasher.finish(), now);
        if found.forgot {
            counters.forgotten.fetch_add(1, Relaxed);
        }
        found.bucket.take(&self.rate, now)
    }

    fn refusal(&self, wait: u64) -> Error {
        let seconds = Duration::from_nanos(wait).as_secs_f64().ceil().max(1.0);
        let RateLimit { requests, per, .. } = &self.spec;
        let whose = match &self.spec.key {
            LimitKey::Everybody => "of all callers".to_owned(),
            LimitKey::CallerIdentity => "of one caller".to_owned(),
            LimitKey::Header(name) => format!("with the same {name}"),
        };
        let message = format!("more than {requests} requests {whose} in {per:?}");
        let standing = HeaderValue::try_from(format!("\"{}\";r=0;t={seconds}", self.name));
        let retry_after = HeaderValue::try_from(seconds.to_string());
        let error = Error::new(Token::RateLimited, message);
        [
            (RATELIMIT_POLICY, Ok(self.policy.clone())),
            (RATELIMIT, standing),
            (RETRY_AFTER, retry_after),
        ]
        .into_iter()
        .filter_map(|(name, value)| Some((name, value.ok()?)))
        .fold(error, |error, (name, value)| error.with_header(name, value))
    }
}

//! Retries of one rule.

use std::time::Duration;

use http::StatusCode;

/// Retries of one rule. Whatever the application surely never saw is retried besides.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RetryPolicy {
    /// Retries after the first attempt.
    pub attempts: u32,
    /// What earns one; idempotent methods only, but for [`RetryOn::Grpc`].
    pub on: Vec<RetryOn>,
    /// Limit on one attempt, to the response head.
    pub per_try_timeout: Option<Duration>,
    /// Pauses. `None`: up to 25 ms, 50 ms and so on to 250 ms, and none before the first retry if another endpoint can take it.
    pub backoff: Option<Backoff>,
    /// A `Retry-After` up to this is waited for, a longer one ends the retries. `None`: it is not looked at.
    pub longest_retry_after: Option<Duration>,
}

/// Condition of a retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryOn {
    /// The connection broke before a response head, or the attempt timed out.
    Reset,
    /// 502, 503, 504.
    GatewayError,
    /// Any 5xx, or no response at all.
    ServerError,
    /// One status.
    Status(StatusCode),
    /// This code of gRPC, in the head of the answer or as this proxy would say it; gRPC calls only, and these
    /// although they are POSTs: whoever names a code says that it is safe.
    Grpc(u16),
}

/// At least `base`, at most `maximum`, up to twice as long with each further retry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// No retry comes sooner.
    pub base: Duration,
    /// Not less than `base`.
    pub maximum: Duration,
}

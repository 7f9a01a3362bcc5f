//! How a request got to its end: attempts, times, the cluster it went to, what was said of its failure. Written along the way by
//! `outbound`, `retry` and [`super::Record`]; read once, at the end, and only if the request is remembered or watched
//! (`telemetry::recent`). A request that goes well at the first attempt allocates nothing here and reads no clock more than it did.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::header::{HeaderMap, HeaderName, HeaderValue};
use tokio::time::Instant;
use weft_proto::origin::Origin;

use crate::cluster::Cluster;
use crate::error::{Error, Token};

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// How a sidecar's own begins.
const OURS: &[u8] = b"weft; error=";

/// See the module.
#[derive(Debug, Default)]
pub struct Story {
    cluster: Option<Arc<Cluster>>,
    /// Attempts that were followed by another one. Bound: one less than attempts, which the policy bounds.
    tried: Vec<Try>,
    /// Of the last attempt: when it began, when the request began to leave, and when it was over or its answer's head there.
    began: Option<Instant>,
    written: Option<Instant>,
    ended: Option<Instant>,
    stopped: Option<Stop>,
    failure: Option<Box<Failure>>,
    reported: Option<HeaderValue>,
}

/// An attempt that was followed by another one.
#[derive(Clone, Debug)]
pub struct Try {
    /// Where; `None` if there was no endpoint.
    pub endpoint: Option<SocketAddr>,
    /// When it began.
    pub began: Option<Instant>,
    /// How long it took.
    pub took: Duration,
    /// Status of its answer; 0 without one.
    pub status: u16,
    /// Why there was none.
    pub error: Option<Token>,
    /// The same in words.
    pub detail: String,
}

/// What this proxy says of the failure.
#[derive(Debug)]
pub struct Failure {
    /// In words.
    pub message: String,
    /// The object that caused it.
    pub origin: Option<Origin>,
    /// A word for the exact cause.
    pub reason: Option<&'static str>,
}

/// Why nothing more was tried, where more would have been.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// It was tried as often as the policy says.
    Attempts,
    /// Further on it was.
    FurtherOn,
    /// The body was too large to be kept.
    Body,
    /// The other side asked for it.
    AskedNotTo,
    /// The request's own time does not suffice.
    Time,
    /// As many retries as the limit allows are under way.
    RetryLimit,
    /// The budget of retries is spent.
    RetryBudget,
}

impl Stop {
    /// As written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Attempts => "attempts",
            Self::FurtherOn => "further_on",
            Self::Body => "body",
            Self::AskedNotTo => "asked_not_to",
            Self::Time => "time",
            Self::RetryLimit => "retry_limit",
            Self::RetryBudget => "retry_budget",
        }
    }
}

impl Story {
    /// It goes to this cluster.
    pub fn towards(&mut self, cluster: &Arc<Cluster>) {
        self.cluster = Some(Arc::clone(cluster));
    }

    /// One more attempt begins.
    pub fn begins(&mut self, at: Instant) {
        (self.began, self.written, self.ended) = (Some(at), None, None);
    }

    /// The attempt is over, or the head of its answer is there; `written`: since when its connection was open.
    pub fn heard(&mut self, written: Option<Instant>, at: Instant) {
        (self.written, self.ended) = (written, Some(at));
    }

    /// Nothing more is tried.
    pub fn stopped(&mut self, why: Stop) {
        self.stopped = Some(why);
    }

    pub(super) fn tried(
        &mut self,
        endpoint: Option<SocketAddr>,
        status: u16,
        error: Option<&Error>,
    ) {
        let times = self.began.zip(self.ended);
        self.tried.push(Try {
            endpoint,
            began: self.began,
            took: times.map(|(began, ended)| ended - began).unwrap_or_default(),
            status,
            error: error.map(Error::token),
            detail: error.map_or_else(String::new, |error| error.message().to_owned()),
        });
    }

    pub(super) fn failed(&mut self, error: &Error) {
        self.failure = Some(Box::new(Failure {
            message: error.message().to_owned(),
            origin: error.origin().cloned(),
            reason: error.reason(),
        }));
    }

    /// Notes what the other sidecar says of its answer.
    pub(super) fn note_report(&mut self, headers: &HeaderMap) {
        let said = headers.get(PROXY_STATUS).filter(|said| said.as_bytes().starts_with(OURS));
        self.reported = said.cloned();
    }

    /// Where it went.
    #[must_use]
    pub fn cluster(&self) -> Option<&Arc<Cluster>> {
        self.cluster.as_ref()
    }

    /// What was tried before.
    #[must_use]
    pub fn all_tried(&self) -> &[Try] {
        &self.tried
    }

    /// When the last attempt began.
    #[must_use]
    pub fn began(&self) -> Option<Instant> {
        self.began
    }

    /// When its connection was open.
    #[must_use]
    pub fn written(&self) -> Option<Instant> {
        self.written
    }

    /// How long it took until its connection was open; `None` if it never was.
    #[must_use]
    pub fn connect(&self) -> Option<Duration> {
        self.began.zip(self.written).map(|(began, written)| written - began)
    }

    /// When the head of its answer was there, if it had one.
    #[must_use]
    pub fn answered(&self) -> Option<Instant> {
        self.ended.filter(|_| self.written.is_some())
    }

    /// Why nothing more was tried.
    #[must_use]
    pub fn why_stopped(&self) -> Option<Stop> {
        self.stopped
    }

    /// What this proxy says of the failure.
    #[must_use]
    pub fn failure(&self) -> Option<&Failure> {
        self.failure.as_deref()
    }

    /// What the other sidecar says of its answer: token and details.
    #[must_use]
    pub fn report(&self) -> Option<(&str, &str)> {
        let text = self.reported.as_ref()?.to_str().ok()?.strip_prefix("weft; error=")?;
        let (token, rest) = text.split_once(';').unwrap_or((text, ""));
        let details = rest.trim().strip_prefix("details=\"").unwrap_or_default();
        Some((token, details.strip_suffix('"').unwrap_or(details)))
    }
}

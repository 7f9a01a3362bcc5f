//! What is counted of an edge: plain counters, a latency histogram, and errors by token.
//!
//! Two shapes of the same thing: an [`Increment`] is one report's share, sparse and small, kept once a second;
//! a [`Tally`] is a sum, dense and quick to add to. All sums saturate: a reporter that sends nonsense spoils
//! its own numbers and nothing else.

use std::collections::BTreeMap;
use std::sync::Arc;

use weft_proto::latency;

// Bound: the proxy's table of error tokens is shorter; whatever a reporter invents beyond it is not kept.
const MAX_ERRORS: usize = 64;

/// Plain counters of one edge.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counters {
    /// Requests that ended.
    pub(crate) requests: u64,
    /// Of them, failed ones.
    pub(crate) failures: u64,
    /// Second and later attempts.
    pub(crate) retries: u64,
    /// Of the requests, those over mutual TLS.
    pub(crate) mtls: u64,
    /// Opaque connections opened.
    pub(crate) connections: u64,
    /// Bytes of opaque connections, towards the destination.
    pub(crate) bytes_sent: u64,
    /// Bytes of opaque connections, back.
    pub(crate) bytes_received: u64,
}

impl Counters {
    fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.failures, other.failures),
            (&mut self.retries, other.retries),
            (&mut self.mtls, other.mtls),
            (&mut self.connections, other.connections),
            (&mut self.bytes_sent, other.bytes_sent),
            (&mut self.bytes_received, other.bytes_received),
        ];
        for (sum, more) in pairs {
            *sum = sum.saturating_add(more);
        }
    }
}

/// One report's share of an edge.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Increment {
    /// Counters.
    pub(crate) counters: Counters,
    /// Latency bucket and count, ascending, each bucket once.
    pub(crate) latency: Vec<(u8, u32)>,
    /// Failures by error token.
    pub(crate) errors: Vec<(Arc<str>, u32)>,
}

impl Increment {
    /// Adds a second report of the same second.
    pub(crate) fn merge(&mut self, other: Self) {
        self.counters.add(&other.counters);
        for (bucket, count) in other.latency {
            self.add_latency(bucket, count);
        }
        for (token, count) in other.errors {
            match self.errors.iter().position(|(known, _)| *known == token) {
                Some(at) => self.errors[at].1 = self.errors[at].1.saturating_add(count),
                None if self.errors.len() < MAX_ERRORS => self.errors.push((token, count)),
                None => {}
            }
        }
    }

    /// Counts into one latency bucket, in any order.
    pub(crate) fn add_latency(&mut self, bucket: u8, count: u32) {
        match self.latency.binary_search_by_key(&bucket, |(known, _)| *known) {
            Ok(at) => self.latency[at].1 = self.latency[at].1.saturating_add(count),
            Err(at) => self.latency.insert(at, (bucket, count)),
        }
    }
}

/// A sum over a time.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// Counters.
    pub(crate) counters: Counters,
    /// Failures by error token.
    pub(crate) errors: BTreeMap<Arc<str>, u64>,
    /// Count of each of [`latency::BUCKETS`]; empty as long as there are none (opaque edges).
    latency: Vec<u64>,
}

impl Tally {
    /// Adds one increment.
    pub(crate) fn add(&mut self, increment: &Increment) {
        self.counters.add(&increment.counters);
        for (bucket, count) in &increment.latency {
            self.add_latency(usize::from(*bucket), u64::from(*count));
        }
        for (token, count) in &increment.errors {
            self.add_error(token, u64::from(*count));
        }
    }

    /// Adds another sum.
    pub(crate) fn merge(&mut self, other: &Self) {
        self.counters.add(&other.counters);
        for (bucket, count) in other.latency.iter().enumerate().filter(|(_, count)| **count > 0) {
            self.add_latency(bucket, *count);
        }
        for (token, count) in &other.errors {
            self.add_error(token, *count);
        }
    }

    /// Nothing was counted.
    pub(crate) fn is_empty(&self) -> bool {
        self.counters == Counters::default()
    }

    /// The `q`-quantile of the latency, milliseconds; `None` of nothing.
    #[allow(clippy::cast_precision_loss, reason = "a latency in microseconds is far below 2^53")]
    pub(crate) fn quantile_ms(&self, q: f64) -> Option<f64> {
        latency::quantile(&self.latency, q).map(|micros| micros as f64 / 1000.0)
    }

    /// Latency bucket and count, ascending; none that is empty.
    pub(crate) fn buckets(&self) -> Vec<(usize, u64)> {
        self.latency.iter().copied().enumerate().filter(|(_, count)| *count > 0).collect()
    }

    /// Share of the requests that did not fail; `None` without requests.
    pub(crate) fn success_rate(&self) -> Option<f64> {
        let failures = self.counters.failures.min(self.counters.requests);
        self.share(self.counters.requests - failures)
    }

    /// Share of the requests that went over mutual TLS; `None` without requests.
    pub(crate) fn mtls_share(&self) -> Option<f64> {
        self.share(self.counters.mtls.min(self.counters.requests))
    }

    #[allow(clippy::cast_precision_loss, reason = "a ratio for people")]
    fn share(&self, part: u64) -> Option<f64> {
        let requests = self.counters.requests;
        (requests > 0).then(|| part as f64 / requests as f64)
    }

    fn add_latency(&mut self, bucket: usize, count: u64) {
        if self.latency.is_empty() {
            self.latency.resize(latency::BUCKETS, 0);
        }
        if let Some(sum) = self.latency.get_mut(bucket) {
            *sum = sum.saturating_add(count);
        }
    }

    fn add_error(&mut self, token: &Arc<str>, count: u64) {
        if self.errors.len() < MAX_ERRORS || self.errors.contains_key(token) {
            let sum = self.errors.entry(token.clone()).or_default();
            *sum = sum.saturating_add(count);
        }
    }
}

#[cfg(test)]
mod tests;

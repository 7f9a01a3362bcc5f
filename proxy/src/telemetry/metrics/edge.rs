//! The counters of one edge, as atomics. Written by the request path, read by scrapes and reports.
//!
//! Nothing here may lock, allocate per request, or look anything up by name.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use crate::error::{Fault, Token};

/// A finished request as the counters see it.
#[derive(Clone, Copy, Debug)]
pub struct Observation {
    /// Status of the response; 0 if there was none.
    pub status: u16,
    /// `grpc-status`, if the response had one.
    pub grpc_status: Option<u16>,
    /// From the request's head to the last byte of the response.
    pub duration: Duration,
    /// Second and later attempts.
    pub retries: u32,
    /// Did it travel over mutual TLS?
    pub mtls: bool,
    /// Why this proxy failed it, if it did.
    pub error: Option<Token>,
}

impl Observation {
    /// Does it count against the success rate?
    #[must_use]
    pub fn is_failure(&self) -> bool {
        self.status >= 500
            || matches!(self.grpc_status, Some(2 | 4 | 12 | 13 | 14 | 15))
            || self.error.is_some_and(|token| token.fault() != Fault::Downstream)
    }
}

/// Counters of one edge.
#[derive(Debug, Default)]
pub struct Edge {
    requests: AtomicU64,
}

impl Edge {
    /// Counts a finished request.
    pub fn observe(&self, _observation: &Observation) {
        self.requests.fetch_add(1, Relaxed);
    }

    /// Counts an opaque connection when it opens.
    pub fn connection_opened(&self, _mtls: bool) {}

    /// Counts an opaque connection when it has closed. `sent` and `received` are bytes to and from the
    /// accepting side.
    pub fn connection_closed(&self, _sent: u64, _received: u64, _error: Option<Token>) {}
}

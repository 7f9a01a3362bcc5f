//! One endpoint: what is known of it and its idle connections. Shared by every version of its cluster and by
//! the requests in flight on it; when the last of them lets go, its connections close.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use rustls::pki_types::ServerName;
use tokio::time::Instant;

use super::checked::{Checked, Health};
use super::ewma::Latency;
use super::limits::Admission;
use super::outlier::Outlier;
use crate::model::{EndpointSpec, OutlierSpec, SlowStart};
use crate::upstream::Pool;

/// A destination of connections.
#[derive(Debug)]
pub struct Endpoint {
    /// What the control plane said.
    pub spec: EndpointSpec,
    /// Name under which TLS sessions are kept: a digest of the expected identity. `None`: plaintext.
    pub server_name: Option<ServerName<'static>>,
    born: Instant,
    /// Moving average of the latency.
    pub latency: Latency,
    /// Ejection.
    pub outlier: Outlier,
    /// Active health checks.
    pub checked: Checked,
    /// Connections, one pool for each worker.
    pub pools: Vec<Pool>,
    /// Of the application behind an inbound port that may carry anything: it spoke before its client when it was last
    /// seen.
    pub server_first: AtomicBool,
    /// Connections open, over all workers.
    pub connections: AtomicU32,
    in_flight: AtomicU32,
}

impl Endpoint {
    /// A new endpoint without connections.
    #[must_use]
    pub fn new(spec: EndpointSpec, workers: usize) -> Self {
        let server_name = spec.identity.as_ref().map(weft_certs::tls::server_name);
        Self {
            spec,
            server_name,
            born: Instant::now(),
            latency: Latency::new(),
            outlier: Outlier::new(),
            checked: Checked::default(),
            pools: (0..workers).map(|_| Pool::default()).collect(),
            server_first: AtomicBool::new(false),
            connections: AtomicU32::new(0),
            in_flight: AtomicU32::new(0),
        }
    }

    /// May it be chosen where there are others?
    #[must_use]
    pub fn is_usable(&self, now: Instant) -> bool {
        !self.outlier.is_ejected(now) && self.checked.health() != Health::Unhealthy
    }

    /// The share of its weight that it has while it is new: from the minimum to the whole within the window.
    pub(super) fn warmth(&self, slow_start: SlowStart, now: Instant) -> f64 {
        let age = now.saturating_duration_since(self.born).max(Duration::from_millis(1));
        if age >= slow_start.window {
            return 1.0;
        }
        let passed = age.as_secs_f64() / slow_start.window.as_secs_f64();
        passed.powf(1.0 / slow_start.aggression).max(slow_start.minimum)
    }

    /// Requests in flight, over all workers.
    #[must_use]
    pub fn in_flight(&self) -> u32 {
        self.in_flight.load(Relaxed)
    }

    /// Counts a request for as long as the guard lives.
    #[must_use]
    pub fn begin(self: &Arc<Self>) -> InFlight {
        self.begin_admitted(Admission::default())
    }

    /// The same for one that holds a place within the cluster's limits.
    #[must_use]
    pub fn begin_admitted(self: &Arc<Self>, admission: Admission) -> InFlight {
        self.in_flight.fetch_add(1, Relaxed);
        InFlight { endpoint: Arc::clone(self), _admission: admission }
    }
}

/// A request in flight on an endpoint.
#[derive(Debug)]
pub struct InFlight {
    endpoint: Arc<Endpoint>,
    _admission: Admission,
}

impl InFlight {
    /// The endpoint.
    #[must_use]
    pub fn endpoint(&self) -> &Arc<Endpoint> {
        &self.endpoint
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.endpoint.in_flight.fetch_sub(1, Relaxed);
    }
}

/// The one request that decides whether an ejected endpoint comes back. Dropped without an end, because nobody
/// waits for it any more, it leaves the decision to the next request.
#[derive(Debug)]
pub struct Trial(Option<Arc<Endpoint>>);

impl Trial {
    pub(super) fn begin(endpoint: &Arc<Endpoint>) -> Self {
        Self(Some(Arc::clone(endpoint)))
    }

    pub(super) fn end(mut self, failed: bool, spec: &OutlierSpec, jitter: f64, now: Instant) {
        let Some(endpoint) = self.0.take() else { return };
        if failed {
            endpoint.outlier.reopen(spec, jitter, now);
        } else {
            endpoint.outlier.close(now);
        }
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        if let Some(endpoint) = self.0.take() {
            endpoint.outlier.abandon(Instant::now());
        }
    }
}

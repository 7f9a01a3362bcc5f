//! One port of a Service as a destination: its endpoints, the choice among them, who is ejected, what may be under
//! way at once, and what may be spent on retries.
//!
//! A [`Cluster`] is one immutable version, part of the snapshot that a request holds; `state` builds the
//! next one from the previous, and what must survive a change (load, latency, ejection, idle connections,
//! the retry budget) lives in shared parts that are carried over.

mod balancer;
mod budget;
mod checked;
mod choose;
mod endpoint;
mod ewma;
mod hash;
mod limits;
mod outlier;
mod place;
mod ring;
mod spill;
mod standing;

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use crate::model::{Balancer, ClusterSpec, HashPolicy, Locality, PlacedEndpoint};
use crate::random::Random;

pub use budget::Budget;
pub use checked::{Checked, Health};
pub use choose::Ask;
pub use endpoint::{Endpoint, InFlight, Trial};
pub use ewma::Sample;
pub use hash::{cookie, hash};
pub use limits::{Admission, Held, Limits};
pub use outlier::{Circuit, Outcome, Outlier, Reason};

use standing::Standing;

/// One version of a cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its settings.
    pub spec: Arc<ClusterSpec>,
    /// Its endpoints, in the order of the control plane.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What all versions share.
    pub shared: Arc<Shared>,
    /// What may be under way at once.
    pub limits: Limits,
    standing: Standing,
    /// As `endpoints`: who is about to go.
    draining: Vec<bool>,
}

/// What survives a change of configuration.
#[derive(Debug)]
pub struct Shared {
    /// Bounds retries.
    pub budget: Budget,
    /// Round robin's place.
    cursor: AtomicUsize,
    /// By position in [`Reason::ALL`].
    ejections: [AtomicU64; Reason::ALL.len()],
    /// Health checks that failed and that passed.
    checks: [AtomicU64; 2],
    /// Lock: held for one ejection, which is rare, so that the share that may be out is kept to the number.
    ejecting: Mutex<()>,
}

impl Shared {
    fn new() -> Self {
        Self {
            budget: Budget::new(),
            cursor: AtomicUsize::new(0),
            ejections: Default::default(),
            checks: Default::default(),
            ejecting: Mutex::default(),
        }
    }

    /// A health check has ended.
    pub(crate) fn checked(&self, passed: bool) {
        self.checks[usize::from(passed)].fetch_add(1, Relaxed);
    }

    /// Health checks that failed, and that passed.
    #[must_use]
    pub fn checks(&self) -> [u64; 2] {
        self.checks.each_ref().map(|count| count.load(Relaxed))
    }

    /// How often an endpoint was ejected, by reason.
    pub fn ejections(&self) -> impl Iterator<Item = (Reason, u64)> {
        Reason::ALL.into_iter().zip(self.ejections.iter().map(|count| count.load(Relaxed)))
    }
}

impl Cluster {
    /// The next version. Endpoints with the same address, identity and workload are kept with their
    /// connections and history; `workers` is the number of pools of a new one, `own` where this proxy is.
    #[must_use]
    pub fn next(
        previous: Option<&Self>,
        spec: Arc<ClusterSpec>,
        placed: &[PlacedEndpoint],
        own: &Locality,
        workers: usize,
    ) -> Self {
        let kept = previous.map_or(&[][..], |cluster| &cluster.endpoints);
        let endpoints: Vec<_> = placed
            .iter()
            .map(|PlacedEndpoint { spec: wanted, .. }| {
                let same = kept.iter().find(|endpoint| &endpoint.spec == wanted);
                same.map_or_else(|| Arc::new(Endpoint::new(wanted.clone(), workers)), Arc::clone)
            })
            .collect();
        let shared =
            previous.map_or_else(|| Arc::new(Shared::new()), |cluster| Arc::clone(&cluster.shared));
        let limits = Limits::next(previous.map(|cluster| &cluster.limits), spec.limits);
        let ring = match &spec.balancer {
            Balancer::RingHash(ring) => Some(ring),
            _ => None,
        };
        let priorities = place::priorities(placed, spec.prefer_local.then_some(own));
        let standing = Standing::new(&endpoints, priorities, ring);
        let draining = placed.iter().map(|endpoint| endpoint.draining).collect();
        Self { spec, endpoints, shared, limits, standing, draining }
    }

    /// Where a request's key comes from; empty if the balancer has no use for one.
    #[must_use]
    pub fn hash_policies(&self) -> &[HashPolicy] {
        match &self.spec.balancer {
            Balancer::RingHash(ring) => &ring.policies,
            _ => &[],
        }
    }

    /// Is the endpoint of that number about to go?
    #[must_use]
    pub fn is_draining(&self, number: usize) -> bool {
        self.draining.get(number).copied().unwrap_or(false)
    }

    /// The priority of the endpoint of that number, from 0; `None` if it has none because it is draining.
    #[must_use]
    pub fn priority(&self, number: usize) -> Option<usize> {
        self.standing.priority_of(number)
    }

    /// Notes how an attempt ended: ejects the endpoint if that was one failure too many, and ends its trial.
    pub fn note(
        &self,
        endpoint: &Endpoint,
        trial: Option<Trial>,
        outcome: Outcome,
        random: &Random,
        now: Instant,
    ) {
        let spec = &self.spec.outlier;
        if let Some(trial) = trial {
            let failed = matches!(outcome, Outcome::Status(_) | Outcome::Local);
            trial.end(failed, spec, random.unit(), now);
            if failed {
                self.count(Reason::Trial);
            }
            return;
        }
        if !spec.is_on() {
            return;
        }
        if let Some(reason) = endpoint.outlier.note(outcome, spec, now) {
            self.eject(endpoint, reason, random.unit(), now);
        }
    }

    /// Race: ejections are one at a time, so that two of them cannot both take the last place.
    #[cold]
    fn eject(&self, endpoint: &Endpoint, reason: Reason, jitter: f64, now: Instant) {
        let _one = self.shared.ejecting.lock().unwrap_or_else(PoisonError::into_inner);
        let out = self.endpoints.iter().filter(|other| !other.outlier.is_closed()).count();
        // Whatever becomes of it, the next row begins anew.
        endpoint.outlier.forget();
        let spec = &self.spec.outlier;
        if outlier::may_eject(spec, self.endpoints.len(), out)
            && endpoint.outlier.eject(spec, jitter, now)
        {
            self.count(reason);
            tracing::info!(
                cluster = self.spec.name, endpoint = %endpoint.spec.address,
                workload = endpoint.spec.workload, reason = reason.as_str(), "endpoint ejected"
            );
        }
    }

    fn count(&self, reason: Reason) {
        self.shared.ejections[reason as usize].fetch_add(1, Relaxed);
    }

    /// As many connections as its limit allows are open.
    pub(crate) fn is_full(&self) -> bool {
        self.limits.connections().is_some_and(|limit| self.connections() >= limit)
    }

    /// Makes room for one more connection, under the limit, by closing idle ones, of any endpoint and worker.
    pub(crate) fn make_room(&self) {
        let Some(limit) = self.limits.connections() else { return };
        let surplus = (self.connections() + 1).saturating_sub(limit);
        let mut idle = self.endpoints.iter().flat_map(|endpoint| &endpoint.pools);
        let mut closed = 0;
        while closed < surplus {
            let Some(pool) = idle.next() else { return };
            while closed < surplus && pool.close_idle() {
                closed += 1;
            }
        }
    }

    /// Connections open, of all endpoints and workers.
    pub(crate) fn connections(&self) -> u32 {
        self.endpoints.iter().map(|endpoint| endpoint.connections.load(Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests;

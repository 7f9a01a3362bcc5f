//! One port of a Service as a destination: its endpoints, the choice among them, who is ejected, and what may
//! be spent on retries.
//!
//! A [`Cluster`] is one immutable version, part of the snapshot that a request holds; `state` builds the
//! next one from the previous, and what must survive a change (load, latency, ejection, idle connections,
//! the retry budget) lives in shared parts that are carried over.

mod balancer;
mod budget;
mod endpoint;
mod ewma;
mod outlier;

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::time::Instant;

use crate::model::{ClusterSpec, EndpointSpec};
use crate::random::Random;

pub use budget::Budget;
pub use endpoint::{Endpoint, InFlight};
pub use ewma::Sample;
pub use outlier::{Health, Outlier};

/// One version of a cluster.
#[derive(Debug)]
pub struct Cluster {
    /// Its settings.
    pub spec: Arc<ClusterSpec>,
    /// Its endpoints, in the order of the control plane.
    pub endpoints: Vec<Arc<Endpoint>>,
    /// What all versions share.
    pub shared: Arc<Shared>,
    /// Indices of `endpoints`, each as often as its weight says.
    order: Vec<usize>,
}

/// What survives a change of configuration.
#[derive(Debug)]
pub struct Shared {
    /// Bounds retries.
    pub budget: Budget,
    /// Round robin's place.
    cursor: AtomicUsize,
}

impl Cluster {
    /// The next version. Endpoints with the same address, identity and workload are kept with their
    /// connections and history; `workers` is the number of pools of a new one.
    #[must_use]
    pub fn next(
        previous: Option<&Self>,
        spec: Arc<ClusterSpec>,
        endpoints: &[EndpointSpec],
        workers: usize,
    ) -> Self {
        let kept = previous.map_or(&[][..], |cluster| &cluster.endpoints);
        let endpoints: Vec<_> = endpoints
            .iter()
            .map(|wanted| {
                let same = kept.iter().find(|endpoint| &endpoint.spec == wanted);
                same.map_or_else(|| Arc::new(Endpoint::new(wanted.clone(), workers)), Arc::clone)
            })
            .collect();
        let shared = previous.map_or_else(
            || Arc::new(Shared { budget: Budget::new(), cursor: AtomicUsize::new(0) }),
            |cluster| Arc::clone(&cluster.shared),
        );
        let order = balancer::weighted_order(&endpoints);
        Self { spec, endpoints, shared, order }
    }

    /// Chooses an endpoint; `avoid` is the one that has just failed and is taken only if no other is left.
    /// With every endpoint ejected all are used: a guess beats a refusal. `None` if there is no endpoint.
    #[must_use]
    pub fn pick(
        &self,
        random: &Random,
        now: Instant,
        avoid: Option<&Arc<Endpoint>>,
    ) -> Option<&Arc<Endpoint>> {
        let usable = |endpoint: &Arc<Endpoint>| {
            !endpoint.outlier.is_ejected(now)
                && avoid.is_none_or(|avoided| !Arc::ptr_eq(avoided, endpoint))
        };
        let panicking =
            |endpoint: &Arc<Endpoint>| avoid.is_none_or(|avoided| !Arc::ptr_eq(avoided, endpoint));
        let choose = |usable: &dyn Fn(&Arc<Endpoint>) -> bool| {
            balancer::pick(self, &self.shared.cursor, random, now, usable)
        };
        choose(&usable).or_else(|| choose(&panicking)).or_else(|| choose(&|_| true))
    }

    /// Notes how an attempt ended, and ejects the endpoint if that was one failure too many.
    pub fn note(&self, endpoint: &Endpoint, failed: bool, now: Instant) {
        let others_out = || self.endpoints.iter().filter(|e| e.outlier.is_ejected(now)).count();
        endpoint.outlier.note(failed, &self.spec.outlier, self.endpoints.len(), others_out, now);
    }
}

#[cfg(test)]
mod tests;

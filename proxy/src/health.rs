//! Active health checks: asks the endpoints of clusters that want it, in turn, whether they are well. Run by `app` on
//! the control thread; what it finds stands at the endpoint ([`crate::cluster::Checked`]), where picks read it.
//!
//! Each endpoint has a task of its own. A check goes the way of a request, over a connection of its own: through mutual
//! TLS to the other sidecar and from there to the application, so it says what a request would meet.
//!
//! Bound: a task and a connection for each endpoint of the clusters that want it.

mod probe;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::task::{AbortHandle, JoinSet};

use crate::cluster::{Cluster, Endpoint};
use crate::control_channel::random_unit;
use crate::model::HealthCheck;
use crate::state::State;
use crate::upstream::Upstream;

/// First checks come within this, so that a new endpoint is soon known.
const FIRST_WITHIN: Duration = Duration::from_secs(1);
/// An interval is longer or shorter by up to this part of it.
const JITTER: f64 = 0.1;

/// Follows the state from one [`Notify`] to the next; never ends.
pub(crate) async fn run(state: Arc<State>, upstream: Upstream, changed: Arc<Notify>) {
    let mut checker = Checker { upstream, tasks: JoinSet::new(), running: HashMap::new() };
    loop {
        checker.follow(state.clusters().into_values());
        tokio::select! {
            () = changed.notified() => {}
            // An aborted task is collected.
            Some(_) = checker.tasks.join_next() => {}
        }
    }
}

struct Checker {
    upstream: Upstream,
    tasks: JoinSet<()>,
    /// By cluster and endpoint. Each task holds its endpoint, so no other can come to be at the same place.
    running: HashMap<(String, usize), Running>,
}

struct Running {
    settings: Arc<HealthCheck>,
    endpoint: Arc<Endpoint>,
    task: AbortHandle,
}

impl Checker {
    fn follow(&mut self, clusters: impl Iterator<Item = Arc<Cluster>>) {
        let mut before = std::mem::take(&mut self.running);
        for cluster in clusters {
            let Some(settings) = &cluster.spec.health_check else { continue };
            for endpoint in &cluster.endpoints {
                let key = (cluster.spec.name.clone(), Arc::as_ptr(endpoint) as usize);
                let kept = before.remove(&key).filter(|running| running.settings == *settings);
                let running = kept.unwrap_or_else(|| self.start(&cluster, settings, endpoint));
                self.running.insert(key, running);
            }
        }
        for (_, gone) in before {
            gone.task.abort();
            gone.endpoint.checked.forget();
        }
    }

    fn start(
        &mut self,
        cluster: &Cluster,
        settings: &Arc<HealthCheck>,
        endpoint: &Arc<Endpoint>,
    ) -> Running {
        let check = Check {
            cluster: cluster.spec.name.clone(),
            counts: Arc::clone(&cluster.shared),
            settings: Arc::clone(settings),
            endpoint: Arc::clone(endpoint),
            upstream: self.upstream.clone(),
        };
        let task = self.tasks.spawn(check.run());
        Running { settings: Arc::clone(settings), endpoint: Arc::clone(endpoint), task }
    }
}

struct Check {
    cluster: String,
    counts: Arc<crate::cluster::Shared>,
    settings: Arc<HealthCheck>,
    endpoint: Arc<Endpoint>,
    upstream: Upstream,
}

impl Check {
    async fn run(self) {
        let settings = &self.settings;
        tokio::time::sleep(settings.interval.min(FIRST_WITHIN).mul_f64(random_unit())).await;
        loop {
            let asked = probe::ask(&self.upstream, &self.endpoint, &self.cluster, settings);
            let verdict = match tokio::time::timeout(settings.timeout, Box::pin(asked)).await {
                Ok(verdict) => verdict,
                Err(_) => Err(format!("no answer within {:?}", settings.timeout)),
            };
            self.counts.checked(verdict.is_ok());
            if let Some(health) = self.endpoint.checked.note(verdict.is_ok(), settings) {
                tracing::info!(
                    cluster = self.cluster, endpoint = %self.endpoint.spec.address,
                    workload = self.endpoint.spec.workload, health = health.as_str(),
                    reason = verdict.err(), "health of an endpoint"
                );
            }
            let jitter = 1.0 - JITTER + 2.0 * JITTER * random_unit();
            tokio::time::sleep(settings.interval.mul_f64(jitter)).await;
        }
    }
}

#[cfg(test)]
mod tests;

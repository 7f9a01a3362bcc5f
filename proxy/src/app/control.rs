//! The control thread: certificate, configuration, reports, admin, signals. It starts the workers and outlives
//! them. What it awaits never delays a request.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tonic::transport::Channel;

use super::{App, HOLD, Stopping, admin, subscriptions};
use crate::cluster::Endpoint;
use crate::control_channel::ControlPlane;
use crate::health;
use crate::identity::{Credentials, Identity, Pushed, Renewal};
use crate::inbound::Apps;
use crate::overload;
use crate::readiness::Readiness;
use crate::state::State;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::{ConfigStanding, IDENTITY_RENEWAL_FAILURES, Metrics, Trust};
use crate::telemetry::report::Reporter;
use crate::upstream::{Pool, Upstream};
use crate::workers::{self, Behind, Shared};
use crate::xds::{self, SyncState};

/// How often idle connections are looked at.
const SWEEP_APP: Duration = Duration::from_secs(1);
/// Rounds of it between two sweeps of everything.
const SWEEP: u64 = 5;
/// Rounds until what callers asked for is looked through for what is over.
const SWEEP_TRAFFIC: u64 = 30;
/// Bound of the last export of spans and lines. With the process's own log, which comes after it, within two seconds.
const FLUSH: Duration = Duration::from_millis(1500);

impl App {
    /// Serves until SIGTERM or SIGINT, then stops in order. A second signal ends it at once.
    ///
    /// # Errors
    /// If the system gives no threads or signals.
    pub fn run(self) -> anyhow::Result<()> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let done = runtime.block_on(self.control());
        // Order: not dropped, which would wait for a look-up of a name that nobody answers.
        runtime.shutdown_background();
        done
    }

    async fn control(mut self) -> anyhow::Result<()> {
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let reporting = self.start_planes();
        let Stopping { inbound, outbound, accepting, running } =
            self.stopping.take().context("a sidecar runs once")?;
        let inbound = Arc::new(inbound);
        admin::start(&mut self, &inbound)?;
        self.look_after();
        tokio::select! {
            () = ready(&self.readiness) => tracing::info!(workload = %self.shared.workload, "ready"),
            () = tokio::time::sleep(HOLD) => {
                let missing = self.readiness.missing();
                tracing::warn!(?missing, "not ready yet, accepting all the same");
                let (readiness, workload) = (self.readiness.clone(), self.shared.workload.clone());
                tokio::spawn(async move {
                    ready(&readiness).await;
                    tracing::info!(%workload, "ready");
                });
            }
            _ = terminate.recv() => return Ok(()),
            _ = interrupt.recv() => return Ok(()),
        }
        let mut threads = Vec::new();
        for index in 0..self.config.workers {
            threads.push(workers::start(index, self.seed(index), &self.doors, &self.shared)?);
        }
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!(open = inbound.open() + outbound.open(), "stopping");
        // Order: no new connections before those that are open are asked to end, or the last would never go.
        accepting.send_replace(true);
        self.doors.clear();
        // Where `weft-proxy drain` came before, as in a pod, the callers' grace has been running since.
        self.shared.telemetry.metrics.draining(true);
        let grace = self.config.drain_grace;
        tokio::select! {
            _ = async { tokio::join!(inbound.drain(grace), outbound.drain(grace)) } => {}
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        inbound.abort();
        outbound.abort();
        running.send_replace(true);
        for thread in threads {
            // A worker that panicked has said so.
            let _ = thread.join();
        }
        // Order: the workers have ended, so the last report and the last spans are complete.
        let _ = tokio::time::timeout(FLUSH, async {
            tokio::join!(reporting, self.shared.telemetry.shutdown(FLUSH))
        })
        .await;
        Ok(())
    }

    /// Idle connections, and what is left of memory and descriptors.
    fn look_after(&self) {
        let apps = self.doors.iter().filter_map(|door| match &door.behind {
            Behind::Application { app, .. } => Some(Arc::clone(app)),
            Behind::Service(_) | Behind::Outbound | Behind::Inbound => None,
        });
        let idle = Idle {
            state: Arc::clone(&self.shared.state),
            apps: apps.collect(),
            found: self.shared.intercepted.as_ref().map(|all| Arc::clone(&all.apps)),
        };
        let (overload, kept) = (self.shared.limits.overload.clone(), idle.clone());
        tokio::spawn(overload::watch(overload, self.config.memory, move || kept.close()));
        tokio::spawn(sweep(idle));
        let telemetry = Arc::clone(&self.shared.telemetry);
        tokio::spawn(async move { telemetry.tracing.watch_for_broken().await });
    }

    /// Active health checks; what is returned tells them of other endpoints.
    fn start_health_checks(&self) -> Arc<Notify> {
        let (state, tls) = (Arc::clone(&self.shared.state), Arc::clone(&self.shared.tls));
        let changed = Arc::new(Notify::new());
        // They have no pool; they are as good as of the first worker.
        let overload = self.shared.limits.overload.clone();
        let upstream = Upstream { worker: 0, tls, own: None, overload };
        tokio::spawn(health::run(state, upstream, Arc::clone(&changed)));
        changed
    }

    /// Puts in force what xDS says.
    fn applying(
        &self,
        credentials: watch::Receiver<Option<Arc<Credentials>>>,
    ) -> impl Fn(xds::Update) + Send + Sync + use<> {
        let (state, telemetry) =
            (Arc::clone(&self.shared.state), Arc::clone(&self.shared.telemetry));
        let (shared, changed) = (self.shared.clone(), self.start_health_checks());
        move |update: xds::Update| {
            let is_about_peers = |change: &xds::Change| matches!(change, xds::Change::DenyList(_));
            let anew = update.changes.iter().any(is_about_peers);
            state.apply(update.changes);
            // Whoever is denied cannot resume a session: in a full handshake he is told why.
            if anew {
                put_in_force(&credentials.borrow(), &shared);
            }
            changed.notify_one();
            if let Some(own) = state.inbound() {
                telemetry.tracing.set_collector(own.tracing.collector.as_ref());
                telemetry.tracing.set_sampling(own.tracing.sampling);
                telemetry.access_log.configure(&own.logging);
            }
        }
    }

    /// Certificate and configuration: what the state directory holds is in force when this returns.
    fn start_planes(&mut self) -> JoinHandle<()> {
        let control_plane = ControlPlane::new(&self.bootstrap);
        let (pushed, bundles) = watch::channel(None);
        let denials = Arc::clone(self.shared.state.denials());
        let pushed_by_others = Pushed { bundles, denied: denials.watch_own() };
        let store = || Arc::clone(&self.store);
        let (identity, identity_handle) =
            Identity::new(&self.bootstrap, control_plane.clone(), store(), pushed_by_others);
        let on_demand = self.config.is_on_demand();
        let flags = std::mem::take(&mut self.config.upstream);
        let names = flags.into_iter().map(|flag| flag.service).collect();
        let (upstreams, on_demand) = if on_demand { (vec![], names) } else { (names, vec![]) };
        let options = xds::Options {
            upstreams,
            on_demand,
            intercepts: self.config.transparent.is_some(),
            control_plane: control_plane.clone(),
            credentials: identity_handle.credentials.clone(),
            store: store(),
            trust_bundle: pushed,
            denials,
        };
        let apply = self.applying(identity_handle.credentials.clone());
        let (client, xds_handle) = xds::Client::new(&self.bootstrap, options, Box::new(apply));
        let renewal = identity_handle.renewal.clone();
        let failures = move || renewal.borrow().failures;
        self.shared.telemetry.metrics.watch(IDENTITY_RENEWAL_FAILURES, failures);
        put_in_force(&identity_handle.credentials.borrow(), &self.shared);
        self.shared.state.adopt();
        self.readiness.sync = self.config.transparent.map(|_| xds_handle.sync.clone());
        if let Some(asked) = self.asked.take() {
            let (state, idle) = (Arc::clone(&self.shared.state), self.config.upstream_idle);
            tokio::spawn(subscriptions::run(state, asked, xds_handle.clone(), idle));
        }
        let credentials = identity_handle.credentials.clone();
        let reporter = Reporter::new(
            &self.bootstrap.workload,
            Arc::clone(&self.shared.telemetry),
            Arc::clone(&identity_handle.renew),
            move || Box::pin(authenticated(control_plane.clone(), credentials.clone())),
        )
        .answering(Arc::clone(self.shared.state.traffic()));
        tokio::spawn(identity.run());
        tokio::spawn(client.run());
        tokio::spawn(follow_credentials(identity_handle.credentials.clone(), self.shared.clone()));
        let metrics = self.shared.telemetry.metrics.clone();
        tokio::spawn(follow_renewal(identity_handle.renewal.clone(), metrics));
        tokio::spawn(follow_sync(xds_handle.sync.clone(), Arc::clone(&self.shared.telemetry)));
        tokio::spawn(reporter.run(self.shared.stop.running.clone()))
    }
}

async fn ready(readiness: &Readiness) {
    let mut look = tokio::time::interval(Duration::from_millis(10));
    while !readiness.missing().is_empty() {
        look.tick().await;
    }
}

impl App {
    /// Different for every process and worker; balancing needs no more.
    fn seed(&self, worker: usize) -> u64 {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let nanos = u64::from(now.subsec_nanos()) ^ (now.as_secs() << 20);
        nanos ^ (u64::from(std::process::id()) << 32) ^ ((worker as u64 + 1) << 52)
    }
}

fn put_in_force(credentials: &Option<Arc<Credentials>>, shared: &Shared) {
    let pair = credentials.as_deref().map(|own| (&own.leaf, &own.bundle));
    if let Err(error) = shared.tls.set(pair) {
        tracing::error!(%error, "the new certificate cannot be used, the old one stays");
    }
    if let Some(own) = credentials {
        shared.telemetry.metrics.identity_valid(own.leaf.not_before(), own.leaf.not_after());
        let leaf_root = own.bundle.root_of(own.leaf.chain()).unwrap_or_default();
        shared.telemetry.metrics.trust(Trust { leaf_root, roots: own.bundle.fingerprints() });
    }
}

/// A channel to the control plane as this workload; waits until it can prove to be it.
async fn authenticated(
    control_plane: ControlPlane,
    mut credentials: watch::Receiver<Option<Arc<Credentials>>>,
) -> Result<Channel, String> {
    let own = credentials.wait_for(Option::is_some).await;
    let own = own.map_err(|_| "the proxy is stopping".to_owned())?.clone();
    control_plane.channel(own.as_deref()).await.map_err(|error| error.to_string())
}

async fn follow_credentials(
    mut credentials: watch::Receiver<Option<Arc<Credentials>>>,
    shared: Shared,
) {
    while credentials.changed().await.is_ok() {
        let now = credentials.borrow_and_update().clone();
        put_in_force(&now, &shared);
    }
}

async fn follow_renewal(mut renewal: watch::Receiver<Renewal>, metrics: Metrics) {
    loop {
        metrics.renewal_overdue(renewal.borrow_and_update().overdue);
        if renewal.changed().await.is_err() {
            return;
        }
    }
}

async fn follow_sync(mut sync: watch::Receiver<SyncState>, telemetry: Arc<Telemetry>) {
    let started = SystemTime::now();
    loop {
        {
            let now = sync.borrow_and_update();
            telemetry.metrics.config(ConfigStanding {
                version: now.version.clone(),
                accepted: now.accepted,
                alone_since: (!now.connected).then(|| now.left.unwrap_or(started)),
            });
            telemetry.metrics.config_stale(now.stale);
            telemetry.metrics.xds_connected(now.connected);
            telemetry.recent.in_touch(now.version.clone(), now.connected);
        }
        if sync.changed().await.is_err() {
            return;
        }
    }
}

/// Closes connections that have been idle too long, of every cluster and every worker. The application's more often:
/// it closes connections too, and when it does is learnt here.
async fn sweep(idle: Idle) {
    let mut tick = tokio::time::interval(SWEEP_APP);
    for round in 0_u64.. {
        tick.tick().await;
        idle.of_apps(Pool::sweep);
        if round.is_multiple_of(SWEEP_TRAFFIC) {
            idle.state.traffic().sweep(Instant::now());
        }
        if round.is_multiple_of(SWEEP) {
            idle.of_clusters(Pool::sweep);
        }
    }
}

/// Connections that nobody uses now, of every worker.
#[derive(Clone)]
struct Idle {
    state: Arc<State>,
    /// The application's, of the command line.
    apps: Vec<Arc<Endpoint>>,
    /// And where it was called.
    found: Option<Arc<Apps>>,
}

impl Idle {
    fn of_apps(&self, done: impl Fn(&Pool)) {
        let found = self.found.as_ref().map_or_else(Vec::new, |found| found.known());
        self.apps.iter().chain(&found).flat_map(|app| &app.pools).for_each(done);
    }

    fn of_clusters(&self, done: impl Fn(&Pool)) {
        for cluster in self.state.clusters().values() {
            cluster.endpoints.iter().flat_map(|endpoint| &endpoint.pools).for_each(&done);
        }
    }

    /// However short a time they have been idle.
    fn close(&self) {
        let close = |pool: &Pool| while pool.close_idle() {};
        self.of_apps(close);
        self.of_clusters(close);
    }
}

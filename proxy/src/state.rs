//! The configuration in force: one writer (`xds`, through [`State::apply`]), any number of readers that each
//! load ONE snapshot per request.
//!
//! A snapshot ([`TargetConfig`]) is the whole truth about one Service port: its routes, the clusters they
//! name, resolved, and the metric handles of every rule. A change builds new snapshots for the targets that
//! it concerns and swaps them in; requests in flight keep theirs.

mod demand;
mod destinations;
mod known;
mod target;

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use arc_swap::ArcSwapOption;
use tokio::sync::mpsc::UnboundedSender;
use weft_certs::DenyList;
use weft_proto::names::OTHER_PORTS;

use crate::access::{Guests, Now, Told, Traffic};
use crate::cluster::Cluster;
use crate::denied::Denials;
use crate::model::{Addresses, InboundListener, Locality, MtlsMode, PortAccess};
use crate::rate_limit::{self, RateLimits};
use crate::telemetry::metrics::Metrics;
use crate::upstream::Pool;
use crate::xds::{Change, Kind};

use destinations::Destinations;
use known::Known;

pub use demand::Standing;
pub use target::{Connected, RuleHandles, Target, TargetConfig, TcpHandles};

/// Everything the data path reads.
#[derive(Debug)]
pub struct State {
    /// Number of pools of a new endpoint.
    workers: usize,
    metrics: Metrics,
    /// By name; fixed at start, unless connections are intercepted: then those that are used or configured, of the
    /// Service ports in `destinations`. Lock: held for one look-up or one change.
    targets: RwLock<BTreeMap<Arc<str>, Arc<Target>>>,
    /// Where connections are intercepted: who is behind an address.
    destinations: Option<Destinations>,
    inbound: ArcSwapOption<InboundListener>,
    /// By port; `None` where no port has limits, which is all that a request asks then.
    rate_limits: ArcSwapOption<BTreeMap<u16, Arc<RateLimits>>>,
    rate_limit_counters: Arc<rate_limit::Counters>,
    told: Arc<Told>,
    /// The application's callers.
    guests: Guests,
    denials: Arc<Denials>,
    traffic: Arc<Traffic>,
    /// Lock: taken by the writer and by `admin`, never by a request.
    known: Mutex<Known>,
}

/// What is behind an address.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The Service port.
    pub target: Arc<Target>,
    /// Is one endpoint of it meant, and no other?
    pub is_endpoint: bool,
}

impl State {
    /// Nothing is known yet. `targets` are the Service ports that the application calls, subscribed from the start.
    pub fn new(
        targets: impl IntoIterator<Item = String>,
        workers: usize,
        metrics: Metrics,
    ) -> Self {
        Self::with_targets(targets.into_iter().map(Target::new), workers, metrics)
    }

    /// The same with Service ports of either kind.
    pub fn with_targets(
        targets: impl IntoIterator<Item = Target>,
        workers: usize,
        metrics: Metrics,
    ) -> Self {
        let targets =
            targets.into_iter().map(|target| (Arc::clone(&target.name), Arc::new(target)));
        let rate_limit_counters = Arc::<rate_limit::Counters>::default();
        rate_limit_counters.show(&metrics);
        let told = Arc::<Told>::default();
        told.show(&metrics);
        let denials = Arc::<Denials>::default();
        denials.show(&metrics);
        Self {
            workers,
            metrics,
            targets: RwLock::new(targets.collect()),
            destinations: None,
            inbound: ArcSwapOption::empty(),
            rate_limits: ArcSwapOption::empty(),
            rate_limit_counters,
            told,
            guests: Guests::default(),
            denials,
            traffic: Arc::new(Traffic::new(workers)),
            known: Mutex::default(),
        }
    }

    /// The same for a proxy that knows where it is. What its inbound listener says counts before.
    #[must_use]
    pub fn at(self, own: Locality) -> Self {
        Self { known: Mutex::new(Known { own, ..Known::default() }), ..self }
    }

    /// The same for a proxy that intercepts connections: every Service port of the mesh may become a target of it.
    /// Those that are used are named to `asked`.
    #[must_use]
    pub fn intercepting(self, asked: UnboundedSender<Arc<str>>) -> Self {
        Self { destinations: Some(Destinations::new(asked)), ..self }
    }

    /// The Service port of that name.
    #[must_use]
    pub fn target(&self, name: &str) -> Option<Arc<Target>> {
        self.targets.read().unwrap_or_else(PoisonError::into_inner).get(name).map(Arc::clone)
    }

    /// Every Service port that is called, or was until a moment ago; where connections are not intercepted, every one
    /// that may be.
    #[must_use]
    pub fn targets(&self) -> Vec<Arc<Target>> {
        let targets = self.targets.read().unwrap_or_else(PoisonError::into_inner);
        targets.values().map(Arc::clone).collect()
    }

    /// Who is behind an address; `None` if it lies outside the mesh.
    #[must_use]
    pub fn destination(&self, address: SocketAddr) -> Option<Destination> {
        let destinations = self.destinations.as_ref()?;
        let found = destinations.find(address)?;
        let target = self.target_or_new(destinations, found.listener);
        Some(Destination { target, is_endpoint: found.is_endpoint })
    }

    fn target_or_new(&self, destinations: &Destinations, name: Arc<str>) -> Arc<Target> {
        self.target(&name).unwrap_or_else(|| {
            let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
            // Race: somebody else may have been quicker.
            let target = targets.entry(Arc::clone(&name));
            Arc::clone(target.or_insert_with(|| Arc::new(destinations.target(name))))
        })
    }

    /// Every Service port that can be called, by name, with its target if it has one.
    #[must_use]
    pub fn upstreams(&self) -> BTreeMap<Arc<str>, Option<Arc<Target>>> {
        let known = self.destinations.as_ref().map_or_else(Vec::new, Destinations::listeners);
        let called = self.targets().into_iter().map(|target| (target.name.clone(), Some(target)));
        known.into_iter().map(|name| (name, None)).chain(called).collect()
    }

    /// How many of these have none: nobody has called them.
    #[must_use]
    pub fn never_called(&self) -> usize {
        let Some(destinations) = &self.destinations else { return 0 };
        let called = self.targets().iter().filter(|target| destinations.has(&target.name)).count();
        destinations.len().saturating_sub(called)
    }

    /// What is in force now, the last good configuration, is subscribed: it counts as used now.
    pub fn adopt(&self) {
        self.targets().iter().for_each(|target| target.adopt());
    }

    /// Where connections are intercepted, targets that nobody uses go. Not for requests.
    pub fn forget_unused(&self) {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        self.forget(&known);
    }

    /// Race: who finds a target holds it before the lock is free again, and what only the map holds nobody can have
    /// asked for since.
    fn forget(&self, known: &Known) {
        let Some(destinations) = &self.destinations else { return };
        let mut targets = self.targets.write().unwrap_or_else(PoisonError::into_inner);
        targets.retain(|name, target| {
            let configured = known.listeners.contains_key(&**name);
            // Its next client need not be waited for.
            let remembered = target.is_server_first() && destinations.has(name);
            let used = Arc::strong_count(target) > 1 || target.standing() != Standing::Unused;
            configured || remembered || used
        });
    }

    /// What the workload's own ports accept.
    #[must_use]
    pub fn inbound(&self) -> Option<Arc<InboundListener>> {
        self.inbound.load_full()
    }

    /// Who may do what on one of its ports; `None` if everybody may do everything. Those that nothing speaks of have
    /// one in common.
    #[must_use]
    pub fn access(&self, port: u16) -> Option<Arc<PortAccess>> {
        self.inbound.load().as_ref().and_then(|listener| listener.access(port)).map(Arc::clone)
    }

    /// What holds for who is connected to one of its ports.
    fn now(&self, port: u16) -> Now {
        let listener = self.inbound.load();
        let settings = listener.as_ref().and_then(|listener| listener.port(port));
        let strict = settings.is_some_and(|settings| settings.mtls == MtlsMode::Strict);
        Now { access: self.access(port), strict }
    }

    /// What was told of decisions about access.
    #[must_use]
    pub fn told(&self) -> &Told {
        &self.told
    }

    /// The application's callers.
    #[must_use]
    pub fn guests(&self) -> &Guests {
        &self.guests
    }

    /// Who is denied, whatever the rules allow.
    #[must_use]
    pub fn denials(&self) -> &Arc<Denials> {
        &self.denials
    }

    /// What they asked for lately.
    #[must_use]
    pub fn traffic(&self) -> &Arc<Traffic> {
        &self.traffic
    }

    /// The limits on requests of one of its ports. Those that nothing speaks of have one in common.
    #[must_use]
    pub fn rate_limits(&self, port: u16) -> Option<Arc<RateLimits>> {
        let limits = self.rate_limits.load();
        let limits = limits.as_ref()?;
        let of_all = || {
            let spoken_of =
                self.inbound.load().as_ref().is_some_and(|l| l.ports.contains_key(&port));
            limits.get(&OTHER_PORTS).filter(|_| !spoken_of)
        };
        limits.get(&port).or_else(of_all).map(Arc::clone)
    }

    /// Takes over the buckets of limits that stay.
    fn limit(&self, listener: &InboundListener) {
        let known = self.rate_limits.load_full();
        let next = listener.limits.iter().map(|(port, limits)| {
            let previous = known.as_ref().and_then(|known| known.get(port));
            (*port, RateLimits::next(previous, limits, &self.rate_limit_counters))
        });
        let next: BTreeMap<_, _> = next.collect();
        self.rate_limits.store((!next.is_empty()).then(|| Arc::new(next)));
    }

    /// Every cluster in force, by name.
    #[must_use]
    pub fn clusters(&self) -> BTreeMap<String, Arc<Cluster>> {
        let known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.clusters.iter().map(|(name, cluster)| (name.clone(), Arc::clone(cluster))).collect()
    }

    /// Of a Service port that is configured and can be called there is a target.
    fn configured(&self, known: &Known, touched: &BTreeSet<String>) {
        let Some(destinations) = &self.destinations else { return };
        let names = touched.iter().filter(|name| known.listeners.contains_key(*name));
        for name in names.filter(|name| destinations.has(name)) {
            self.target_or_new(destinations, name.as_str().into());
        }
    }

    /// Where a Service port is found. Returns its name if there is a configuration for it already.
    fn place(&self, known: &Known, addresses: Addresses) -> Option<String> {
        let destinations = self.destinations.as_ref()?;
        let configured = known.listeners.contains_key(&*addresses.listener);
        let name = configured.then(|| addresses.listener.to_string());
        destinations.put(addresses);
        name
    }

    /// A target that is used stays until it is idle: its connections go on.
    fn displace(&self, known: &Known, name: &str) {
        if let Some(destinations) = &self.destinations {
            destinations.remove(name);
            self.forget(known);
        }
    }

    fn deny(&self, known: &Known, list: DenyList) {
        let denied = list.len();
        let ended = self.denials.replace(list);
        // What is idle has nobody who would notice.
        let endpoints = known.clusters.values().flat_map(|cluster| &cluster.endpoints);
        endpoints.flat_map(|endpoint| &endpoint.pools).for_each(Pool::sweep);
        if denied > 0 || ended > 0 {
            tracing::info!(denied, ended, "deny list in force; connections of whom it names ended");
        }
    }

    /// Puts changes in force, all at once for each target.
    pub fn apply(&self, changes: Vec<Change>) {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        let mut touched = BTreeSet::new();
        for change in changes {
            match change {
                Change::Inbound(listener) => {
                    self.limit(&listener);
                    touched.extend(known.moved(listener.place.as_ref()));
                    self.inbound.store(Some(Arc::new(listener)));
                    // Order: whoever enters from now on is judged by the new rules.
                    match self.guests.review(|port| self.now(port)) {
                        0 => {}
                        ended => {
                            tracing::info!(ended, "connections of callers that may call no more")
                        }
                    }
                }
                Change::Addresses(all) => {
                    touched.extend(all.into_iter().filter_map(|one| self.place(&known, one)));
                }
                Change::DenyList(list) => self.deny(&known, list),
                Change::Removed(Kind::Addresses, name) => self.displace(&known, &name),
                change => drop(touched.insert(known.note(change))),
            }
        }
        known.rebuild_clusters(&touched, self.workers);
        self.configured(&known, &touched);
        for target in &self.targets() {
            if known.concerns(target, &touched) {
                let previous = target.load();
                let next = known.snapshot(&target.name, previous.as_deref(), &self.metrics);
                target.store(next, known.listeners.contains_key(&*target.name));
            }
        }
    }
}

#[cfg(test)]
mod tests;

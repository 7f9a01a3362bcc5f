//! One Service port that the application calls, and the snapshot of everything about it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use arc_swap::ArcSwapOption;
use http::HeaderValue;
use tokio::sync::mpsc::UnboundedSender;

use super::demand::{Demand, Standing};
use crate::cluster::Cluster;
use crate::model::{Action, OutboundListener, PathMatch, RouteTable};
use crate::telemetry::metrics::{Direction, Edge, EdgeKey, Metrics};
use crate::telemetry::trace;

/// A Service port, by name, with the snapshot in force.
#[derive(Debug)]
pub struct Target {
    /// `product.shop:8080`.
    pub name: Arc<str>,
    current: ArcSwapOption<TargetConfig>,
    /// `None`: subscribed from the start, and kept.
    demand: Option<Demand>,
    /// On a port that may carry anything: the server spoke before the client when it was last seen.
    server_first: AtomicBool,
}

/// A connection of the application to a Service port. While it lives the port is not dropped.
#[derive(Debug)]
pub struct Connected(Arc<Target>);

impl Drop for Connected {
    fn drop(&mut self) {
        if let Some(demand) = &self.0.demand {
            demand.closed();
        }
    }
}

/// One consistent version; a request loads it once and keeps it.
#[derive(Debug)]
pub struct TargetConfig {
    /// What travels.
    pub listener: Arc<OutboundListener>,
    /// `None` on an opaque port.
    pub routes: Option<Arc<RouteTable>>,
    /// As [`RouteTable::clusters`], resolved; `None` for one that does not exist.
    pub clusters: Vec<Option<Arc<Cluster>>>,
    /// Where opaque connections go.
    pub tcp: Option<TcpHandles>,
    /// Counters of requests that met no rule.
    pub unrouted: Arc<Edge>,
    rules: Arc<Vec<Vec<Arc<RuleHandles>>>>,
}

/// What is resolved for one rule.
#[derive(Debug)]
pub struct RuleHandles {
    /// The rule's origin, written out.
    pub origin: Arc<str>,
    /// The rule's path pattern, for the span's name; `None` if it takes every path.
    pub http_route: Option<String>,
    /// What the receiver of a sampled request is told of the rule.
    pub told: Option<HeaderValue>,
    /// Counters of each backend, in the order of the rule.
    pub splits: Vec<Arc<Edge>>,
    /// Counters of each mirror, in the order of the rule.
    pub mirrors: Vec<Arc<Edge>>,
    /// Counters of requests that the rule sends nowhere.
    pub no_backend: Arc<Edge>,
}

/// What is resolved for opaque connections.
#[derive(Debug)]
pub struct TcpHandles {
    /// Destination.
    pub cluster: Arc<Cluster>,
    /// Counters.
    pub edge: Arc<Edge>,
}

impl Target {
    /// One that is subscribed from the start.
    #[must_use]
    pub fn new(name: String) -> Self {
        Self {
            name: name.into(),
            current: ArcSwapOption::empty(),
            demand: None,
            server_first: AtomicBool::new(false),
        }
    }

    /// One that is subscribed when somebody uses it, which is said to `asked` by its name.
    #[must_use]
    pub fn on_demand(name: Arc<str>, asked: UnboundedSender<Arc<str>>) -> Self {
        Self {
            name,
            current: ArcSwapOption::empty(),
            demand: Some(Demand::new(asked)),
            server_first: AtomicBool::new(false),
        }
    }

    /// Was the server the first to speak, the last time that this was seen? Its clients need not be waited for.
    #[must_use]
    pub fn is_server_first(&self) -> bool {
        self.server_first.load(Relaxed)
    }

    /// Who was the first to speak on a connection.
    pub fn spoke_first(&self, server: bool) {
        // Read first: it hardly ever changes, and many connections note it.
        if self.is_server_first() != server {
            self.server_first.store(server, Relaxed);
        }
    }

    /// A connection of the application begins.
    #[must_use]
    pub fn connected(self: &Arc<Self>) -> Connected {
        if let Some(demand) = &self.demand {
            demand.opened();
        }
        Connected(Arc::clone(self))
    }

    /// The snapshot in force. If it is on demand and not there, it is asked for, and waited for within bounds.
    pub async fn config(&self) -> Option<Arc<TargetConfig>> {
        match (self.load(), &self.demand) {
            (None, Some(demand)) => Box::pin(demand.wait(self)).await,
            (config, _) => config,
        }
    }

    /// Is it subscribed on first use?
    #[must_use]
    pub fn is_on_demand(&self) -> bool {
        self.demand.is_some()
    }

    /// How it stands.
    #[must_use]
    pub fn standing(&self) -> Standing {
        match (self.current.load().is_some(), &self.demand) {
            (true, _) => Standing::InForce,
            (false, None) => Standing::Waiting,
            (false, Some(demand)) => demand.standing(),
        }
    }

    /// Gives it up if nobody has used it for so long; true if its subscription is to be dropped.
    #[must_use]
    pub fn retire(&self, idle: std::time::Duration) -> bool {
        self.demand.as_ref().is_some_and(|demand| demand.retire(idle))
    }

    pub(super) fn adopt(&self) {
        if let Some(demand) = self.demand.as_ref().filter(|_| self.current.load().is_some()) {
            demand.adopt();
        }
    }

    /// The snapshot in force; `None` before the first one.
    #[must_use]
    pub fn load(&self) -> Option<Arc<TargetConfig>> {
        self.current.load_full()
    }

    /// `exists`: the control plane knows the Service port, though perhaps not all of it has arrived.
    pub(super) fn store(&self, config: Option<TargetConfig>, exists: bool) {
        // Order: first what is in force, then those who wait for it.
        self.current.store(config.map(Arc::new));
        if let Some(demand) = &self.demand {
            demand.answered(exists);
        }
    }
}

impl TargetConfig {
    pub(super) fn new(
        listener: Arc<OutboundListener>,
        routes: Option<Arc<RouteTable>>,
        clusters: Vec<Option<Arc<Cluster>>>,
        tcp: Option<Arc<Cluster>>,
        previous: Option<&Self>,
        metrics: &Metrics,
    ) -> Self {
        let edge = |rule: (&str, &str), backend: &str| {
            metrics.edge(EdgeKey {
                route: rule.0.to_owned(),
                backend: backend.to_owned(),
                http_route: rule.1.to_owned(),
                ..EdgeKey::unrouted(Direction::Outbound, &listener.name)
            })
        };
        let same_routes = previous.filter(|previous| {
            matches!((&previous.routes, &routes), (Some(a), Some(b)) if Arc::ptr_eq(a, b))
        });
        let rules = same_routes.map_or_else(
            || Arc::new(routes.as_deref().map_or_else(Vec::new, |table| handles(table, &edge))),
            |previous| Arc::clone(&previous.rules),
        );
        let tcp =
            tcp.map(|cluster| TcpHandles { edge: edge(("", ""), &cluster.spec.name), cluster });
        Self { unrouted: edge(("", ""), ""), routes, clusters, tcp, rules, listener }
    }

    /// What is resolved for the rule at that place ([`crate::router::Matched::at`]).
    #[must_use]
    pub fn rule(&self, at: (usize, usize)) -> &Arc<RuleHandles> {
        &self.rules[at.0][at.1]
    }
}

/// The counters of a rule, by its origin and path pattern, and a cluster.
type EdgeOf<'a> = dyn Fn((&str, &str), &str) -> Arc<Edge> + 'a;

fn handles(table: &RouteTable, edge: &EdgeOf<'_>) -> Vec<Vec<Arc<RuleHandles>>> {
    let of_rule = |rule: &crate::model::Rule| {
        let origin: Arc<str> = rule.origin.to_string().into();
        let http_route = path_pattern(&rule.matcher.path);
        let edge =
            |cluster: &str| edge((&origin, http_route.as_deref().unwrap_or_default()), cluster);
        let backends = match &rule.action {
            Action::Forward(splits) => splits.as_slice(),
            Action::Redirect(_) | Action::Respond(_) => &[],
        };
        let splits = backends.iter().map(|split| edge(&table.clusters[split.cluster]));
        Arc::new(RuleHandles {
            splits: splits.collect(),
            mirrors: rule
                .mirrors
                .iter()
                .map(|mirror| edge(&table.clusters[mirror.cluster]))
                .collect(),
            no_backend: edge(""),
            told: trace::route_value(&origin, http_route.as_deref()),
            http_route,
            origin,
        })
    };
    table.hosts.iter().map(|host| host.rules.iter().map(of_rule).collect()).collect()
}

fn path_pattern(path: &PathMatch) -> Option<String> {
    match path {
        PathMatch::Any => None,
        PathMatch::Exact(path) => Some(path.clone()),
        PathMatch::Prefix(prefix) => Some(format!("{prefix}/*")),
        PathMatch::Regex(regex) => Some(regex.as_str().to_owned()),
    }
}

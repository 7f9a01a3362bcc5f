//! What xDS said, by name, and the snapshots that are made of it. Owned by [`super::State`], which alone writes it.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use super::TargetConfig;
use super::target::Target;
use crate::cluster::Cluster;
use crate::model::{
    ClusterSpec, InboundListener, Locality, OutboundListener, PlacedEndpoint, RouteTable,
};
use crate::telemetry::metrics::Metrics;
use crate::xds::{Change, Kind};

/// What xDS said, by name.
#[derive(Debug, Default)]
pub(super) struct Known {
    /// Where this proxy is.
    pub(super) own: Locality,
    pub(super) listeners: HashMap<String, Arc<OutboundListener>>,
    pub(super) routes: HashMap<String, Arc<RouteTable>>,
    pub(super) specs: HashMap<String, Arc<ClusterSpec>>,
    pub(super) endpoints: HashMap<String, Vec<PlacedEndpoint>>,
    pub(super) clusters: HashMap<String, Arc<Cluster>>,
}

impl Known {
    /// Notes one change; returns the name that it is about.
    pub(super) fn note(&mut self, change: Change) -> String {
        match change {
            Change::Outbound(listener) => {
                let name = listener.name.clone();
                self.listeners.insert(name.clone(), Arc::new(listener));
                name
            }
            Change::Routes(table) => {
                let name = table.name.clone();
                self.routes.insert(name.clone(), Arc::new(table));
                name
            }
            Change::Cluster(spec) => {
                let name = spec.name.clone();
                self.specs.insert(name.clone(), Arc::new(spec));
                name
            }
            Change::Endpoints(spec) => {
                self.endpoints.insert(spec.cluster.clone(), spec.endpoints);
                spec.cluster
            }
            // Not of any target's snapshot; `apply` has them.
            Change::Inbound(InboundListener { name, .. }) => name,
            Change::Addresses(_) | Change::DenyList(_) => String::new(),
            Change::Removed(kind, name) => {
                self.remove(kind, &name);
                name
            }
        }
    }

    pub(super) fn remove(&mut self, kind: Kind, name: &str) {
        match kind {
            Kind::Listener => drop(self.listeners.remove(name)),
            Kind::Routes => drop(self.routes.remove(name)),
            Kind::Cluster => drop(self.specs.remove(name)),
            Kind::Endpoints => drop(self.endpoints.remove(name)),
            Kind::Secret | Kind::Addresses | Kind::DenyList => {}
        }
    }

    /// Takes note of where this proxy is; returns the clusters whose endpoints are now nearer or further.
    pub(super) fn moved(&mut self, place: Option<&Locality>) -> Vec<String> {
        match place.filter(|place| **place != self.own) {
            Some(place) => {
                self.own = place.clone();
                self.specs.keys().cloned().collect()
            }
            None => Vec::new(),
        }
    }

    pub(super) fn rebuild_clusters(&mut self, touched: &BTreeSet<String>, workers: usize) {
        for name in touched {
            match self.specs.get(name) {
                Some(spec) => {
                    let endpoints = self.endpoints.get(name).map_or(&[][..], Vec::as_slice);
                    let previous = self.clusters.get(name).map(Arc::as_ref);
                    let next =
                        Cluster::next(previous, Arc::clone(spec), endpoints, &self.own, workers);
                    self.clusters.insert(name.clone(), Arc::new(next));
                }
                None => drop(self.clusters.remove(name)),
            }
        }
    }

    pub(super) fn concerns(&self, target: &Target, touched: &BTreeSet<String>) -> bool {
        let Some(listener) = self.listeners.get(&*target.name) else {
            return touched.contains(&*target.name);
        };
        let table = listener.routes.as_ref().and_then(|name| self.routes.get(name));
        touched.contains(&*target.name)
            || listener.routes.as_ref().is_some_and(|name| touched.contains(name))
            || listener.tcp_cluster.as_ref().is_some_and(|name| touched.contains(name))
            || table.is_some_and(|table| table.clusters.iter().any(|name| touched.contains(name)))
    }

    pub(super) fn snapshot(
        &self,
        name: &str,
        previous: Option<&TargetConfig>,
        metrics: &Metrics,
    ) -> Option<TargetConfig> {
        let listener = Arc::clone(self.listeners.get(name)?);
        let routes = match &listener.routes {
            // A listener without its routes stays closed: it would answer 404 to everything.
            Some(table) => Some(Arc::clone(self.routes.get(table)?)),
            None => None,
        };
        let named = routes.as_ref().map_or(&[][..], |table| &table.clusters);
        let clusters = named.iter().map(|name| self.clusters.get(name).map(Arc::clone)).collect();
        let tcp = listener.tcp_cluster.as_ref().and_then(|name| self.clusters.get(name));
        let tcp = tcp.map(Arc::clone);
        Some(TargetConfig::new(listener, routes, clusters, tcp, previous, metrics))
    }
}

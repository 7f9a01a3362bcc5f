//! Where an intercepted connection wants to go: the Service port behind an address. Written as xDS says, read once for
//! each connection of the application.
//!
//! All Service ports of the mesh are here, and a workload calls a few of them: of one that nobody calls there is its
//! name and its addresses, and no [`super::Target`].

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use tokio::sync::mpsc::UnboundedSender;

use super::Target;
use crate::model::Addresses;

/// Bound: addresses known, about 70 bytes each; those beyond are as unknown as what lies outside the mesh.
const MOST: usize = 500_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Destinations {
    asked: UnboundedSender<Arc<str>>,
    /// Lock: held for one look-up or one change, never over an await.
    index: RwLock<Index>,
}

/// Trees: a hash map that grows is there twice for a moment, and half empty afterwards.
#[derive(Debug, Default)]
struct Index {
    by_address: BTreeMap<Address, Arc<Place>>,
    by_listener: BTreeMap<Arc<str>, Arc<Place>>,
}

/// A Service port, and where it is found.
#[derive(Debug)]
struct Place {
    listener: Arc<str>,
    service: Box<[Address]>,
    endpoints: Box<[Address]>,
}

/// 20 bytes; a `SocketAddr` is 32.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Address {
    ip: IpAddr,
    port: u16,
}

/// What is behind an address.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// The Service port.
    pub(super) listener: Arc<str>,
    /// Is one endpoint of it meant, and no other?
    pub(super) is_endpoint: bool,
}

impl Destinations {
    /// Nothing is known. Targets that are used are named to `asked`.
    pub(super) fn new(asked: UnboundedSender<Arc<str>>) -> Self {
        Self { asked, index: RwLock::default() }
    }

    /// For a Service port of these that is used.
    pub(super) fn target(&self, name: Arc<str>) -> Target {
        Target::on_demand(name, self.asked.clone())
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<Found> {
        let address = address.into();
        let index = self.read();
        let place = index.by_address.get(&address)?;
        // A Service has one or two addresses of its own, and perhaps thousands of endpoints.
        let is_endpoint = !place.service.contains(&address);
        Some(Found { listener: Arc::clone(&place.listener), is_endpoint })
    }

    /// These are the addresses of a Service port, in place of those that it had.
    pub(super) fn put(&self, addresses: Addresses) {
        let Addresses { listener, service, endpoints } = addresses;
        let mut index = self.write();
        // The name that others share.
        let listener = index.remove(&listener).unwrap_or(listener);
        let room = MOST.saturating_sub(index.by_address.len());
        if service.len() + endpoints.len() > room {
            tracing::warn!(most = MOST, "so many addresses that the others are not kept");
        }
        let endpoints: Box<[Address]> = endpoints.into_iter().take(room).map(Into::into).collect();
        let room = room - endpoints.len();
        // Which is both is an endpoint.
        let only = service.into_iter().map(Address::from).filter(|own| !endpoints.contains(own));
        let service = only.take(room).collect();
        let place = Arc::new(Place { listener: Arc::clone(&listener), service, endpoints });
        for address in place.service.iter().chain(&place.endpoints) {
            index.by_address.insert(*address, Arc::clone(&place));
        }
        index.by_listener.insert(listener, place);
    }

    /// The Service port is found nowhere any more.
    pub(super) fn remove(&self, listener: &str) {
        self.write().remove(listener);
    }

    /// Is it found anywhere?
    pub(super) fn has(&self, listener: &str) -> bool {
        self.read().by_listener.contains_key(listener)
    }

    /// Every Service port, in order.
    pub(super) fn listeners(&self) -> Vec<Arc<str>> {
        self.read().by_listener.keys().map(Arc::clone).collect()
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.read().by_listener.len()
    }

    fn read(&self) -> RwLockReadGuard<'_, Index> {
        self.index.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Index> {
        self.index.write().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Index {
    /// Race: an address that has gone to another Service port in the meantime stays there.
    fn remove(&mut self, listener: &str) -> Option<Arc<str>> {
        let (name, place) = self.by_listener.remove_entry(listener)?;
        for address in place.service.iter().chain(&place.endpoints) {
            if self.by_address.get(address).is_some_and(|found| Arc::ptr_eq(found, &place)) {
                self.by_address.remove(address);
            }
        }
        Some(name)
    }
}

impl From<SocketAddr> for Address {
    fn from(address: SocketAddr) -> Self {
        Self { ip: address.ip(), port: address.port() }
    }
}

#[cfg(test)]
mod tests;

//! Where an intercepted connection wants to go: the Service port behind an address. Written as xDS says, read once for
//! each connection of the application.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc::UnboundedSender;

use super::Target;
use crate::model::Addresses;

/// Bound: addresses known, about 100 bytes each; those beyond are as unknown as what lies outside the mesh.
const MOST: usize = 500_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Destinations {
    asked: UnboundedSender<Arc<str>>,
    /// Lock: held for one look-up or one change, never over an await.
    index: RwLock<Index>,
}

#[derive(Debug, Default)]
struct Index {
    by_address: HashMap<SocketAddr, Destination>,
    by_listener: HashMap<String, Vec<SocketAddr>>,
}

/// What is behind an address.
#[derive(Clone, Debug)]
pub struct Destination {
    /// The Service port.
    pub target: Arc<Target>,
    /// Is one endpoint of it meant, and no other?
    pub is_endpoint: bool,
}

impl Destinations {
    /// Nothing is known. Targets that are used are named to `asked`.
    pub(super) fn new(asked: UnboundedSender<Arc<str>>) -> Self {
        Self { asked, index: RwLock::default() }
    }

    /// A target that can be found here, once it has addresses.
    pub(super) fn target(&self, name: &str) -> Target {
        Target::on_demand(name.to_owned(), self.asked.clone())
    }

    pub(super) fn find(&self, address: SocketAddr) -> Option<Destination> {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.by_address.get(&address).cloned()
    }

    /// These are the addresses of a target, in place of those that it had.
    pub(super) fn put(&self, addresses: &Addresses, target: &Arc<Target>) {
        let mut index = self.index.write().unwrap_or_else(PoisonError::into_inner);
        index.remove(&addresses.listener);
        let service = addresses.service.iter().map(|address| (*address, false));
        let endpoints = addresses.endpoints.iter().map(|address| (*address, true));
        let mut own = Vec::with_capacity(addresses.service.len() + addresses.endpoints.len());
        for (address, is_endpoint) in service.chain(endpoints) {
            if index.by_address.len() >= MOST {
                tracing::warn!(most = MOST, "so many addresses that the others are not kept");
                break;
            }
            let destination = Destination { target: Arc::clone(target), is_endpoint };
            index.by_address.insert(address, destination);
            own.push(address);
        }
        index.by_listener.insert(addresses.listener.clone(), own);
    }

    /// The target is found nowhere any more.
    pub(super) fn remove(&self, listener: &str) {
        self.index.write().unwrap_or_else(PoisonError::into_inner).remove(listener);
    }

    /// Is it found anywhere?
    pub(super) fn has(&self, listener: &str) -> bool {
        let index = self.index.read().unwrap_or_else(PoisonError::into_inner);
        index.by_listener.contains_key(listener)
    }
}

impl Index {
    /// Race: an address that has gone to another target in the meantime stays there.
    fn remove(&mut self, listener: &str) {
        for address in self.by_listener.remove(listener).unwrap_or_default() {
            let of_it = |found: &Destination| *found.target.name == *listener;
            if self.by_address.get(&address).is_some_and(of_it) {
                self.by_address.remove(&address);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Where all Service ports of the mesh are found: thousands of small resources of which the workload needs a few. They
//! refer to nothing, and what they name is asked for when it is used: so they take force as they come, and beside
//! their names and versions nothing is kept of them here. Called by `response` and `restore`.

use std::sync::Arc;

use bytes::Bytes;
use weft_proto::google::Any;

use super::decode::decode_addresses;
use super::response::{content, read};
use super::{Change, Client, Kind, Update};
use crate::model::Addresses;
use crate::store::Received;

const KIND: Kind = Kind::Addresses;

impl Client {
    /// Takes a response of this kind apart: store, data path and answer, as with the others.
    pub(super) fn take_addresses(
        &mut self,
        resources: Vec<Bytes>,
        removed: Vec<String>,
        said: (String, String),
    ) -> Result<(), String> {
        let (mut found, mut received) = (Vec::new(), Vec::new());
        let mut rejections = Vec::new();
        for bytes in resources {
            let resource = read(bytes.clone())?;
            let (name, version) = (resource.name.clone(), resource.version.clone());
            match content(resource).and_then(|any| addresses(&name, &any)) {
                Ok(addresses) => {
                    let name = Arc::clone(&addresses.listener);
                    self.rejected.remove(&(KIND, name.to_string()));
                    self.subscription.hold(KIND, Arc::clone(&name), &version);
                    received.push(Received { name, bytes });
                    found.push(addresses);
                }
                Err(reason) => rejections.push(self.note_rejection(KIND, &name, &reason)),
            }
        }
        self.state.kinds[KIND as usize].accepted += found.len() as u64;
        self.reply(KIND, said, &rejections);
        self.options.store.save_received(KIND, &received);
        let mut changes: Vec<Change> = Vec::new();
        if !found.is_empty() {
            changes.push(Change::Addresses(found));
        }
        for name in removed {
            self.subscription.removed(KIND, &name);
            self.rejected.remove(&(KIND, name.clone()));
            self.options.store.remove_resource(KIND, &name);
            changes.push(Change::Removed(KIND, name));
        }
        if !changes.is_empty() {
            (self.apply)(Update { changes });
        }
        self.publish();
        Ok(())
    }

    /// Those of the last good configuration. They count as held: of what is gone meanwhile the server tells only those
    /// who say that they have it.
    pub(super) fn restore_addresses(&mut self) -> Vec<Addresses> {
        let mut restored = Vec::new();
        let store = Arc::clone(&self.options.store);
        for (name, stored) in store.resources(KIND) {
            match addresses(&name, &stored.any) {
                Ok(addresses) => {
                    let name = Arc::clone(&addresses.listener);
                    self.subscription.hold(KIND, name, &stored.version);
                    restored.push(addresses);
                }
                Err(reason) => tracing::warn!(name, reason, "stored addresses ignored"),
            }
        }
        restored
    }
}

fn addresses(name: &str, any: &Any) -> Result<Addresses, String> {
    decode_addresses(name, any).map_err(|reject| reject.to_string())
}

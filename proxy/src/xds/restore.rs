//! The last good configuration: taken into force at start, so that a proxy serves before the control plane
//! has answered, or while it is away.

use std::collections::BTreeSet;

use super::decode::{Decoded, Key, Payload, decode};
use super::{Change, Client, Kind, Update};

impl Client {
    /// Reads what the roots lead to out of the store and applies it; forgets the rest.
    pub(super) fn restore(&mut self) {
        let mut restored: Vec<(Key, Payload)> = Vec::new();
        let mut seen: BTreeSet<Key> = BTreeSet::new();
        loop {
            let open: Vec<Key> =
                self.graph.wanted().into_iter().filter(|key| seen.insert(key.clone())).collect();
            if open.is_empty() {
                break;
            }
            for key in open {
                if let Some(payload) = self.restore_one(&key) {
                    restored.push((key, payload));
                }
            }
        }
        let addresses = match self.subscription.wants_all(Kind::Addresses) {
            true => self.restore_addresses(),
            false => Vec::new(),
        };
        let kept = restored.iter().map(|((kind, name), _)| (*kind, name.as_str()));
        let found = addresses.iter().map(|one| (Kind::Addresses, &*one.listener));
        self.options.store.retain_resources(kept.chain(found));
        // Order: what is referred to first, as in every update.
        restored.sort_by(|(one, _), (other, _)| one.cmp(other));
        let resources = restored.len() + addresses.len();
        self.state.stale = resources > 0;
        let mut changes: Vec<Change> = Vec::new();
        for (_, payload) in restored {
            match payload {
                Payload::Change(change) => changes.push(*change),
                // Never stored here: identity keeps it, together with its leaf.
                Payload::TrustBundle(_) => {}
            }
        }
        if !addresses.is_empty() {
            changes.push(Change::Addresses(addresses));
        }
        if !changes.is_empty() {
            tracing::info!(resources, "serving the last good configuration");
            (self.apply)(Update { changes });
        }
        self.publish();
    }

    fn restore_one(&mut self, key: &Key) -> Option<Payload> {
        let (kind, name) = key;
        if *kind == Kind::Secret {
            return None;
        }
        let stored = self.options.store.resource(*kind, name)?;
        match decode(*kind, name, &stored.any, &self.context) {
            Ok(Decoded { payload, references }) => {
                self.graph.restore(key.clone(), stored.version, references);
                Some(payload)
            }
            Err(reject) => {
                let kind = kind.message();
                tracing::warn!(kind, name, %reject, "stored resource ignored");
                None
            }
        }
    }
}

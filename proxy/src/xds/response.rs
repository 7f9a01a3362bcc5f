//! One response of the server: each resource on its own, good ones apply, bad ones are named in the NACK.

use tokio::time::Instant;
use weft_proto::envoy::discovery::{DeltaDiscoveryResponse, Resource};

use super::decode::{decode, is_same};
use super::{Change, Client, Kind, Update};
use crate::store::StoredResource;

/// Bound: rejections named in one NACK; further ones are counted.
const MAX_NAMED: usize = 16;

/// What became of one resource.
enum Outcome {
    Accepted,
    /// Not asked for, or no longer.
    Unwanted,
    /// Field path and reason.
    Rejected(String),
}

impl Client {
    /// Takes the response apart, answers it, and makes what follows from it.
    ///
    /// # Errors
    /// If it is of a type that was never asked for; the stream is of no use then.
    pub(super) fn take_response(&mut self, response: DeltaDiscoveryResponse) -> Result<(), String> {
        let DeltaDiscoveryResponse { type_url, resources, removed_resources, nonce, .. } = response;
        let kind = Kind::from_type_url(&type_url)
            .ok_or_else(|| format!("the control plane sent {type_url:?}, never asked for"))?;
        let mut rejections = Vec::new();
        let mut nothing = Vec::new();
        for resource in resources {
            let name = resource.name.clone();
            match self.take_resource(kind, resource) {
                Outcome::Accepted => {
                    self.state.kinds[kind as usize].accepted += 1;
                    self.rejected.remove(&(kind, name));
                }
                Outcome::Unwanted => {}
                Outcome::Rejected(reason) => {
                    let rejection = format!("{} {name}: {reason}", kind.message());
                    tracing::warn!(rejection, "configuration rejected, the last good one stays");
                    self.rejected.insert((kind, name.clone()), rejection.clone());
                    rejections.push(rejection);
                    nothing.push(name);
                }
            }
        }
        for name in removed_resources {
            if self.subscription.wants(kind, &name) {
                self.subscription.removed(kind, &name);
                self.rejected.remove(&(kind, name.clone()));
                self.graph.remove((kind, name.clone()), Instant::now());
                if self.subscription.wants_all(kind) {
                    self.graph.remove_root(&(kind, name.clone()));
                }
                nothing.push(name);
            }
        }
        // Order: the answer does not wait for resources that have to wait for others; a server may send
        // those only after this answer.
        let rejection = named(&rejections);
        self.state.kinds[kind as usize].rejected += rejections.len() as u64;
        self.subscription.reply(kind, nonce, rejection);
        let steps = self.graph.settle();
        self.make(steps);
        self.tell_absent(kind, nothing);
        Ok(())
    }

    /// Of a listener that was asked for and is not there the data path must know, or it would wait for it.
    fn tell_absent(&self, kind: Kind, names: Vec<String>) {
        let absent = |name: &String| !self.graph.is_in_force(&(kind, name.clone()));
        let on_demand = kind == Kind::Listener && self.on_demand;
        if on_demand {
            let gone = |name| Change::Removed(kind, name);
            let changes: Vec<Change> = names.into_iter().filter(absent).map(gone).collect();
            (self.apply)(Update { changes });
        }
    }

    fn take_resource(&mut self, kind: Kind, resource: Resource) -> Outcome {
        let Resource { name, version, resource: any, ttl, cache_control, .. } = resource;
        if !self.subscription.wants(kind, &name) {
            return Outcome::Unwanted;
        }
        let key = (kind, name.clone());
        let decoded = match any {
            None => Err("resource: missing".to_owned()),
            Some(_) if ttl.is_some() => Err("ttl: not supported by weft-proxy".to_owned()),
            Some(_) if cache_control.is_some_and(|control| control.do_not_cache) => {
                Err("cache_control: not supported by weft-proxy".to_owned())
            }
            Some(any) => {
                let raw = StoredResource { version: version.clone(), any };
                if self.is_in_force(kind, &name, &raw) {
                    self.subscription.accepted(kind, &name, &version);
                    self.graph.confirm(&key);
                    return Outcome::Accepted;
                }
                decode(kind, &name, &raw.any, &self.context)
                    .map(|decoded| (decoded, raw))
                    .map_err(|reject| reject.to_string())
            }
        };
        match decoded {
            Ok((decoded, raw)) => {
                self.subscription.accepted(kind, &name, &version);
                if self.subscription.wants_all(kind) {
                    self.graph.add_root(key.clone());
                }
                self.graph.offer(key, decoded, raw, Instant::now());
                Outcome::Accepted
            }
            Err(reason) => {
                self.subscription.rejected(kind, &name);
                self.graph.reject(key);
                Outcome::Rejected(reason)
            }
        }
    }

    /// Sent again as it is in force. Versions alone are not believed: a server that counts them may begin
    /// anew.
    fn is_in_force(&self, kind: Kind, name: &str, raw: &StoredResource) -> bool {
        let same_version =
            self.graph.version(&(kind, name.to_owned())) == Some(raw.version.as_str());
        let stored = || self.options.store.resource(kind, name);
        same_version && stored().is_some_and(|stored| is_same(kind, &stored.any, &raw.any))
    }
}

/// Text of the NACK, if there is one.
fn named(rejections: &[String]) -> Option<String> {
    if rejections.is_empty() {
        return None;
    }
    let mut text = rejections[..rejections.len().min(MAX_NAMED)].join("; ");
    if rejections.len() > MAX_NAMED {
        text.push_str(&format!("; and {} more", rejections.len() - MAX_NAMED));
    }
    Some(text)
}

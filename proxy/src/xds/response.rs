//! One response of the server: each resource on its own, good ones apply, bad ones are named in the NACK.

use std::time::SystemTime;

use bytes::Bytes;
use prost::Message;
use tokio::time::Instant;
use weft_proto::envoy::discovery::Resource;
use weft_proto::google::Any;

use super::decode::{decode, is_same};
use super::stream::Response;
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
    /// If it is of a type that was never asked for, or no such message; the stream is of no use then.
    pub(super) fn take_response(&mut self, response: Response) -> Result<(), String> {
        let Response { system_version_info: version, type_url, resources, removed, nonce } =
            response;
        let kind = Kind::from_type_url(&type_url)
            .ok_or_else(|| format!("the control plane sent {type_url:?}, never asked for"))?;
        if self.subscription.wants_all(kind) {
            return self.take_addresses(resources, removed, (version, nonce));
        }
        let mut rejections = Vec::new();
        let mut nothing = Vec::new();
        for resource in resources {
            let resource = read(resource)?;
            let name = resource.name.clone();
            match self.take_resource(kind, resource) {
                Outcome::Accepted => {
                    self.state.kinds[kind as usize].accepted += 1;
                    self.rejected.remove(&(kind, name));
                }
                Outcome::Unwanted => {}
                Outcome::Rejected(reason) => {
                    rejections.push(self.note_rejection(kind, &name, &reason));
                    nothing.push(name);
                }
            }
        }
        for name in removed {
            if self.subscription.wants(kind, &name) {
                self.subscription.removed(kind, &name);
                self.rejected.remove(&(kind, name.clone()));
                self.graph.remove((kind, name.clone()), Instant::now());
                nothing.push(name);
            }
        }
        // Order: the answer does not wait for resources that have to wait for others; a server may send
        // those only after this answer.
        self.reply(kind, (version, nonce), &rejections);
        let steps = self.graph.settle();
        self.make(steps);
        self.tell_absent(kind, nothing);
        Ok(())
    }

    /// Words for the NACK.
    pub(super) fn note_rejection(&mut self, kind: Kind, name: &str, reason: &str) -> String {
        let rejection = format!("{} {name}: {reason}", kind.message());
        tracing::warn!(rejection, "configuration rejected, the last good one stays");
        self.rejected.insert((kind, name.to_owned()), rejection.clone());
        rejection
    }

    pub(super) fn reply(
        &mut self,
        kind: Kind,
        (version, nonce): (String, String),
        rejections: &[String],
    ) {
        if rejections.is_empty() {
            self.state.version = version;
            self.state.accepted = Some(SystemTime::now());
        }
        self.state.kinds[kind as usize].rejected += rejections.len() as u64;
        self.subscription.reply(kind, nonce, named(rejections));
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
        if !self.subscription.wants(kind, &resource.name) {
            return Outcome::Unwanted;
        }
        let (name, version) = (resource.name.clone(), resource.version.clone());
        let key = (kind, name.clone());
        let decoded = match content(resource) {
            Err(reason) => Err(reason),
            Ok(any) => {
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

pub(super) fn read(resource: Bytes) -> Result<Resource, String> {
    Resource::decode(resource)
        .map_err(|error| format!("the control plane sent no resource: {error}"))
}

/// What a resource says, if it says nothing that this client would have to do and does not.
pub(super) fn content(resource: Resource) -> Result<Any, String> {
    let Resource { resource, ttl, cache_control, .. } = resource;
    match resource {
        None => Err("resource: missing".to_owned()),
        Some(_) if ttl.is_some() => Err("ttl: not supported by weft-proxy".to_owned()),
        Some(_) if cache_control.is_some_and(|control| control.do_not_cache) => {
            Err("cache_control: not supported by weft-proxy".to_owned())
        }
        Some(any) => Ok(any),
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

//! The client's half of the delta xDS protocol as a value: which names are wanted, which versions are held,
//! which answers and requests are owed to the server. No I/O and no clock of its own; `stream` sends what
//! [`Subscription::next_request`] says.
//!
//! Names are wanted one by one, but for the types of [`Subscription::want_all`]. A type of which nothing is wanted is
//! never mentioned: its empty first request would mean "everything".

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use tokio::time::Instant;
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;
use weft_proto::google::Status;

use super::Kind;
use super::decode::Key;

/// gRPC code INVALID_ARGUMENT, as Envoy sends it in a NACK.
const INVALID_ARGUMENT: i32 = 3;
/// Bound: answers owed at one time. Servers keep one response of a type in flight.
const MAX_REPLIES: usize = 16;
/// Who is denied before all else; then clusters before endpoints before listeners before routes: what a server expects
/// after a reconnect.
const ORDER: [Kind; 7] = [
    Kind::DenyList,
    Kind::Cluster,
    Kind::Endpoints,
    Kind::Listener,
    Kind::Routes,
    Kind::Secret,
    Kind::Addresses,
];
/// The name that subscribes to everything.
const WILDCARD: &str = "*";

/// See the module.
#[derive(Debug)]
pub(crate) struct Subscription {
    node: Node,
    node_due: bool,
    types: BTreeMap<Kind, Type>,
}

#[derive(Debug, Default)]
struct Type {
    wanted: BTreeMap<String, Wanted>,
    subscribe: BTreeSet<String>,
    unsubscribe: BTreeSet<String>,
    replies: VecDeque<Reply>,
    /// Something of this type was sent on this stream.
    opened: bool,
    /// `Some`: everything is wanted, and no name of its own.
    everything: Option<Everything>,
}

/// Of a type of which everything is wanted. There may be thousands of resources: of each no more than what the next
/// stream is to begin with.
#[derive(Debug, Default)]
struct Everything {
    answered: bool,
    /// Versions by name.
    held: BTreeMap<Arc<str>, Box<str>>,
}

#[derive(Debug)]
struct Wanted {
    /// What the server may take for granted on the next stream.
    held: Option<String>,
    /// The server said something about it, at least once.
    answered: bool,
    /// When it was asked for on this stream.
    asked: Instant,
}

#[derive(Debug)]
struct Reply {
    nonce: String,
    rejection: Option<String>,
}

impl Subscription {
    pub(crate) fn new(node: Node) -> Self {
        let types = Kind::ALL.into_iter().map(|kind| (kind, Type::default())).collect();
        Self { node, node_due: true, types }
    }

    /// Every resource of that type is wanted, whatever it is called.
    pub(crate) fn want_all(&mut self, kind: Kind) {
        self.of_type(kind).everything = Some(Everything::default());
    }

    /// Was [`Self::want_all`] said of it?
    pub(crate) fn wants_all(&self, kind: Kind) -> bool {
        self.types.get(&kind).is_some_and(|of_type| of_type.everything.is_some())
    }

    /// A new stream: the server knows nothing of the one before.
    pub(crate) fn connected(&mut self, now: Instant) {
        self.node_due = true;
        for of_type in self.types.values_mut() {
            of_type.opened = false;
            of_type.replies.clear();
            of_type.unsubscribe.clear();
            of_type.subscribe = match &of_type.everything {
                Some(_) => BTreeSet::from([WILDCARD.to_owned()]),
                None => of_type.wanted.keys().cloned().collect(),
            };
            of_type.wanted.values_mut().for_each(|wanted| wanted.asked = now);
        }
    }

    /// From now on exactly these are wanted, besides everything of some types.
    pub(crate) fn want(&mut self, keys: &BTreeSet<Key>, now: Instant) {
        for (&kind, of_type) in &mut self.types {
            let unwanted: Vec<String> =
                of_type.wanted.keys().filter(|name| !contains(keys, kind, name)).cloned().collect();
            for name in unwanted {
                of_type.drop(name);
            }
        }
        for (kind, name) in keys {
            self.of_type(*kind).add(name, now);
        }
    }

    /// Whether the name is wanted; answers to others come late and mean nothing.
    pub(crate) fn wants(&self, kind: Kind, name: &str) -> bool {
        self.wants_all(kind)
            || self.types.get(&kind).is_some_and(|of_type| of_type.wanted.contains_key(name))
    }

    /// The resource was accepted in this version.
    pub(crate) fn accepted(&mut self, kind: Kind, name: &str, version: &str) {
        self.answered(kind, name, |wanted| wanted.held = Some(version.to_owned()));
    }

    /// A resource of a type of [`Self::want_all`] was accepted in this version.
    pub(crate) fn hold(&mut self, kind: Kind, name: Arc<str>, version: &str) {
        if let Some(everything) = &mut self.of_type(kind).everything {
            everything.held.insert(name, version.into());
        }
    }

    /// Names of all that is held of a type of [`Self::want_all`].
    pub(crate) fn held(&self, kind: Kind) -> impl Iterator<Item = &Arc<str>> {
        let everything = self.types.get(&kind).and_then(|of_type| of_type.everything.as_ref());
        everything.into_iter().flat_map(|everything| everything.held.keys())
    }

    /// The resource was refused; the version held before stays held.
    pub(crate) fn rejected(&mut self, kind: Kind, name: &str) {
        self.answered(kind, name, |_| {});
    }

    /// The server says that there is no such resource.
    pub(crate) fn removed(&mut self, kind: Kind, name: &str) {
        if let Some(everything) = &mut self.of_type(kind).everything {
            everything.held.remove(name);
        }
        self.answered(kind, name, |wanted| wanted.held = None);
    }

    /// The response `nonce` was applied, or something in it was rejected.
    pub(crate) fn reply(&mut self, kind: Kind, nonce: String, rejection: Option<String>) {
        if let Some(everything) = &mut self.of_type(kind).everything {
            everything.answered = true;
        }
        self.of_type(kind).replies.push_back(Reply { nonce, rejection });
    }

    /// So many answers are owed that no more responses should be read.
    pub(crate) fn is_backlogged(&self) -> bool {
        self.types.values().any(|of_type| of_type.replies.len() >= MAX_REPLIES)
    }

    /// Whether [`Self::next_request`] has something to say.
    pub(crate) fn has_request(&self) -> bool {
        self.types.values().any(Type::is_due)
    }

    /// The next message for the server, if one is owed. Answers first, then changes of what is wanted.
    pub(crate) fn next_request(&mut self) -> Option<DeltaDiscoveryRequest> {
        let find = |due: fn(&Type) -> bool| {
            ORDER.into_iter().find(|kind| self.types.get(kind).is_some_and(due))
        };
        let kind = find(|of_type| !of_type.replies.is_empty()).or_else(|| find(Type::is_due))?;
        let mut request = self.of_type(kind).next_request();
        if kind == Kind::DenyList {
            // Asked for anew on every stream: its answer also says that this workload is not on it.
            request.initial_resource_versions.clear();
        }
        kind.type_url().clone_into(&mut request.type_url);
        if std::mem::take(&mut self.node_due) {
            request.node = Some(self.node.clone());
        }
        Some(request)
    }

    /// Everything wanted was answered at least once.
    pub(crate) fn is_answered(&self) -> bool {
        let whole = |of_type: &Type| match &of_type.everything {
            Some(everything) => everything.answered,
            None => of_type.wanted.values().all(|name| name.answered),
        };
        self.types.values().all(whole)
    }

    /// Names about which the server has said nothing since `since`.
    pub(crate) fn unanswered_since(&self, since: Instant) -> Vec<Key> {
        let mut found = Vec::new();
        for (kind, of_type) in &self.types {
            let late = of_type.wanted.iter().filter(|(_, w)| !w.answered && w.asked <= since);
            found.extend(late.map(|(name, _)| (*kind, name.clone())));
        }
        found
    }

    /// How many names of a kind are wanted; where everything is, how many are held.
    pub(crate) fn wanted(&self, kind: Kind) -> usize {
        self.types.get(&kind).map_or(0, |of_type| of_type.wanted.len()) + self.held(kind).count()
    }

    fn of_type(&mut self, kind: Kind) -> &mut Type {
        self.types.entry(kind).or_default()
    }

    fn answered(&mut self, kind: Kind, name: &str, change: impl FnOnce(&mut Wanted)) {
        let of_type = self.of_type(kind);
        if let Some(wanted) = of_type.wanted.get_mut(name) {
            wanted.answered = true;
            change(wanted);
        }
    }
}

fn contains(keys: &BTreeSet<Key>, kind: Kind, name: &str) -> bool {
    keys.contains(&(kind, name.to_owned()))
}

impl Type {
    fn add(&mut self, name: &str, asked: Instant) {
        if !self.wanted.contains_key(name) {
            let wanted = Wanted { held: None, answered: false, asked };
            self.wanted.insert(name.to_owned(), wanted);
            // Order: if it is about to be unsubscribed the server still counts it as subscribed; subscribing
            // again makes it answer again.
            self.unsubscribe.remove(name);
            self.subscribe.insert(name.to_owned());
        }
    }

    fn drop(&mut self, name: String) {
        self.wanted.remove(&name);
        if !self.subscribe.remove(&name) {
            self.unsubscribe.insert(name);
        }
    }

    fn is_due(&self) -> bool {
        !(self.replies.is_empty() && self.subscribe.is_empty() && self.unsubscribe.is_empty())
    }

    fn next_request(&mut self) -> DeltaDiscoveryRequest {
        if let Some(Reply { nonce, rejection }) = self.replies.pop_front() {
            let error = |message| Status { code: INVALID_ARGUMENT, message, details: Vec::new() };
            return DeltaDiscoveryRequest {
                response_nonce: nonce,
                error_detail: rejection.map(error),
                ..Default::default()
            };
        }
        let mut initial = HashMap::new();
        if !std::mem::replace(&mut self.opened, true) {
            let named =
                self.wanted.iter().filter_map(|(name, w)| Some((&**name, &**w.held.as_ref()?)));
            let everything = self.everything.iter().flat_map(|everything| &everything.held);
            let held = named.chain(everything.map(|(name, version)| (&**name, &**version)));
            initial = held.map(|(name, version)| (name.to_owned(), version.to_owned())).collect();
        }
        DeltaDiscoveryRequest {
            resource_names_subscribe: std::mem::take(&mut self.subscribe).into_iter().collect(),
            resource_names_unsubscribe: std::mem::take(&mut self.unsubscribe).into_iter().collect(),
            initial_resource_versions: initial,
            ..Default::default()
        }
    }
}

#[cfg(test)]
mod tests;

//! A conversation between a subscription and its log, written down line by line.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::super::{Change, Scope, Subscription, Update, View};
use crate::model::Key;
use crate::translate::{Resource, ResourceType, Version};
use crate::xds::log::Log;

/// Both sides of one subscription. Names that start with `mine` and `theirs` are visible to one workload; `a@shop` is
/// what namespace `shop`, which is ours, sees of `a`.
pub(super) struct Script {
    pub(super) subscription: Subscription,
    pub(super) empty_is_wildcard: bool,
    pub(super) budget: usize,
    pub(super) has: Vec<(String, String)>,
    log: Log,
    sequence: u64,
    nonce: u64,
    viewer: Key,
}

/// A resource as the script writes it.
pub(super) fn resource(name: &str, version: u64) -> Resource {
    let (name, namespace) = name.split_once('@').map_or((name, None), |(n, ns)| (n, Some(ns)));
    let resource = Resource::new(ResourceType::Cluster, name, Version(version), &[]);
    match name {
        _ if namespace.is_some() => resource.only_in(namespace.unwrap_or_default()),
        name if name.starts_with("mine") => resource.only_for(&Key::new("shop", "me")),
        name if name.starts_with("theirs") => resource.only_for(&Key::new("shop", "other")),
        _ => resource,
    }
}

impl Script {
    pub(super) fn with(resources: &[(&str, u64)]) -> Self {
        let mut script = Self {
            subscription: Subscription::default(),
            empty_is_wildcard: true,
            budget: usize::MAX,
            has: vec![],
            log: Log::default(),
            sequence: 0,
            nonce: 0,
            viewer: Key::new("shop", "me"),
        };
        script.set(resources);
        script
    }

    /// From now on these are the resources.
    pub(super) fn set(&mut self, resources: &[(&str, u64)]) -> &mut Self {
        let variants = |name: &str| -> Vec<&str> {
            let split = resources.iter().filter_map(|(slot, _)| slot.split_once('@'));
            split.filter(|(of, _)| *of == name).map(|(_, namespace)| namespace).collect()
        };
        let one = |(name, version): &(&str, u64)| match variants(name) {
            variants if variants.is_empty() => resource(name, *version),
            variants => resource(name, *version).except_in(variants.iter()),
        };
        let all = resources.iter().map(|named| Arc::new(one(named)));
        let all: BTreeMap<_, _> = all.map(|resource| (resource.slot.clone(), resource)).collect();
        self.log.apply(&all, &mut self.sequence);
        self
    }

    pub(super) fn subscribe(&mut self, names: &[&str]) -> &mut Self {
        self.change(names, &[])
    }

    pub(super) fn unsubscribe(&mut self, names: &[&str]) -> &mut Self {
        self.change(&[], names)
    }

    /// The first request of a new stream.
    pub(super) fn resumes(&mut self, names: &[&str], has: &[(&str, u64)]) -> &mut Self {
        let has =
            has.iter().map(|(name, version)| (name.to_string(), Version(*version).to_string()));
        self.has = has.collect();
        self.resume(names)
    }

    pub(super) fn resume(&mut self, names: &[&str]) -> &mut Self {
        self.subscription = Subscription::default();
        self.change(names, &[])
    }

    fn change(&mut self, subscribe: &[&str], unsubscribe: &[&str]) -> &mut Self {
        let texts = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
        let change = Change {
            subscribe: texts(subscribe),
            unsubscribe: texts(unsubscribe),
            initial_versions: std::mem::take(&mut self.has).into_iter().collect(),
        };
        let view = View { log: &self.log, viewer: &self.viewer, head: self.sequence };
        self.subscription.change(&change, self.empty_is_wildcard, view);
        self
    }

    /// The next response, additions before removals.
    pub(super) fn next(&mut self) -> Option<Update> {
        let view = View { log: &self.log, viewer: &self.viewer, head: self.sequence };
        let additions = self.subscription.additions(Scope::All, self.budget, view);
        let removals = || self.subscription.removals(self.budget, view).unwrap();
        let update = additions.or_else(removals)?;
        self.nonce += 1;
        self.subscription.sent(&update, self.nonce, 0);
        Some(update)
    }

    /// The next response, as `name@version` and `-name`, sorted.
    #[track_caller]
    pub(super) fn sends(&mut self, expected: &str) -> &mut Self {
        let update = self.next().expect("a response");
        let resources = update.resources.iter();
        let mut resources: Vec<_> =
            resources.map(|resource| format!("{}@{}", resource.name, resource.version.0)).collect();
        resources.sort();
        let mut removed: Vec<_> = update.removed.iter().map(|name| format!("-{name}")).collect();
        removed.sort();
        resources.extend(removed);
        assert_eq!(resources.join(" "), expected);
        self
    }

    #[track_caller]
    pub(super) fn sends_nothing(&mut self) -> &mut Self {
        if let Some(update) = self.next() {
            panic!("sent {update:?}");
        }
        self
    }

    pub(super) fn acks(&mut self) -> &mut Self {
        assert!(self.subscription.acknowledge(&self.nonce.to_string(), None).is_some());
        self
    }

    pub(super) fn refuses(&mut self) -> &mut Self {
        assert!(self.subscription.acknowledge(&self.nonce.to_string(), Some("no")).is_some());
        self
    }

    pub(super) fn is_behind(&mut self) -> bool {
        let view = View { log: &self.log, viewer: &self.viewer, head: self.sequence };
        self.subscription.removals(self.budget, view).is_err()
    }
}

//! How far one proxy has come with what it was sent of one kind: which of its resources it runs, and which it refused.
//!
//! Asked for one resource and one position in the change log: does the proxy run what the resource became there, or
//! something later? Two positions answer that for all that was accepted; only what was refused is kept by name. What
//! changes meanwhile for other reasons does not count against the proxy.

use std::collections::HashMap;
use std::sync::Arc;

use super::{InFlight, Owed, Subscription};

/// Where a proxy stands with one resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// It does not want it.
    Absent,
    /// It has accepted it.
    Runs,
    /// It was not told yet, or has not answered.
    Waits,
    /// It has refused it.
    Refused,
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// Everything changed up to here has been sent, or is owed, or did not concern the proxy.
    complete_to: u64,
    /// All of that up to here has been answered.
    answered_to: u64,
    /// Names whose latest version was refused, with the position up to which the proxy accepted them. Bound: names
    /// that are wanted.
    lagging: HashMap<Arc<str>, u64>,
}

impl Progress {
    /// Everything up to `position` is there, but for what is owed.
    pub(super) fn from(position: u64) -> Self {
        Self { complete_to: position, answered_to: position, lagging: HashMap::new() }
    }

    pub(super) fn complete_to(&self) -> u64 {
        self.complete_to
    }

    /// The log was read to the end.
    pub(super) fn read_to(&mut self, head: u64) {
        self.complete_to = head;
    }

    /// Nothing is in flight, and nothing of what was read is for the proxy.
    pub(super) fn concerns_nothing(&mut self) {
        self.answered_to = self.complete_to;
    }

    /// The name is not wanted any more, or there is nothing of it.
    pub(super) fn forget(&mut self, name: &str) {
        self.lagging.remove(name);
    }

    pub(super) fn retain(&mut self, keep: impl Fn(&Arc<str>) -> bool) {
        self.lagging.retain(|name, _| keep(name));
    }
}

impl Subscription {
    /// Where the proxy stands with this resource as it has been since position `since` of the log.
    pub(crate) fn standing(&self, name: &str, since: u64) -> Standing {
        if !self.wants(name) {
            return Standing::Absent;
        }
        let answering = self.in_flight.as_ref().map_or(&[][..], |sent| &sent.sent[..sent.answers]);
        if self.owed.get(name) == Some(&Owed::Answer)
            || answering.iter().any(|(sent, _)| &**sent == name)
        {
            return Standing::Waits;
        }
        let Progress { answered_to, lagging, .. } = &self.progress;
        match lagging.get(name) {
            Some(accepted_to) if since <= *accepted_to => Standing::Runs,
            // Another version is on its way, or will be.
            Some(_) if !self.refused.contains_key(name) || since > *answered_to => Standing::Waits,
            Some(_) => Standing::Refused,
            None if since <= *answered_to => Standing::Runs,
            None => Standing::Waits,
        }
    }

    /// Does it want everything?
    pub(crate) fn is_wildcard(&self) -> bool {
        self.wildcard
    }

    /// The names subscribed to.
    pub(crate) fn subscribed(&self) -> impl Iterator<Item = &Arc<str>> {
        self.names.iter()
    }

    /// Has the proxy answered everything that there was up to `position`, and accepted it?
    pub(crate) fn is_settled(&self, position: u64) -> bool {
        let Progress { answered_to, lagging, .. } = &self.progress;
        position <= *answered_to
            && lagging.is_empty()
            && self.owed.is_empty()
            && self.in_flight.is_none()
    }

    /// Takes down what an answer says. A refusal that names some of the resources is of these: weft-proxy and Envoy
    /// apply the others. One that names none is of all.
    pub(super) fn record(&mut self, answered: &InFlight, refusal: Option<&str>) {
        let before = self.progress.answered_to;
        let is_named = |name: &str| refusal.is_some_and(|text| mention(text, name).is_some());
        let names = || answered.sent.iter().map(|(name, _)| name);
        let some = names().any(|name| is_named(name));
        let wanted: Vec<_> = names().enumerate().filter(|(_, name)| self.wants(name)).collect();
        for (index, name) in wanted {
            if refusal.is_none() || (some && !is_named(name)) {
                self.progress.lagging.remove(name);
            } else {
                // What it asked for just now it had in no version.
                let accepted = if index < answered.answers { 0 } else { before };
                self.progress.lagging.entry(name.clone()).or_insert(accepted);
            }
        }
        self.progress.answered_to = answered.complete_to;
    }
}

/// What a refusal says of this resource: from its name on. Proxies write `… <name>: <reason>`.
pub(crate) fn mention<'a>(refusal: &'a str, name: &str) -> Option<&'a str> {
    let mut from = 0;
    while let Some(found) = refusal[from..].find(name) {
        let (start, end) = (from + found, from + found + name.len());
        let is_word = start == 0 || refusal[..start].ends_with(' ');
        if is_word && refusal[end..].starts_with(": ") {
            return Some(&refusal[start..]);
        }
        from = end;
    }
    None
}

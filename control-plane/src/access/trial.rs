//! A trial: the calls that a sidecar has seen, judged by the mesh as it is and as it would be. Pure.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::Serialize;
use weft_certs::SpiffeId;
use weft_policy::{Asks, Partial};
use weft_proto::telemetry::{AccessTraffic, CallerTraffic};

use super::judge::{Judgement, PortRules, Verdict};
use super::reach::display;
use crate::model::{Key, Mesh, Workload};
use crate::translate::inbound_ports;

/// Bound: rows of one answer; the rest is in the totals.
const MAX_ROWS: usize = 10_000;

/// The mesh as it is, and as it would be.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trial<'a> {
    pub(crate) now: &'a Mesh,
    pub(crate) then: &'a Mesh,
}

/// What would become of some calls.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Change {
    /// Allowed now, denied then.
    Denied,
    /// Perhaps.
    MayBeDenied,
    /// Denied now, allowed then.
    Allowed,
    /// Perhaps.
    MayBeAllowed,
    /// It depends now and then, on other rules.
    Unsure,
    /// None.
    Same,
}

/// Calls that are alike; all of it but the count.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct Row {
    pub(crate) change: Change,
    /// SPIFFE id; null is somebody without an identity.
    pub(crate) from: Option<String>,
    /// `product.shop`.
    pub(crate) to: String,
    pub(crate) port: u16,
    /// Null of an opaque connection, and where there was no room for it.
    pub(crate) method: Option<String>,
    pub(crate) path: Option<String>,
    /// A connection of which nobody looks at the bytes.
    pub(crate) opaque: bool,
    pub(crate) now: Judgement,
    pub(crate) then: Judgement,
}

/// Calls by what becomes of them. An opaque connection counts as one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Totals {
    pub(crate) requests: u64,
    pub(crate) now: ByVerdict,
    pub(crate) then: ByVerdict,
    pub(crate) newly_denied: u64,
    /// Of which it cannot be said, most often because it depends on headers.
    pub(crate) may_be_denied: u64,
    pub(crate) newly_allowed: u64,
    pub(crate) may_be_allowed: u64,
}

/// See [`Totals`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct ByVerdict {
    pub(crate) allowed: u64,
    pub(crate) denied: u64,
    pub(crate) depends: u64,
}

/// Counts by row.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    pub(crate) rows: BTreeMap<Row, u64>,
    pub(crate) totals: Totals,
    /// Calls that are in no row.
    pub(crate) left_out: u64,
}

/// The rules of one port now and then.
struct Both {
    now: PortRules,
    then: PortRules,
}

impl Trial<'_> {
    /// The workloads with a sidecar for which anything about access would be another.
    pub(crate) fn concerned(&self) -> Vec<Key> {
        let differs = |workload: &&Workload| {
            let now = inbound_ports(workload, self.now);
            let then = inbound_ports(workload, self.then);
            let ports: BTreeSet<u16> = now.into_keys().chain(then.into_keys()).collect();
            ports.into_iter().any(|port| {
                PortRules::new(self.now, workload, port)
                    != PortRules::new(self.then, workload, port)
            })
        };
        let meshed = self.now.workloads.values().filter(|workload| workload.meshed);
        meshed.filter(differs).map(|workload| workload.key.clone()).collect()
    }

    /// Judges what one sidecar has seen.
    pub(crate) fn judge(&self, workload: &Workload, seen: &[AccessTraffic]) -> Tally {
        let mut tally = Tally::default();
        let mut ports: BTreeMap<u16, Both> = BTreeMap::new();
        for caller in seen.iter().flat_map(|part| &part.callers) {
            let Ok(port) = u16::try_from(caller.port) else { continue };
            let both = ports.entry(port).or_insert_with(|| Both {
                now: PortRules::new(self.now, workload, port),
                then: PortRules::new(self.then, workload, port),
            });
            both.judge(workload, port, caller, &mut tally);
        }
        tally
    }
}

impl Both {
    fn judge(&self, workload: &Workload, port: u16, seen: &CallerTraffic, tally: &mut Tally) {
        let identity: Option<SpiffeId> = seen.identity.parse().ok();
        if identity.is_none() && !seen.identity.is_empty() {
            return;
        }
        let address: Option<IpAddr> = seen.address.parse().ok();
        let now = self.now.about(identity.as_ref(), address, port);
        let then = self.then.about(identity.as_ref(), address, port);
        let mut add = |asks: Asks<'_>, count: u64| {
            let (now, then) = (now.judge(asks), then.judge(asks));
            let (method, path) = match asks {
                Asks::Bytes => (None, None),
                Asks::Request(Partial { method, path, .. }) => {
                    (method.map(str::to_owned), path.map(str::to_owned))
                }
            };
            let row = Row {
                change: change(&now, &then),
                from: identity.as_ref().map(ToString::to_string),
                to: display(workload),
                port,
                method,
                path,
                opaque: matches!(asks, Asks::Bytes),
                now,
                then,
            };
            tally.add(row, count);
        };
        for request in &seen.requests {
            let known = |text: &str| !text.is_empty();
            let method = Some(&*request.method).filter(|text| known(text));
            let path = Some(&*request.path).filter(|text| known(text));
            let partial = Partial { method, path, ..Partial::default() };
            add(Asks::Request(partial), request.requests);
        }
        if seen.connections > 0 {
            add(Asks::Bytes, seen.connections);
        }
    }
}

fn change(now: &Judgement, then: &Judgement) -> Change {
    use Verdict::{Allowed, Denied, Depends};
    match (now.verdict, then.verdict) {
        (Allowed, Allowed) | (Denied, Denied) => Change::Same,
        (Allowed, Denied) => Change::Denied,
        (Denied, Allowed) => Change::Allowed,
        (Allowed, Depends) | (Depends, Denied) => Change::MayBeDenied,
        (Denied, Depends) | (Depends, Allowed) => Change::MayBeAllowed,
        (Depends, Depends) if now == then => Change::Same,
        (Depends, Depends) => Change::Unsure,
    }
}

impl Tally {
    fn add(&mut self, row: Row, count: u64) {
        self.totals.add(&row, count);
        self.insert(row, count);
    }

    fn insert(&mut self, row: Row, count: u64) {
        let has_room = self.rows.len() < MAX_ROWS;
        match self.rows.get_mut(&row) {
            Some(known) => *known = known.saturating_add(count),
            None if has_room => drop(self.rows.insert(row, count)),
            None => self.left_out = self.left_out.saturating_add(count),
        }
    }

    /// Adds what another sidecar has seen.
    pub(crate) fn merge(&mut self, other: Self) {
        self.totals.merge(&other.totals);
        self.left_out = self.left_out.saturating_add(other.left_out);
        for (row, count) in other.rows {
            self.insert(row, count);
        }
    }
}

impl Totals {
    fn add(&mut self, row: &Row, count: u64) {
        let mut one = Self { requests: count, ..Self::default() };
        *one.now.of(row.now.verdict) = count;
        *one.then.of(row.then.verdict) = count;
        match row.change {
            Change::Denied => one.newly_denied = count,
            Change::MayBeDenied | Change::Unsure => one.may_be_denied = count,
            Change::Allowed => one.newly_allowed = count,
            Change::MayBeAllowed => one.may_be_allowed = count,
            Change::Same => {}
        }
        self.merge(&one);
    }

    fn merge(&mut self, other: &Self) {
        let Self { requests, now, then, newly_denied, may_be_denied, .. } = other;
        let sums = [
            (&mut self.requests, requests),
            (&mut self.now.allowed, &now.allowed),
            (&mut self.now.denied, &now.denied),
            (&mut self.now.depends, &now.depends),
            (&mut self.then.allowed, &then.allowed),
            (&mut self.then.denied, &then.denied),
            (&mut self.then.depends, &then.depends),
            (&mut self.newly_denied, newly_denied),
            (&mut self.may_be_denied, may_be_denied),
            (&mut self.newly_allowed, &other.newly_allowed),
            (&mut self.may_be_allowed, &other.may_be_allowed),
        ];
        for (sum, more) in sums {
            *sum = sum.saturating_add(*more);
        }
    }
}

impl ByVerdict {
    fn of(&mut self, verdict: Verdict) -> &mut u64 {
        match verdict {
            Verdict::Allowed => &mut self.allowed,
            Verdict::Denied => &mut self.denied,
            Verdict::Depends => &mut self.depends,
        }
    }
}

#[cfg(test)]
mod tests;

//! Routing: (route table, request) to a rule. A pure decision without I/O, clock or counters; `outbound`
//! carries it out. The order of hosts and rules is the control plane's, so that the rules of precedence
//! live in one place: here the first match wins.

mod matcher;
mod redirect;
mod rewrite;

use http::{HeaderMap, Method};

use crate::model::{Action, HeaderChange, HeaderOps, HostPattern, RouteTable, Rule, Split};
use crate::random::Random;

pub use redirect::location;
pub use rewrite::apply as rewrite;

/// What routing may look at.
#[derive(Clone, Copy, Debug)]
pub struct RequestView<'a> {
    /// Authority without port, in lower case.
    pub host: &'a str,
    /// `:authority` as it was sent, which is what a match on `Host` sees over HTTP/2.
    pub authority: Option<&'a str>,
    /// Path without query.
    pub path: &'a str,
    /// Query without `?`.
    pub query: Option<&'a str>,
    /// Method.
    pub method: &'a Method,
    /// Headers.
    pub headers: &'a HeaderMap,
}

/// A rule and where it stands, so that what was resolved for it can be found by index.
#[derive(Clone, Copy, Debug)]
pub struct Matched<'t> {
    /// The rule.
    pub rule: &'t Rule,
    /// Its virtual host and its place in it.
    pub at: (usize, usize),
}

/// The first rule of the most specific host that matches; `None` answers 404.
#[must_use]
pub fn route<'t>(table: &'t RouteTable, request: &RequestView<'_>) -> Option<Matched<'t>> {
    let host = best_host(table, request.host)?;
    let rules = &table.hosts[host].rules;
    let at = rules.iter().position(|rule| matcher::matches(&rule.matcher, request))?;
    Some(Matched { rule: &rules[at], at: (host, at) })
}

/// Exact before suffix, longer suffix before shorter, `*` last.
fn best_host(table: &RouteTable, host: &str) -> Option<usize> {
    let mut best: Option<(usize, usize)> = None;
    for (index, virtual_host) in table.hosts.iter().enumerate() {
        for pattern in &virtual_host.hosts {
            let rank = match pattern {
                HostPattern::Any => 1,
                HostPattern::Suffix(suffix) if covers(suffix, host) => 1 + suffix.len(),
                HostPattern::Exact(exact) if exact == host => usize::MAX,
                HostPattern::Suffix(_) | HostPattern::Exact(_) => continue,
            };
            if best.is_none_or(|(known, _)| rank > known) {
                best = Some((rank, index));
            }
        }
    }
    best.map(|(_, index)| index)
}

fn covers(suffix: &str, host: &str) -> bool {
    host.len() > suffix.len() && host.ends_with(suffix)
}

/// Chooses a backend by weight; the index is its place in the rule. `None` if the rule forwards nothing.
#[must_use]
pub fn split<'t>(action: &'t Action, random: &Random) -> Option<(usize, &'t Split)> {
    let Action::Forward(splits) = action else { return None };
    if let [only] = splits.as_slice() {
        return (only.weight > 0).then_some((0, only));
    }
    let total: usize = splits.iter().map(|split| split.weight as usize).sum();
    let mut ticket = random.below(total);
    for (index, split) in splits.iter().enumerate() {
        match ticket.checked_sub(split.weight as usize) {
            Some(rest) => ticket = rest,
            None => return Some((index, split)),
        }
    }
    None
}

/// Applies header changes in the order written.
pub fn apply_headers(changes: &HeaderOps, headers: &mut HeaderMap) {
    for change in &changes.changes {
        match change {
            HeaderChange::Set(name, value) => {
                headers.insert(name.clone(), value.clone());
            }
            HeaderChange::Add(name, value) => {
                headers.append(name.clone(), value.clone());
            }
            HeaderChange::Remove(name) => {
                headers.remove(name);
            }
        }
    }
}

#[cfg(test)]
mod tests;

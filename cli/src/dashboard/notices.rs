//! What is wrong with the mesh, as far as the control planes know: short, grouped, each with what mends it. Pure; called by
//! `board`. `weft check` judges the same facts one by one; what passes within a second (a change that is not answered yet) is not
//! told here.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::admin::{BrokenTraces, Finding, Proxy, Stat};
use crate::check::{MEND_CERTIFICATE, MEND_TRACES};
use crate::moment::Moment;

/// Bound: notices.
const MAX_NOTICES: usize = 50;
/// Bound: who is named in one of them.
const SHOWN: usize = 5;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Severity {
    /// Something does not work.
    Error,
    /// Something is odd, or will not work.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Notice {
    pub(super) severity: Severity,
    /// Workloads, or an object: `payment-v1.shop`, `HTTPRoute shop/web`. The first few.
    pub(super) about: Vec<String>,
    /// Those that are not named.
    pub(super) more: usize,
    /// The nodes that it is about, as the page calls them: `payment.shop`.
    pub(super) nodes: BTreeSet<String>,
    pub(super) what: String,
    pub(super) fix: String,
}

/// What is known.
pub(super) struct Told<'a> {
    pub(super) stat: &'a Stat,
    pub(super) proxies: &'a [Proxy],
    pub(super) findings: &'a [Finding],
    pub(super) broken: &'a [BrokenTraces],
}

/// Errors first. And how many there are beyond the bound.
pub(super) fn notices(told: &Told<'_>, now: Moment) -> (Vec<Notice>, usize) {
    let mut groups = Groups { nodes: Nodes::of(told.stat), all: BTreeMap::new() };
    for proxy in told.proxies {
        groups.of_proxy(proxy, now);
    }
    for finding in told.findings.iter().filter(|finding| finding.is_complaint()) {
        groups.of_finding(finding);
    }
    for one in told.broken {
        let node = key(&one.name, &one.namespace);
        let what = "is given traceparent and calls on without it: traces end there";
        groups.add((Severity::Warning, what, MEND_TRACES), &one.workload, [node]);
    }
    let mut all: Vec<Notice> = groups.all.into_iter().map(Group::notice).collect();
    let left_out = all.len().saturating_sub(MAX_NOTICES);
    all.truncate(MAX_NOTICES);
    (all, left_out)
}

/// What several may have in common: severity, what is wrong, what mends it.
type Common = (Severity, String, String);

/// Who has it, and the nodes of those.
#[derive(Default)]
struct Group {
    about: BTreeSet<String>,
    nodes: BTreeSet<String>,
}

impl Group {
    fn notice(((severity, what, fix), group): (Common, Self)) -> Notice {
        let more = group.about.len().saturating_sub(SHOWN);
        let about = group.about.into_iter().take(SHOWN).collect();
        Notice { severity, about, more, nodes: group.nodes, what, fix }
    }
}

struct Groups {
    nodes: Nodes,
    all: BTreeMap<Common, Group>,
}

impl Groups {
    fn add(
        &mut self,
        (severity, what, fix): (Severity, &str, &str),
        about: &str,
        nodes: impl IntoIterator<Item = String>,
    ) {
        let group = self.all.entry((severity, what.to_owned(), fix.to_owned())).or_default();
        group.about.insert(about.to_owned());
        group.nodes.extend(nodes);
    }

    fn of_proxy(&mut self, proxy: &Proxy, now: Moment) {
        let node = self.nodes.of_workload(&proxy.workload);
        let mut add = |severity, what: &str, fix: &str| {
            self.add((severity, what, fix), &proxy.workload, node.clone());
        };
        if !proxy.connected {
            let what = "has lost the control plane; it goes on with what it has, if it still runs";
            add(
                Severity::Error,
                what,
                "it connects again by itself; if it has ended, start it again",
            );
        } else if proxy.stale {
            let what = "runs on its last good configuration";
            add(Severity::Warning, what, "nothing to do if the control plane has just started");
        }
        for (kind, rejection) in proxy.rejections() {
            let fix = "mend the object it names; until then the last good version is in force";
            add(Severity::Error, &format!("rejects its {kind}: {}", rejection.reason), fix);
        }
        let end = Moment::read(&proxy.leaf_not_after);
        let overdue = Moment::read(&proxy.leaf_overdue_at);
        if end.is_some_and(|end| now > end) {
            let what = "has a certificate that has expired, so it refuses to serve";
            add(Severity::Error, what, MEND_CERTIFICATE);
        } else if overdue.is_some_and(|at| now >= at) {
            let what =
                "ought to have renewed its certificate; once that has expired it refuses to serve";
            add(Severity::Warning, what, MEND_CERTIFICATE);
        }
    }

    fn of_finding(&mut self, finding: &Finding) {
        let severity =
            if finding.severity == "error" { Severity::Error } else { Severity::Warning };
        let place = match (finding.file.as_str(), finding.line) {
            ("", _) => String::new(),
            (file, 0) => format!(" ({file})"),
            (file, line) => format!(" ({file}:{line})"),
        };
        let what = format!("{}: {}{place}", finding.code, finding.message);
        let about = if finding.object.is_empty() { "configuration" } else { &finding.object };
        let nodes = self.nodes.of_object(&finding.object);
        self.add((severity, &what, &finding.hint), about, nodes);
    }
}

/// What the page draws, by what it is called elsewhere.
struct Nodes {
    /// Of workloads: `payment-v1.shop` is of `payment.shop`.
    workloads: BTreeMap<String, String>,
    /// Of those and of Services that are called.
    all: BTreeSet<String>,
    /// Where routes lead: `HTTPRoute/shop/payment#charge`.
    routes: Vec<(String, String)>,
}

impl Nodes {
    fn of(stat: &Stat) -> Self {
        let workloads: BTreeMap<String, String> = stat
            .workloads
            .iter()
            .map(|row| (row.workload.clone(), key(&row.name, &row.namespace)))
            .collect();
        let called = stat.edges.iter().map(|edge| key(&edge.destination, &edge.namespace));
        let all = workloads.values().cloned().chain(called).collect();
        let namespace = |route: &crate::admin::Route| {
            route
                .more
                .get("namespace")
                .and_then(|name| name.as_str())
                .unwrap_or_default()
                .to_owned()
        };
        let routes = stat.routes.iter();
        let routes = routes
            .map(|route| (route.route.clone(), key(&route.destination, &namespace(route))))
            .collect();
        Self { workloads, all, routes }
    }

    fn of_workload(&self, workload: &str) -> Option<String> {
        self.workloads.get(workload).cloned()
    }

    /// `Service shop/payment`, `HTTPRoute shop/payment`.
    fn of_object(&self, object: &str) -> BTreeSet<String> {
        let Some((kind, (namespace, name))) =
            object.split_once(' ').and_then(|(kind, place)| Some((kind, place.split_once('/')?)))
        else {
            return BTreeSet::new();
        };
        let own = key(name, namespace);
        match kind {
            "Service" => self.all.get(&own).cloned().into_iter().collect(),
            "MeshWorkload" | "Pod" => self.of_workload(&own).into_iter().collect(),
            _ => {
                let object = object.replacen(' ', "/", 1);
                let is_of = |route: &str| {
                    let rest = route.strip_prefix(&object);
                    rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('#'))
                };
                let routes = self.routes.iter().filter(|(route, _)| is_of(route));
                routes.map(|(_, node)| node.clone()).collect()
            }
        }
    }
}

fn key(name: &str, namespace: &str) -> String {
    if namespace.is_empty() { name.to_owned() } else { format!("{name}.{namespace}") }
}

#[cfg(test)]
mod tests;

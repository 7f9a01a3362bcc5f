//! `weft proxy-status`: every sidecar as the control plane sees it: connected, in step, what it rejected.

use std::collections::BTreeMap;

use anstyle::Style;
use anyhow::{Context, Result};

use crate::admin::{Proxy, ResourceState};
use crate::args::ProxyStatusArgs;
use crate::control_planes;
use crate::environment::Environment;
use crate::moment::{Moment, shown_span};
use crate::output::{BAD, FAINT, GOOD, Output, Verdict, WARN, styled};
use crate::table::{Align, Cell, Table};

/// Runs `weft proxy-status`.
pub(crate) async fn run(
    args: &ProxyStatusArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let mut proxies: Vec<Proxy> = Vec::new();
    for control_plane in control_planes::find(&args.place, mesh, environment).await? {
        let of_one: Vec<Proxy> =
            control_plane.get("/v1/proxies").await.context("cannot list the sidecars")?;
        proxies.extend(of_one);
    }
    let proxies = one_each(proxies);
    if output.is_json() {
        output.json(&serde_json::to_value(&proxies)?)?;
        return Ok(Verdict::Fine);
    }
    output.data(&draw(&proxies, Moment::now(), output.format == crate::args::Format::Wide))?;
    Ok(Verdict::Fine)
}

/// One line a sidecar, by name: a replica that it has left remembers it for a while, and it may report to another than its
/// configuration comes from.
pub(crate) fn one_each(proxies: Vec<Proxy>) -> Vec<Proxy> {
    let mut all: BTreeMap<String, Proxy> = BTreeMap::new();
    for proxy in proxies {
        let joined = match all.remove(&proxy.workload) {
            Some(known) => known.join(proxy),
            None => proxy,
        };
        all.insert(joined.workload.clone(), joined);
    }
    all.into_values().collect()
}

fn draw(proxies: &[Proxy], now: Moment, wide: bool) -> String {
    if proxies.is_empty() {
        return "No sidecar has connected yet.".to_owned();
    }
    let kinds = kinds(proxies);
    let mut columns = vec![("NAME", Align::Left), ("STATE", Align::Left)];
    columns.extend(kinds.iter().map(|kind| (heading(kind), Align::Left)));
    columns.extend([("CERTIFICATE", Align::Left), ("VERSION", Align::Left)]);
    if wide {
        columns.push(("IDENTITY", Align::Left));
    }
    let mut table = Table::new(&columns);
    for proxy in proxies {
        let mut row = vec![proxy.workload.as_str().into(), state(proxy)];
        row.extend(kinds.iter().map(|kind| in_step(proxy, kind)));
        row.push(certificate(proxy, now));
        row.push(if proxy.version.is_empty() { "-" } else { &proxy.version }.into());
        if wide {
            row.push(proxy.identity.as_str().into());
        }
        table.push(row);
    }
    let mut text = table.render();
    for proxy in proxies {
        for (kind, rejection) in proxy.rejections() {
            let what = format!("{} rejected {kind}: {}", proxy.workload, rejection.reason);
            text.push_str(&format!("\n{}", styled(BAD, &format!("× {what}"))));
        }
    }
    text
}

/// The types of resource that any sidecar has, in the order in which they build on each other.
fn kinds(proxies: &[Proxy]) -> Vec<String> {
    let mut kinds: Vec<String> =
        proxies.iter().flat_map(|proxy| proxy.resources.keys().cloned()).collect();
    let order =
        |kind: &str| ORDER.iter().position(|(known, _)| *known == kind).unwrap_or(ORDER.len());
    kinds.sort_by(|one, other| (order(one), one).cmp(&(order(other), other)));
    kinds.dedup();
    kinds
}

const ORDER: [(&str, &str); 5] = [
    ("clusters", "CLUSTERS"),
    ("endpoints", "ENDPOINTS"),
    ("listeners", "LISTENERS"),
    ("routes", "ROUTES"),
    ("secrets", "SECRETS"),
];

fn heading(kind: &str) -> &'static str {
    ORDER.iter().find(|(known, _)| *known == kind).map_or("OTHER", |(_, heading)| heading)
}

fn state(proxy: &Proxy) -> Cell {
    match proxy {
        Proxy { connected: false, .. } => Cell::new("disconnected", BAD),
        Proxy { draining: true, .. } => Cell::new("draining", WARN),
        Proxy { stale: true, .. } => Cell::new("stale", WARN),
        Proxy { .. } => Cell::new("connected", GOOD),
    }
}

fn in_step(proxy: &Proxy, kind: &str) -> Cell {
    match proxy.resources.get(kind) {
        None => Cell::new("-", FAINT),
        Some(ResourceState { rejected: Some(_), .. }) => Cell::new("REJECTED", BAD),
        Some(state) if state.sent == state.acked => Cell::new("synced", Style::new()),
        Some(_) => Cell::new("sent", WARN),
    }
}

fn certificate(proxy: &Proxy, now: Moment) -> Cell {
    match Moment::read(&proxy.leaf_not_after) {
        None => Cell::new("-", FAINT),
        Some(end) => match end.since(now) {
            Some(left) if Moment::read(&proxy.leaf_overdue_at).is_some_and(|at| now >= at) => {
                Cell::new(format!("{} left, overdue", shown_span(left)), WARN)
            }
            Some(left) => format!("{} left", shown_span(left)).into(),
            None => Cell::new("expired", BAD),
        },
    }
}

#[cfg(test)]
mod tests;

//! Who can reach what: every identity of the mesh, and nobody in particular, against every port of every workload. Pure.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};
use weft_certs::{SpiffeId, TrustDomain};
use weft_policy::{Asks, Partial};
use weft_proto::names::{self, OTHER_PORTS};

use super::judge::{Judgement, PortRules};
use crate::model::{AppProtocol, Mesh, Workload};
use crate::translate::inbound_ports;

/// Bound: rows of one answer.
const MAX_ROWS: usize = 20_000;
/// Bound: addresses of one identity that are looked at one by one.
const MAX_ADDRESSES: usize = 64;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ReachQuery {
    /// `namespace/account`, a SPIFFE id, or `nobody`; everybody without it.
    pub(crate) from: Option<String>,
    /// `product.shop` or `product.shop:8080`; everything without it.
    pub(crate) to: Option<String>,
    /// One request; any without it.
    pub(crate) request: Option<AskedRequest>,
}

/// One request.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct AskedRequest {
    pub(crate) method: String,
    pub(crate) path: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Reached {
    pub(crate) schema_version: u32,
    pub(crate) rows: Vec<Row>,
    /// Rows beyond the bound.
    pub(crate) left_out: usize,
    /// Workloads without a sidecar: nothing is enforced there.
    pub(crate) not_enforced: Vec<String>,
}

/// One caller and one port.
#[derive(Debug, Serialize)]
pub(crate) struct Row {
    /// SPIFFE id; null is somebody without an identity.
    pub(crate) from: Option<String>,
    /// `product.shop`, as it is called.
    pub(crate) to: String,
    /// 0: every port that is not named.
    pub(crate) port: u16,
    /// `http`, `tcp`, or `detect`: told from the first bytes.
    pub(crate) protocol: &'static str,
    /// `product-v1.shop`: those of that name.
    pub(crate) workloads: Vec<String>,
    #[serde(flatten)]
    pub(crate) judgement: Judgement,
}

/// A port that several workloads have in common.
struct Port<'a> {
    to: String,
    port: u16,
    protocol: AppProtocol,
    rules: PortRules,
    workloads: Vec<&'a Workload>,
}

/// Who calls, and from where, if that is known.
struct From {
    identity: Option<SpiffeId>,
    addresses: Vec<IpAddr>,
}

/// Looks it up.
///
/// # Errors
/// In words: what is asked cannot be read, or names what is not there.
pub(crate) fn reached(mesh: &Mesh, query: &ReachQuery) -> Result<Reached, String> {
    let request = query.request.as_ref().map(read).transpose()?;
    let request = request.as_ref().map(|(method, path)| (*method, &**path));
    let callers = match &query.from {
        Some(from) => vec![caller(mesh, from)?],
        None => callers(mesh),
    };
    let (ports, not_enforced) = ports(mesh, query.to.as_deref())?;
    let (mut rows, mut left_out) = (Vec::new(), 0);
    for port in &ports {
        for from in &callers {
            if rows.len() >= MAX_ROWS {
                left_out += 1;
                continue;
            }
            let named = |one: &&Workload| names::workload(&one.key.name, &one.key.namespace);
            rows.push(Row {
                from: from.identity.as_ref().map(ToString::to_string),
                to: port.to.clone(),
                port: port.port,
                protocol: match port.protocol {
                    AppProtocol::Http => "http",
                    AppProtocol::Tcp => "tcp",
                    AppProtocol::Detect => "detect",
                },
                workloads: port.workloads.iter().map(named).collect(),
                judgement: judge(port, from, request),
            });
        }
    }
    Ok(Reached { schema_version: 1, rows, left_out, not_enforced })
}

/// From every address, where it depends on that and all are known.
fn judge(port: &Port<'_>, from: &From, request: Option<(&str, &str)>) -> Judgement {
    let asks = match (port.protocol, request) {
        (AppProtocol::Tcp, _) => Asks::Bytes,
        (_, None) => Asks::Request(Partial::default()),
        (_, Some((method, path))) => {
            let (method, path) = (Some(method), Some(path));
            Asks::Request(Partial { method, path, ..Partial::default() })
        }
    };
    let at = |address| port.rules.about(from.identity.as_ref(), address, port.port).judge(asks);
    let anywhere = at(None);
    if !anywhere.on.contains(&"source") {
        return anywhere;
    }
    let mut each = from.addresses.iter().map(|address| at(Some(*address)));
    match each.next() {
        Some(first) if each.all(|other| other == first) => first,
        _ => anywhere,
    }
}

/// In the form in which a sidecar judges it.
fn read(request: &AskedRequest) -> Result<(&str, Cow<'_, str>), String> {
    let AskedRequest { method, path } = request;
    let is_method = !method.is_empty()
        && method.len() <= 64
        && method.bytes().all(|byte| byte.is_ascii_graphic() && !byte.is_ascii_lowercase());
    if !is_method {
        return Err(format!("{method:?} is no method: write it in upper case"));
    }
    let path = path.split(['?', '#']).next().unwrap_or_default();
    if path == "*" {
        return Ok((method, Cow::Borrowed(path)));
    }
    if !path.starts_with('/') {
        return Err(format!("{path:?} is no path: it begins with /"));
    }
    match weft_policy::normalise(path) {
        Ok(Some(normal)) => Ok((method, Cow::Owned(normal))),
        Ok(None) => Ok((method, Cow::Borrowed(path))),
        Err(wrong) => Err(format!("{path:?} is refused with 400 everywhere: {wrong}")),
    }
}

fn caller(mesh: &Mesh, text: &str) -> Result<From, String> {
    if text == "nobody" {
        return Ok(From { identity: None, addresses: Vec::new() });
    }
    let identity = match text.split_once('/') {
        _ if text.starts_with("spiffe://") => text.parse().map_err(|error| format!("{error}")),
        Some((namespace, account)) => mesh
            .config
            .trust_domain
            .parse::<TrustDomain>()
            .and_then(|domain| SpiffeId::workload(&domain, namespace, account))
            .map_err(|error| format!("{error}")),
        None => Err("write namespace/account, a SPIFFE id, or nobody".to_owned()),
    };
    let identity = identity.map_err(|why| format!("{text:?} names no caller: {why}"))?;
    let known = callers(mesh).into_iter().find(|from| from.identity.as_ref() == Some(&identity));
    Ok(known.unwrap_or(From { identity: Some(identity), addresses: Vec::new() }))
}

/// Every identity, and nobody. Where a process outside a cluster connects from is not known: its address is the one
/// that it is called at.
fn callers(mesh: &Mesh) -> Vec<From> {
    let mut known: BTreeMap<SpiffeId, Option<BTreeSet<IpAddr>>> = BTreeMap::new();
    for workload in mesh.workloads.values().filter(|workload| workload.meshed) {
        let Ok(identity) = workload.identity(&mesh.config.trust_domain).parse() else { continue };
        let addresses = known.entry(identity).or_insert_with(|| Some(BTreeSet::new()));
        match addresses {
            Some(all) if workload.origin.kind == "Pod" && all.len() < MAX_ADDRESSES => {
                all.insert(workload.address);
            }
            _ => *addresses = None,
        }
    }
    let named = known.into_iter().map(|(identity, addresses)| From {
        identity: Some(identity),
        addresses: addresses.into_iter().flatten().collect(),
    });
    named.chain([From { identity: None, addresses: Vec::new() }]).collect()
}

/// The ports that are asked about, and workloads without a sidecar among them.
fn ports<'a>(mesh: &'a Mesh, to: Option<&str>) -> Result<(Vec<Port<'a>>, Vec<String>), String> {
    let wanted = to.map(Target::read).transpose()?;
    let mut ports: Vec<Port<'a>> = Vec::new();
    let (mut not_enforced, mut any) = (Vec::new(), false);
    for workload in mesh.workloads.values() {
        if wanted.as_ref().is_some_and(|wanted| !wanted.means(workload)) {
            continue;
        }
        any = true;
        if !workload.meshed {
            not_enforced.push(names::workload(&workload.key.name, &workload.key.namespace));
            continue;
        }
        for (port, protocol) in of(mesh, workload, wanted.as_ref()) {
            let rules = PortRules::new(mesh, workload, port);
            add(&mut ports, workload, (port, protocol), rules);
        }
    }
    if let (Some(to), false) = (to, any) {
        let known = mesh.workloads.values().map(display).collect::<BTreeSet<_>>();
        let known = known.into_iter().take(20).collect::<Vec<_>>().join(", ");
        return Err(format!("no workload is called {to:?}; there are {known}"));
    }
    ports.sort_by(|one, other| (&one.to, one.port).cmp(&(&other.to, other.port)));
    Ok((ports, not_enforced))
}

/// The ports of a workload that are told apart: those that are declared or spoken of, and the rest where something else
/// holds there.
fn of(mesh: &Mesh, workload: &Workload, wanted: Option<&Target<'_>>) -> Vec<(u16, AppProtocol)> {
    let mut all = inbound_ports(workload, mesh);
    if let Some(port) = wanted.and_then(|wanted| wanted.port) {
        let protocol = all.get(&port).copied().unwrap_or_default();
        return vec![(port, protocol)];
    }
    let rest = all.remove(&OTHER_PORTS);
    let rules = |port| PortRules::new(mesh, workload, port);
    let others = rules(OTHER_PORTS);
    let differs = all.is_empty() || all.keys().all(|port| rules(*port) != others);
    all.into_iter().chain(rest.filter(|_| differs).map(|rest| (OTHER_PORTS, rest))).collect()
}

fn add<'a>(
    ports: &mut Vec<Port<'a>>,
    workload: &'a Workload,
    (port, protocol): (u16, AppProtocol),
    rules: PortRules,
) {
    let to = display(workload);
    let is_same = |known: &&mut Port<'_>| {
        known.to == to && known.port == port && known.protocol == protocol && known.rules == rules
    };
    // Bound by what is asked: workloads of one name are next to each other, nearly always.
    match ports.iter_mut().rev().take(64).find(is_same) {
        Some(known) => known.workloads.push(workload),
        None => ports.push(Port { to, port, protocol, rules, workloads: vec![workload] }),
    }
}

/// `product.shop`.
pub(super) fn display(workload: &Workload) -> String {
    names::workload(workload.display_name(), &workload.key.namespace)
}

/// What is called.
struct Target<'a> {
    name: &'a str,
    namespace: &'a str,
    port: Option<u16>,
}

impl<'a> Target<'a> {
    fn read(text: &'a str) -> Result<Self, String> {
        let wrong = || format!("{text:?} is not workload.namespace or workload.namespace:port");
        let (host, port) = match text.split_once(':') {
            None => (text, None),
            Some((host, port)) => (host, Some(port.parse::<u16>().map_err(|_| wrong())?)),
        };
        let (name, namespace) = names::parse_workload(host).ok_or_else(wrong)?;
        match port {
            Some(0) => Err(wrong()),
            port => Ok(Self { name, namespace, port }),
        }
    }

    fn means(&self, workload: &Workload) -> bool {
        self.namespace == workload.key.namespace
            && [workload.display_name(), &workload.key.name].contains(&self.name)
    }
}

#[cfg(test)]
mod tests;

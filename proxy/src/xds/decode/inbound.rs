//! Listener → [`InboundListener`]: the filter chains of each port become protocol and mTLS mode.

use std::collections::BTreeMap;
use std::mem::take;
use std::sync::Arc;

use weft_certs::TrustDomain;
use weft_policy::Access;
use weft_proto::alpn;
use weft_proto::envoy::listener::{FilterChain, FilterChainMatch, Listener};
use weft_proto::names;

use super::http::{Http, Routes};
use super::listener::{Frame, Traffic, frame, traffic};
use super::reject::{At, Reject, nothing_else};
use super::value::origin;
use super::{route, tls};
use crate::model::{
    Action, AppProtocol, HostPattern, HttpSettings, InboundListener, InboundPort, MtlsMode,
    PathMatch, PortAccess, PortLimits, RouteTable, Tracing,
};

/// What was said about one port so far.
#[derive(Default)]
struct Port {
    tls: Side,
    plain: Side,
    /// Of the chains that carry HTTP, which must agree.
    limits: Option<PortLimits>,
    /// The same, and of those that carry opaque bytes.
    http: Option<Access>,
    tcp: Option<Access>,
}

/// What all chains that carry HTTP say alike.
#[derive(Clone, Copy, Default)]
struct Common {
    sampling: f64,
    settings: HttpSettings,
}

/// What a port takes over mutual TLS, or in plaintext.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
struct Side {
    http: bool,
    tcp: bool,
}

/// Decodes what the sidecar accepts.
pub(super) fn inbound(
    listener: Listener,
    trust_domain: &TrustDomain,
) -> Result<InboundListener, Reject> {
    let Frame { name, origin, collector, logging, probes, place, settings, chains, default_chain } =
        frame(listener)?;
    if default_chain.is_some() {
        return Err(Reject::new("default_filter_chain", "not supported on inbound listeners"));
    }
    // `inbound/shop/product-v1` is for `product-v1.shop`.
    let workload = name.rsplit_once('/').map_or_else(String::new, |(prefix, workload)| {
        names::workload(workload, prefix.rsplit('/').next().unwrap_or_default())
    });
    let mut ports: BTreeMap<u16, Port> = BTreeMap::new();
    let mut common = None;
    for (index, chain) in chains.into_iter().enumerate() {
        take_chain(chain, &workload, trust_domain, &mut ports, &mut common)
            .at(format_args!("filter_chains[{index}]"))?;
    }
    let Common { sampling, settings: of_chains } = common.unwrap_or_default();
    let tracing = Tracing { sampling, collector };
    let http = settings.or(of_chains);
    let (mut resolved, mut limits) = (BTreeMap::new(), BTreeMap::new());
    let mut access = BTreeMap::new();
    for (number, mut port) in ports {
        access.extend(access_of(&mut port).map(|some| (number, Arc::new(some))));
        resolved.insert(number, resolve(number, &port)?);
        let some = port.limits.take().filter(|limits| !limits.limits.is_empty());
        limits.extend(some.map(|some| (number, some)));
    }
    let probes = probes.into_iter().map(|(port, probes)| (port, Arc::new(probes))).collect();
    Ok(InboundListener {
        name,
        origin,
        ports: resolved,
        limits,
        access,
        probes,
        place,
        http,
        tracing,
        logging,
    })
}

fn take_chain(
    mut chain: FilterChain,
    workload: &str,
    trust_domain: &TrustDomain,
    ports: &mut BTreeMap<u16, Port>,
    common: &mut Option<Common>,
) -> Result<(), Reject> {
    chain.name = String::new();
    let policy = origin(chain.metadata.take().as_ref()).unwrap_or_default();
    let secure = match chain.transport_socket.take() {
        Some(socket) => {
            tls::downstream(socket, trust_domain).at("transport_socket")?;
            true
        }
        None => false,
    };
    let wanted = chain.filter_chain_match.take().unwrap_or_default();
    let number = port(wanted, secure).at("filter_chain_match")?;
    let traffic = traffic(take(&mut chain.filters))?;
    nothing_else(&chain)?;
    let port = ports.entry(number).or_default();
    let side = if secure { &mut port.tls } else { &mut port.plain };
    let taken = match &traffic {
        Traffic::Http(_) => &mut side.http,
        Traffic::Tcp(..) => &mut side.tcp,
    };
    if std::mem::replace(taken, true) {
        return Err(Reject::new("filter_chain_match", format!("port {number} has such a chain")));
    }
    match traffic {
        Traffic::Http(http) => {
            http.check_default_host(workload).at("filters[0].typed_config")?;
            if http.affinity.is_some() {
                let at = "filters[0].typed_config.http_filters";
                return Err(Reject::new(at, "sessions are for callers"));
            }
            let Http { routes, sampling, limits, access, settings, .. } = http;
            same(&mut port.http, &access, number)?;
            let limits = PortLimits { origin: policy, limits };
            if *port.limits.get_or_insert_with(|| limits.clone()) != limits {
                let reason = format!("must be the same on every chain of port {number}");
                return Err(Reject::new("filters[0].typed_config.http_filters", reason));
            }
            let common = common.get_or_insert(Common { sampling, settings });
            let reason = "must be the same on every port";
            if common.sampling != sampling {
                return Err(Reject::new("filters[0].typed_config.tracing", reason));
            }
            if common.settings != settings {
                return Err(Reject::new("filters[0].typed_config", format!("limits: {reason}")));
            }
            to_application(routes, number).at("filters[0].typed_config")
        }
        Traffic::Tcp(cluster, access) if cluster == names::inbound_cluster(number) => {
            same(&mut port.tcp, &access, number)
        }
        Traffic::Tcp(..) => Err(elsewhere("filters[0].typed_config.cluster", number)),
    }
}

/// One caller may come by several chains of a port.
fn same(known: &mut Option<Access>, access: &Access, port: u16) -> Result<(), Reject> {
    if known.get_or_insert_with(|| access.clone()) == access {
        return Ok(());
    }
    Err(Reject::new("filters", format!("access must be the same on every chain of port {port}")))
}

/// `None` where everything is allowed and nothing told.
fn access_of(port: &mut Port) -> Option<PortAccess> {
    let access = PortAccess {
        http: port.http.take().unwrap_or_default(),
        tcp: port.tcp.take().unwrap_or_default(),
    };
    (access != PortAccess::default()).then_some(access)
}

/// The port that a chain is for; without one, those that no other chain is for. What else its match says must follow from the rest of the chain.
fn port(mut wanted: FilterChainMatch, secure: bool) -> Result<u16, Reject> {
    let port = match wanted.destination_port.take() {
        None => Some(names::OTHER_PORTS),
        Some(port) => u16::try_from(port.value).ok().filter(|port| *port != names::OTHER_PORTS),
    };
    let port = port.ok_or_else(|| Reject::new("destination_port", "not a port"))?;
    let transport = take(&mut wanted.transport_protocol);
    match (transport.as_str(), secure) {
        ("", _) | ("tls", true) | ("raw_buffer", false) => {}
        _ => return Err(Reject::new("transport_protocol", format!("{transport:?} is wrong here"))),
    }
    for protocol in take(&mut wanted.application_protocols) {
        let fits = match secure {
            true => alpn::ALL.contains(&protocol.as_bytes()),
            false => matches!(protocol.as_str(), "http/1.0" | "http/1.1" | "h2c"),
        };
        if !fits {
            let reason = format!("{protocol:?} is wrong here");
            return Err(Reject::new("application_protocols", reason));
        }
    }
    nothing_else(&wanted)?;
    Ok(port)
}

/// An inbound port leads to its own application and nowhere else.
fn to_application(routes: Routes, port: u16) -> Result<(), Reject> {
    let Routes::Inline(configuration) = routes else {
        return Err(Reject::new("rds", "inbound listeners have their routes inline"));
    };
    let table = route::table(*configuration).at("route_config")?;
    if leads_to_application(&table, port) {
        return Ok(());
    }
    Err(elsewhere("route_config", port))
}

fn leads_to_application(table: &RouteTable, port: u16) -> bool {
    let [host] = table.hosts.as_slice() else { return false };
    let [rule] = host.rules.as_slice() else { return false };
    let everything = host.hosts == [HostPattern::Any]
        && matches!(rule.matcher.path, PathMatch::Any)
        && !rule.matcher.grpc
        && rule.matcher.method.is_none()
        && rule.matcher.headers.is_empty()
        && rule.matcher.query.is_empty();
    let unchanged =
        rule.request_headers.changes.is_empty() && rule.response_headers.changes.is_empty();
    let limits = rule.timeout.is_none() && rule.retry.on.is_empty() && rule.retry.attempts == 0;
    let Action::Forward(splits) = &rule.action else { return false };
    let [split] = splits.as_slice() else { return false };
    let plain =
        split.request_headers.changes.is_empty() && split.response_headers.changes.is_empty();
    let cluster = table.clusters.get(split.cluster);
    everything
        && unchanged
        && limits
        && plain
        && cluster.is_some_and(|cluster| *cluster == names::inbound_cluster(port))
}

fn elsewhere(path: &str, port: u16) -> Reject {
    let cluster = names::inbound_cluster(port);
    Reject::new(path, format!("must send everything to {cluster}, without changes or limits"))
}

fn resolve(number: u16, port: &Port) -> Result<InboundPort, Reject> {
    let none = Side::default();
    let (mtls, side) = match (port.tls == none, port.plain == none) {
        (false, true) => (MtlsMode::Strict, port.tls),
        (true, false) => (MtlsMode::Disable, port.plain),
        (_, _) if port.tls == port.plain => (MtlsMode::Permissive, port.tls),
        (_, _) => {
            let reason = format!("port {number}: TLS and plaintext differ in protocol");
            return Err(Reject::new("filter_chains", reason));
        }
    };
    let protocol = match side {
        Side { http: true, tcp: true } => AppProtocol::Detect,
        Side { http: true, tcp: false } => AppProtocol::Http,
        Side { http: false, .. } => AppProtocol::Tcp,
    };
    Ok(InboundPort { protocol, mtls })
}

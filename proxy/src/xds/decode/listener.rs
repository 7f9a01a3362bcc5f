//! Listener → [`OutboundListener`], and what both directions share: filter chains and listener filters.

use std::collections::BTreeMap;
use std::mem::take;

use prost::Name;
use weft_policy::Access;
use weft_proto::envoy::core::Metadata;
use weft_proto::envoy::hcm::HttpConnectionManager;
use weft_proto::envoy::http_inspector::HttpInspector;
use weft_proto::envoy::listener::{
    Filter, FilterChain, Listener, ListenerFilter, filter, listener_filter,
};
use weft_proto::envoy::tcp_proxy::{TcpProxy, tcp_proxy::ClusterSpecifier};
use weft_proto::envoy::tls_inspector::TlsInspector;
use weft_proto::google::{Any, Value, value::Kind};
use weft_proto::names::metadata;
use weft_proto::origin::Origin;

use super::access;
use super::http::{self, Http, Routes};
use super::reject::{At, Reject, each, nothing_else};
use super::value::{metadata_text, origin, type_name, unpack};
use super::{settings, telemetry};
use crate::model::{
    AppProtocol, HttpSettings, Locality, Logging, OutboundListener, Probes, Tracing,
};
use crate::telemetry::export::Collector;

/// What the one filter of a chain does.
pub(super) enum Traffic {
    Http(Http),
    /// To this cluster, for whom it is.
    Tcp(String, Access),
}

/// A Listener without its name, metadata and chains' contents.
pub(super) struct Frame {
    pub(super) name: String,
    pub(super) origin: Origin,
    pub(super) collector: Option<Collector>,
    pub(super) logging: Logging,
    pub(super) probes: BTreeMap<u16, Probes>,
    pub(super) place: Option<Locality>,
    /// Limits of HTTP that Envoy has no field for.
    pub(super) settings: HttpSettings,
    pub(super) chains: Vec<FilterChain>,
    pub(super) default_chain: Option<FilterChain>,
}

/// Takes a Listener apart. Where it listens is not looked at: this proxy binds what its flags say, and what
/// is intercepted is bound to no port.
pub(super) fn frame(mut listener: Listener) -> Result<Frame, Reject> {
    listener.address = None;
    listener.additional_addresses = Vec::new();
    listener.bind_to_port = None;
    // First bytes are waited for as long as this proxy sees fit; then the connection goes on as opaque.
    if take(&mut listener.continue_on_listener_filters_timeout) {
        listener.listener_filters_timeout = None;
    }
    listener.stat_prefix = String::new();
    listener.traffic_direction = 0;
    let name = take(&mut listener.name);
    let metadata = listener.metadata.take();
    let origin = origin(metadata.as_ref())
        .unwrap_or_else(|| Origin { name: name.clone(), ..Origin::default() });
    let collector = telemetry::collector(metadata.as_ref(), metadata::TRACING)?;
    let logging = Logging {
        rules: telemetry::log_rules(metadata.as_ref())?,
        collector: telemetry::collector(metadata.as_ref(), metadata::ACCESS_LOG)?,
    };
    let probes = probes(metadata.as_ref())?;
    let place = place(metadata.as_ref());
    let settings = settings::own(metadata.as_ref())?;
    each("listener_filters", take(&mut listener.listener_filters), inspector)?;
    let chains = take(&mut listener.filter_chains);
    let default_chain = listener.default_filter_chain.take();
    nothing_else(&listener)?;
    Ok(Frame { name, origin, collector, logging, probes, place, settings, chains, default_chain })
}

fn place(metadata: Option<&Metadata>) -> Option<Locality> {
    let part = |field| metadata_text(metadata, metadata::PLACE, field).to_owned();
    let place = Locality { region: part("region"), zone: part("zone"), sub_zone: part("sub_zone") };
    Some(place).filter(|place| *place != Locality::default())
}

fn probes(metadata: Option<&Metadata>) -> Result<BTreeMap<u16, Probes>, Reject> {
    let found = metadata.and_then(|metadata| metadata.filter_metadata.get(metadata::PROBES));
    let fields = found.iter().flat_map(|found| &found.fields);
    let one = |(port, paths): (&String, &Value)| {
        let number = port.parse().map_err(|_| Reject::new(port, "not a port"))?;
        let Some(Kind::ListValue(list)) = &paths.kind else {
            return Err(Reject::new(port, "not a list"));
        };
        let mut probes = Probes::default();
        for path in &list.values {
            match &path.kind {
                Some(Kind::StringValue(path)) if path.is_empty() => probes.port = true,
                Some(Kind::StringValue(path)) => probes.paths.push(path.clone()),
                _ => return Err(Reject::new(port, "not a list of paths")),
            }
        }
        Ok((number, probes))
    };
    fields.map(one).collect::<Result<_, _>>().at(metadata::PROBES)
}

/// Decodes one Service port as its callers see it.
pub(super) fn outbound(listener: Listener) -> Result<OutboundListener, Reject> {
    let Frame { name, origin, collector, settings, chains, default_chain, .. } = frame(listener)?;
    let mut out = OutboundListener {
        name,
        origin,
        protocol: AppProtocol::Http,
        routes: None,
        tcp_cluster: None,
        affinity: None,
        http: settings,
        tracing: Tracing { sampling: 0.0, collector },
    };
    let has_default = default_chain.is_some();
    if chains.len() > 1 {
        return Err(Reject::new("filter_chains[1]", "only one is supported beside the default"));
    }
    for chain in chains {
        take_outbound(chain, has_default, &mut out).at("filter_chains[0]")?;
    }
    if let Some(chain) = default_chain {
        take_outbound(chain, false, &mut out).at("default_filter_chain")?;
    }
    out.protocol = match (&out.routes, &out.tcp_cluster) {
        (Some(_), Some(_)) => AppProtocol::Detect,
        (Some(_), None) => AppProtocol::Http,
        (None, Some(_)) => AppProtocol::Tcp,
        (None, None) => return Err(Reject::new("filter_chains", "missing")),
    };
    Ok(out)
}

/// `detected`: another chain takes what this one's match leaves, so this one must be for HTTP and say so.
fn take_outbound(
    mut chain: FilterChain,
    detected: bool,
    out: &mut OutboundListener,
) -> Result<(), Reject> {
    chain.name = String::new();
    chain.metadata = None;
    let mut wanted = chain.filter_chain_match.take().unwrap_or_default();
    let protocols = take(&mut wanted.application_protocols);
    nothing_else(&wanted).at("filter_chain_match")?;
    let known = protocols.iter().all(|p| matches!(p.as_str(), "http/1.0" | "http/1.1" | "h2c"));
    if !known || detected == protocols.is_empty() {
        let reason = if detected { "must be http/1.1 and h2c" } else { "not supported here" };
        return Err(Reject::new("filter_chain_match.application_protocols", reason));
    }
    let traffic = traffic(take(&mut chain.filters))?;
    nothing_else(&chain)?;
    if let Traffic::Http(http) = &traffic {
        http.check_default_host(&out.name).at("filters[0].typed_config")?;
    }
    match traffic {
        Traffic::Http(Http { limits, access, .. })
            if !limits.is_empty() || access != Access::default() =>
        {
            let reason = "rate limits and access are supported on inbound listeners only";
            return Err(Reject::new("filters[0].typed_config.http_filters", reason));
        }
        Traffic::Tcp(_, access) if access != Access::default() => {
            return Err(Reject::new("filters", "access is supported on inbound listeners only"));
        }
        Traffic::Http(Http {
            routes: Routes::Named(routes), sampling, affinity, settings, ..
        }) if out.routes.is_none() => {
            out.http = out.http.or(settings);
            out.affinity = affinity;
            out.tracing.sampling = sampling;
            out.routes = Some(routes);
        }
        Traffic::Tcp(cluster, _) if out.tcp_cluster.is_none() && !detected => {
            out.tcp_cluster = Some(cluster);
        }
        Traffic::Http(_) => {
            return Err(Reject::new("filters[0]", "must take its routes by `rds`, once"));
        }
        Traffic::Tcp(..) => return Err(Reject::new("filters[0]", "must be HTTP")),
    }
    Ok(())
}

/// Decodes the filters of a chain: the one that carries the traffic, and before a TCP proxy those that say for whom.
pub(super) fn traffic(mut filters: Vec<Filter>) -> Result<Traffic, Reject> {
    let last = filters.pop().ok_or_else(|| Reject::new("filters", "missing"))?;
    let at = format!("filters[{}].typed_config", filters.len());
    let config = config_of(last).at(format_args!("filters[{}]", filters.len()))?;
    let mut access = Access::default();
    let before = filters.len();
    for (index, filter) in filters.into_iter().enumerate() {
        let at = format!("filters[{index}]");
        let config = config_of(filter).at(&at)?;
        access::network(config, &mut access).at(&at)?;
    }
    if type_name(&config) == TcpProxy::full_name() {
        let cluster = tcp(unpack(&at, Some(config))?).at(&at)?;
        return Ok(Traffic::Tcp(cluster, access));
    }
    if before > 0 {
        return Err(Reject::new(at, "is for a TCP proxy only behind other filters"));
    }
    let hcm: HttpConnectionManager = unpack(&at, Some(config))?;
    http::http(hcm).map(Traffic::Http).at(&at)
}

fn config_of(filter: Filter) -> Result<Any, Reject> {
    match filter.config_type {
        Some(filter::ConfigType::TypedConfig(config)) => Ok(config),
        Some(filter::ConfigType::ConfigDiscovery(_)) | None => {
            Err(Reject::new("typed_config", "missing"))
        }
    }
}

fn tcp(mut tcp: TcpProxy) -> Result<String, Reject> {
    tcp.stat_prefix = String::new();
    let cluster = match tcp.cluster_specifier.take() {
        Some(ClusterSpecifier::Cluster(cluster)) if !cluster.is_empty() => cluster,
        _ => return Err(Reject::new("cluster_specifier", "only `cluster` is supported")),
    };
    nothing_else(&tcp)?;
    Ok(cluster)
}

/// What tells protocols apart. This proxy looks whenever a chain's match needs it; the filters say the same.
fn inspector(mut filter: ListenerFilter) -> Result<(), Reject> {
    filter.name = String::new();
    let config = match filter.config_type.take() {
        Some(listener_filter::ConfigType::TypedConfig(config)) => config,
        Some(listener_filter::ConfigType::ConfigDiscovery(_)) | None => {
            return Err(Reject::new("typed_config", "missing"));
        }
    };
    if type_name(&config) == HttpInspector::full_name() {
        nothing_else(&unpack::<HttpInspector>("typed_config", Some(config))?).at("typed_config")?;
    } else {
        nothing_else(&unpack::<TlsInspector>("typed_config", Some(config))?).at("typed_config")?;
    }
    nothing_else(&filter)
}

//! HttpConnectionManager: which routes, how much is traced. Everything else of it is either what this proxy
//! does anyway or refused.

use std::mem::take;

use prost::Name;
use weft_policy::Access;
use weft_proto::envoy::core::Http1ProtocolOptions;
use weft_proto::envoy::hcm::http_connection_manager::{
    CodecType, PathWithEscapedSlashesAction, RouteSpecifier, StripPortMode, UpgradeConfig,
};
use weft_proto::envoy::hcm::{HttpConnectionManager, HttpFilter, Rds, http_filter};
use weft_proto::envoy::http_rbac;
use weft_proto::envoy::local_ratelimit::LocalRateLimit;
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::envoy::router::Router;
use weft_proto::google::Any;

use super::reject::{At, Reject, each, nothing_else};
use super::settings;
use super::value::{ads, share, type_name, unpack};
use super::{access, rate_limit};
use crate::model::{HttpSettings, RateLimit, SessionAffinity};

/// An HttpConnectionManager in our words.
pub(super) struct Http {
    pub(super) routes: Routes,
    /// Share of the traces started here that are sampled, 0 to 1.
    pub(super) sampling: f64,
    /// Whom HTTP/1.0 requests without a host are for.
    pub(super) default_host: String,
    pub(super) affinity: Option<SessionAffinity>,
    /// What every request must pass.
    pub(super) limits: Vec<RateLimit>,
    /// Who may do what.
    pub(super) access: Access,
    /// What Envoy has fields for.
    pub(super) settings: HttpSettings,
}

/// As the listener reads them.
const MAX_HEADERS_KIB: u32 = 64;

/// Where the routes come from.
pub(super) enum Routes {
    Named(String),
    Inline(Box<RouteConfiguration>),
}

/// Decodes it.
pub(super) fn http(mut hcm: HttpConnectionManager) -> Result<Http, Reject> {
    hcm.stat_prefix = String::new();
    if take(&mut hcm.codec_type) != CodecType::Auto as i32 {
        return Err(Reject::new("codec_type", "only AUTO is supported"));
    }
    let routes = match hcm.route_specifier.take() {
        Some(RouteSpecifier::Rds(named)) => Routes::Named(rds(named).at("rds")?),
        Some(RouteSpecifier::RouteConfig(inline)) => Routes::Inline(Box::new(inline)),
        Some(RouteSpecifier::ScopedRoutes(_)) | None => {
            return Err(Reject::new(
                "route_specifier",
                "only `rds` and `route_config` are supported",
            ));
        }
    };
    let Filters { affinity, limits, access } = filters(take(&mut hcm.http_filters))?;
    let sampling = match hcm.tracing.take() {
        Some(mut tracing) => {
            let sampling = share("random_sampling", &mut tracing.random_sampling, 1.0);
            sampling.and_then(|share| nothing_else(&tracing).map(|()| share)).at("tracing")?
        }
        None => 0.0,
    };
    if hcm.upgrade_configs.is_empty() {
        return Err(Reject::new("upgrade_configs", "must have websocket"));
    }
    each("upgrade_configs", take(&mut hcm.upgrade_configs), upgrade)?;
    paths(&mut hcm)?;
    let default_host =
        http1(hcm.http_protocol_options.take().unwrap_or_default()).at("http_protocol_options")?;
    // Ports never take part in host matching here.
    hcm.strip_port_mode.take_if(|mode| *mode == StripPortMode::StripAnyHostPort(true));
    hcm.max_request_headers_kb.take_if(|limit| limit.value == MAX_HEADERS_KIB);
    let settings = settings::of(&mut hcm)?;
    nothing_else(&hcm)?;
    Ok(Http { routes, sampling, default_host, affinity, limits, access, settings })
}

/// Paths have one form here, whatever anybody asks for (`weft_policy::normalise`).
fn paths(hcm: &mut HttpConnectionManager) -> Result<(), Reject> {
    if !hcm.normalize_path.take().is_some_and(|normalise| normalise.value) {
        return Err(Reject::new("normalize_path", "must be true"));
    }
    if !take(&mut hcm.merge_slashes) {
        return Err(Reject::new("merge_slashes", "must be true"));
    }
    let kept = PathWithEscapedSlashesAction::KeepUnchanged as i32;
    if !matches!(take(&mut hcm.path_with_escaped_slashes_action), action if action == kept || action == 0)
    {
        let reason = "only KEEP_UNCHANGED is supported";
        return Err(Reject::new("path_with_escaped_slashes_action", reason));
    }
    Ok(())
}

/// Returns the host of HTTP/1.0 requests that name none.
fn http1(mut options: Http1ProtocolOptions) -> Result<String, Reject> {
    for (field, value) in [
        ("accept_http_10", take(&mut options.accept_http_10)),
        ("enable_trailers", take(&mut options.enable_trailers)),
    ] {
        if !value {
            return Err(Reject::new(field, "must be true"));
        }
    }
    let host = take(&mut options.default_host_for_http_10);
    nothing_else(&options)?;
    Ok(host)
}

impl Http {
    /// # Errors
    /// If HTTP/1.0 requests that name no host are to be for another than `expected`.
    pub(super) fn check_default_host(&self, expected: &str) -> Result<(), Reject> {
        if self.default_host == expected {
            return Ok(());
        }
        let field = "http_protocol_options.default_host_for_http_10";
        Err(Reject::new(field, format!("must be {expected}")))
    }
}

fn rds(mut rds: Rds) -> Result<String, Reject> {
    let name = take(&mut rds.route_config_name);
    if name.is_empty() {
        return Err(Reject::new("route_config_name", "missing"));
    }
    ads("config_source", rds.config_source.take())?;
    nothing_else(&rds)?;
    Ok(name)
}

/// What the filters before the router do.
#[derive(Default)]
struct Filters {
    affinity: Option<SessionAffinity>,
    limits: Vec<RateLimit>,
    access: Access,
}

/// What each does; the router is the last.
fn filters(mut filters: Vec<HttpFilter>) -> Result<Filters, Reject> {
    let at = |index: usize| format!("http_filters[{index}]");
    let Some(last) = filters.pop() else { return Err(Reject::new("http_filters", "missing")) };
    let router = config(last).and_then(|config| unpack::<Router>("typed_config", config));
    router.and_then(|router| nothing_else(&router).at("typed_config")).at(at(filters.len()))?;
    let mut found = Filters::default();
    for (index, filter) in filters.into_iter().enumerate() {
        let config = config(filter).at(at(index))?;
        found.take(config).at(at(index))?;
    }
    Ok(found)
}

impl Filters {
    fn take(&mut self, config: Option<Any>) -> Result<(), Reject> {
        let field = "typed_config";
        let limits = config.as_ref().is_some_and(|it| type_name(it) == LocalRateLimit::full_name());
        if limits {
            self.limits.push(rate_limit::limit(unpack(field, config)?).at(field)?);
            return Ok(());
        }
        if config.as_ref().is_some_and(|it| type_name(it) == http_rbac::Rbac::full_name()) {
            // Order: who may not call has no part in limits. An Envoy would count him.
            return match self.limits.is_empty() {
                true => access::http(config, &mut self.access),
                false => Err(Reject::new("", "access comes before limits")),
            };
        }
        let affinity = super::affinity::affinity(unpack(field, config)?).at(field)?;
        match self.affinity.replace(affinity) {
            None => Ok(()),
            Some(_) => Err(Reject::new("", "one is enough")),
        }
    }
}

fn config(mut filter: HttpFilter) -> Result<Option<Any>, Reject> {
    filter.name = String::new();
    let config = match filter.config_type.take() {
        Some(http_filter::ConfigType::TypedConfig(config)) => Some(config),
        Some(http_filter::ConfigType::ConfigDiscovery(_)) | None => None,
    };
    nothing_else(&filter)?;
    Ok(config)
}

fn upgrade(mut upgrade: UpgradeConfig) -> Result<(), Reject> {
    if !take(&mut upgrade.upgrade_type).eq_ignore_ascii_case("websocket") {
        return Err(Reject::new("upgrade_type", "only websocket is supported"));
    }
    upgrade.enabled.take_if(|enabled| enabled.value);
    nothing_else(&upgrade)
}

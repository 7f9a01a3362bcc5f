//! RouteAction, RedirectAction and DirectResponseAction → what a rule does.

use std::mem::take;
use std::time::Duration;

use http::StatusCode;
use http::uri::{Authority, PathAndQuery};
use weft_proto::envoy::route::redirect_action::{
    PathRewriteSpecifier, RedirectResponseCode, SchemeRewriteSpecifier,
};
use weft_proto::envoy::route::route_action::{ClusterNotFoundResponseCode, ClusterSpecifier};
use weft_proto::envoy::route::weighted_cluster::ClusterWeight;
use weft_proto::envoy::route::{
    DirectResponseAction, RedirectAction, RouteAction, WeightedCluster,
};

use super::super::reject::{At, Reject, each, nothing_else};
use super::super::value::duration;
use super::{INVALID_CLUSTER, Table, headers, retry};
use crate::model::{HeaderOps, Redirect, RetryPolicy, Split};

/// Envoy's limit on a request where a route names none.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A RouteAction in the model's words.
pub(super) struct Forward {
    pub(super) splits: Vec<Split>,
    pub(super) timeout: Option<Duration>,
    pub(super) retry: RetryPolicy,
}

/// Decodes where a rule sends its requests; `grpc`: they are all of gRPC.
pub(super) fn forward(
    mut route: RouteAction,
    grpc: bool,
    table: &mut Table,
) -> Result<Forward, Reject> {
    let timeout = duration("timeout", &mut route.timeout)?.unwrap_or(TIMEOUT);
    let retry = retry::policy(route.retry_policy.take()).at("retry_policy")?;
    let missing =
        ClusterNotFoundResponseCode::try_from(take(&mut route.cluster_not_found_response_code));
    let splits = match route.cluster_specifier.take() {
        Some(ClusterSpecifier::Cluster(name)) => vec![Split {
            cluster: table.cluster(named("cluster", name)?),
            weight: 1,
            request_headers: HeaderOps::default(),
            response_headers: HeaderOps::default(),
        }],
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            splits(weighted, table).at("weighted_clusters")?
        }
        _ => {
            let reason = "only `cluster` and `weighted_clusters` are supported";
            return Err(Reject::new("cluster_specifier", reason));
        }
    };
    nothing_else(&route)?;
    let invalid = splits.iter().any(|s| table.clusters[s.cluster].starts_with(INVALID_CLUSTER));
    match missing {
        Ok(ClusterNotFoundResponseCode::InternalServerError) => {}
        // A gRPC client is told UNAVAILABLE for an invalid backend, which is what 503 means to it.
        Ok(ClusterNotFoundResponseCode::ServiceUnavailable) if !invalid || grpc => {}
        _ => {
            let reason = if invalid { "must be INTERNAL_SERVER_ERROR" } else { "not supported" };
            return Err(Reject::new("cluster_not_found_response_code", reason));
        }
    }
    Ok(Forward { splits, timeout: Some(timeout).filter(|limit| !limit.is_zero()), retry })
}

fn splits(mut weighted: WeightedCluster, table: &mut Table) -> Result<Vec<Split>, Reject> {
    let clusters = take(&mut weighted.clusters);
    nothing_else(&weighted)?;
    let splits = each("clusters", clusters, |cluster| split(cluster, table))?;
    let sum: u64 = splits.iter().map(|split| u64::from(split.weight)).sum();
    if sum == 0 || sum > u64::from(u32::MAX) {
        return Err(Reject::new("clusters", format!("the weights sum up to {sum}")));
    }
    Ok(splits)
}

fn split(mut cluster: ClusterWeight, table: &mut Table) -> Result<Split, Reject> {
    let name = named("name", take(&mut cluster.name))?;
    let weight = cluster.weight.take().map_or(0, |weight| weight.value);
    let request_headers = headers::changes(
        "request_headers",
        take(&mut cluster.request_headers_to_add),
        take(&mut cluster.request_headers_to_remove),
    )?;
    let response_headers = headers::changes(
        "response_headers",
        take(&mut cluster.response_headers_to_add),
        take(&mut cluster.response_headers_to_remove),
    )?;
    nothing_else(&cluster)?;
    Ok(Split { cluster: table.cluster(name), weight, request_headers, response_headers })
}

fn named(field: &str, name: String) -> Result<String, Reject> {
    if name.is_empty() { Err(Reject::new(field, "missing")) } else { Ok(name) }
}

/// Decodes a redirect.
pub(super) fn redirect(mut redirect: RedirectAction) -> Result<Redirect, Reject> {
    let host = Some(take(&mut redirect.host_redirect)).filter(|host| !host.is_empty());
    if let Some(host) = host.as_deref().filter(|host| Authority::try_from(*host).is_err()) {
        return Err(Reject::new("host_redirect", format!("{host:?} is not a host")));
    }
    let port = u16::try_from(take(&mut redirect.port_redirect))
        .map_err(|_| Reject::new("port_redirect", "not a port"))?;
    let scheme = match redirect.scheme_rewrite_specifier.take() {
        Some(SchemeRewriteSpecifier::HttpsRedirect(https)) => https.then(|| "https".to_owned()),
        Some(SchemeRewriteSpecifier::SchemeRedirect(scheme)) => match scheme.as_str() {
            "http" | "https" => Some(scheme),
            _ => return Err(Reject::new("scheme_redirect", "only http and https are supported")),
        },
        None => None,
    };
    let (mut path, mut prefix) = (None, None);
    match redirect.path_rewrite_specifier.take() {
        Some(PathRewriteSpecifier::PathRedirect(to)) => path = Some(target("path_redirect", to)?),
        Some(PathRewriteSpecifier::PrefixRewrite(to)) => {
            prefix = Some(target("prefix_rewrite", to)?);
        }
        Some(PathRewriteSpecifier::RegexRewrite(_) | PathRewriteSpecifier::PathRewrite(_)) => {
            let reason = "only `path_redirect` and `prefix_rewrite` are supported";
            return Err(Reject::new("path_rewrite_specifier", reason));
        }
        None => {}
    }
    let status = match RedirectResponseCode::try_from(take(&mut redirect.response_code)) {
        Ok(RedirectResponseCode::MovedPermanently) => StatusCode::MOVED_PERMANENTLY,
        Ok(RedirectResponseCode::Found) => StatusCode::FOUND,
        Ok(RedirectResponseCode::SeeOther) => StatusCode::SEE_OTHER,
        Ok(RedirectResponseCode::TemporaryRedirect) => StatusCode::TEMPORARY_REDIRECT,
        Ok(RedirectResponseCode::PermanentRedirect) => StatusCode::PERMANENT_REDIRECT,
        Err(_) => return Err(Reject::new("response_code", "not supported by weft-proxy")),
    };
    nothing_else(&redirect)?;
    Ok(Redirect { scheme, host, port: Some(port).filter(|port| *port != 0), path, prefix, status })
}

fn target(field: &str, path: String) -> Result<String, Reject> {
    if path.starts_with('/') && PathAndQuery::try_from(path.as_str()).is_ok() {
        Ok(path)
    } else {
        Err(Reject::new(field, format!("{path:?} is not an absolute path")))
    }
}

/// Decodes a fixed answer; only its status.
pub(super) fn respond(mut response: DirectResponseAction) -> Result<StatusCode, Reject> {
    let code = take(&mut response.status);
    nothing_else(&response)?;
    u16::try_from(code)
        .ok()
        .filter(|code| (200..600).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| Reject::new("status", format!("{code} is not a final status")))
}

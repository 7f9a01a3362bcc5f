//! RouteAction and DirectResponseAction → what a rule does. Redirects and rewrites are in [`super::url`].

use std::mem::take;
use std::time::Duration;

use http::StatusCode;
use weft_proto::envoy::route::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, MaxStreamDuration,
};
use weft_proto::envoy::route::weighted_cluster::ClusterWeight;
use weft_proto::envoy::route::weighted_cluster::cluster_weight::HostRewriteSpecifier;
use weft_proto::envoy::route::{DirectResponseAction, RouteAction, WeightedCluster};

use super::super::reject::{At, Reject, each, nothing_else};
use super::super::value::duration;
use super::{INVALID_CLUSTER, Table, headers, mirror, retry, url};
use crate::model::{HeaderOps, Mirror, RetryPolicy, Rewrite, Split};

/// Envoy's limit on a request where a route names none.
const TIMEOUT: Duration = Duration::from_secs(15);

/// A RouteAction in the model's words.
pub(super) struct Forward {
    pub(super) splits: Vec<Split>,
    pub(super) timeout: Option<Duration>,
    pub(super) grpc_timeout: bool,
    pub(super) retry: RetryPolicy,
    pub(super) rewrite: Option<Box<Rewrite>>,
    pub(super) mirrors: Vec<Mirror>,
}

/// Decodes where a rule sends its requests; `grpc`: they are all of gRPC.
pub(super) fn forward(
    mut route: RouteAction,
    grpc: bool,
    table: &mut Table,
) -> Result<Forward, Reject> {
    let timeout = duration("timeout", &mut route.timeout)?;
    let (timeout, grpc_timeout) = match route.max_stream_duration.take() {
        None => (timeout.unwrap_or(TIMEOUT), false),
        Some(limits) => {
            if timeout.is_some_and(|timeout| !timeout.is_zero()) {
                let reason = "has no effect beside `max_stream_duration`, as in Envoy";
                return Err(Reject::new("timeout", reason));
            }
            stream_limits(limits).at("max_stream_duration")?
        }
    };
    let retry = retry::policy(route.retry_policy.take()).at("retry_policy")?;
    let rewrite = url::rewrite(&mut route, table)?;
    let missing =
        ClusterNotFoundResponseCode::try_from(take(&mut route.cluster_not_found_response_code));
    let splits = match route.cluster_specifier.take() {
        Some(ClusterSpecifier::Cluster(name)) => vec![Split {
            cluster: table.cluster(named("cluster", name)?),
            weight: 1,
            request_headers: HeaderOps::default(),
            response_headers: HeaderOps::default(),
            host: None,
        }],
        Some(ClusterSpecifier::WeightedClusters(weighted)) => {
            splits(weighted, table).at("weighted_clusters")?
        }
        _ => {
            let reason = "only `cluster` and `weighted_clusters` are supported";
            return Err(Reject::new("cluster_specifier", reason));
        }
    };
    let mirrors = take(&mut route.request_mirror_policies);
    let mirrors = each("request_mirror_policies", mirrors, |policy| mirror::mirror(policy, table))?;
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
    let timeout = Some(timeout).filter(|limit| !limit.is_zero());
    Ok(Forward { splits, timeout, grpc_timeout, retry, rewrite, mirrors })
}

/// The limit, 0 for none, and whether the caller's `grpc-timeout` counts where it is shorter.
fn stream_limits(mut limits: MaxStreamDuration) -> Result<(Duration, bool), Reject> {
    let limit = duration("max_stream_duration", &mut limits.max_stream_duration)?;
    let most = duration("grpc_timeout_header_max", &mut limits.grpc_timeout_header_max)?;
    nothing_else(&limits)?;
    let limit = limit.unwrap_or_default();
    match most {
        Some(most) if most != limit => {
            let reason = "only the limit itself, or 0 where there is none, is supported";
            Err(Reject::new("grpc_timeout_header_max", reason))
        }
        most => Ok((limit, most.is_some())),
    }
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
    let host = match cluster.host_rewrite_specifier.take() {
        Some(HostRewriteSpecifier::HostRewriteLiteral(host)) => Some(url::host(&host)?),
        None => None,
    };
    nothing_else(&cluster)?;
    Ok(Split { cluster: table.cluster(name), weight, request_headers, response_headers, host })
}

fn named(field: &str, name: String) -> Result<String, Reject> {
    if name.is_empty() { Err(Reject::new(field, "missing")) } else { Ok(name) }
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

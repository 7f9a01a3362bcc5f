//! What a rule does with a request that it matched: send it to one or several clusters, or redirect it. What has no
//! backend goes to a cluster that does not exist, which answers 500, to gRPC UNAVAILABLE.

use std::time::Duration;

use weft_proto::envoy::core::header_value_option::HeaderAppendAction;
use weft_proto::envoy::core::{HeaderValue, HeaderValueOption};
use weft_proto::envoy::route::route::Action;
use weft_proto::envoy::route::route_action::{
    ClusterNotFoundResponseCode, ClusterSpecifier, HostRewriteSpecifier, MaxStreamDuration,
};
use weft_proto::envoy::route::weighted_cluster::ClusterWeight;
use weft_proto::envoy::route::weighted_cluster::cluster_weight::HostRewriteSpecifier as ClusterHost;
use weft_proto::envoy::route::{RouteAction, WeightedCluster};
use weft_proto::names;

use super::headers;
use super::ports::Port;
use super::precedence::Candidate;
use super::value::{duration, uint32};
use super::{mirror, retry, url};
use crate::model::{self, Backend, BackendRef, HeaderFilter, Mesh, RouteKind, RouteRule};

/// An action and the clusters that it sends to and that exist.
pub(super) struct Answer {
    /// The action.
    pub(super) action: Action,
    /// Names of clusters.
    pub(super) clusters: Vec<String>,
    /// Does the action hold the rule's header changes, with those of its backends?
    pub(super) holds_headers: bool,
}

/// What one rule of a route on this port does.
pub(super) fn answer(candidate: &Candidate<'_>, port: &Port<'_>, mesh: &Mesh) -> Answer {
    let rule = candidate.rule;
    if let Some(redirect) = &rule.redirect {
        let action =
            Action::Redirect(url::redirect(redirect, &candidate.matched.path, port.number));
        return Answer { action, clusters: vec![], holds_headers: false };
    }
    let used: Vec<_> = rule.backends.iter().filter(|backend| backend.weight > 0).collect();
    let resolved: Vec<_> = used.iter().map(|backend| cluster_of(&backend.backend, mesh)).collect();
    let mut clusters: Vec<_> = resolved.iter().flatten().cloned().collect();
    let specifier = match (&used[..], &clusters[..]) {
        (_, []) => ClusterSpecifier::Cluster(invalid(0)),
        ([only], [cluster]) if !changes_anything(only) => {
            ClusterSpecifier::Cluster(cluster.clone())
        }
        _ => ClusterSpecifier::WeightedClusters(weighted(rule, &used, &resolved)),
    };
    let nobody = clusters.is_empty();
    let all_exist = clusters.len() == used.len() && !nobody;
    // Envoy tells gRPC clients UNAVAILABLE for 503, UNKNOWN for 500.
    let missing = match candidate.route.kind {
        RouteKind::Http if !all_exist => ClusterNotFoundResponseCode::InternalServerError,
        RouteKind::Http | RouteKind::Grpc => ClusterNotFoundResponseCode::ServiceUnavailable,
    };
    // Compat: Envoy's rewrite for the route would go over a backend's own.
    let own_hosts = used.iter().any(|backend| backend.hostname.is_some());
    let mut action = RouteAction {
        cluster_specifier: Some(specifier),
        cluster_not_found_response_code: missing.into(),
        host_rewrite_specifier: rule
            .rewrite
            .hostname
            .clone()
            .filter(|_| !own_hosts)
            .map(HostRewriteSpecifier::HostRewriteLiteral),
        timeout: Some(duration(Duration::ZERO)),
        retry_policy: Some(retry::policy(port, rule)),
        max_stream_duration: Some(limits(rule.timeouts.request)),
        ..Default::default()
    };
    action.request_mirror_policies = mirror::policies(&rule.mirrors, mesh);
    clusters.extend(action.request_mirror_policies.iter().map(|policy| policy.cluster.clone()));
    url::rewrite_path(&rule.rewrite, &candidate.matched.path, &mut action);
    let holds_headers = !nobody && used.iter().copied().any(changes_headers);
    Answer { action: Action::Route(action), clusters, holds_headers }
}

/// To the Service itself, without a time limit.
pub(super) fn straight(port: &Port<'_>) -> Action {
    Action::Route(RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(port.name.clone())),
        timeout: Some(duration(Duration::ZERO)),
        retry_policy: Some(retry::policy(port, &RouteRule::default())),
        max_stream_duration: Some(limits(None)),
        ..Default::default()
    })
}

/// The limit on a request with all attempts, and the caller's own `grpc-timeout` where that is shorter. Compat: beside
/// this Envoy does not look at `timeout` any more, so the limit has to be here.
fn limits(request: Option<Duration>) -> MaxStreamDuration {
    let request = request.filter(|limit| !limit.is_zero());
    MaxStreamDuration {
        max_stream_duration: request.map(duration),
        grpc_timeout_header_max: Some(duration(request.unwrap_or(Duration::ZERO))),
        ..Default::default()
    }
}

/// Set and add, in this order.
pub(super) fn headers_to_add(filter: &HeaderFilter) -> Vec<HeaderValueOption> {
    let option = |change: &model::HeaderChange, action: HeaderAppendAction| HeaderValueOption {
        header: Some(HeaderValue {
            key: change.name.clone(),
            // Compat: Envoy reads header values as formats, in which `%` starts a command.
            value: change.value.replace('%', "%%"),
            ..Default::default()
        }),
        append_action: action.into(),
        keep_empty_value: change.value.is_empty(),
        ..Default::default()
    };
    let set = filter.set.iter().map(|c| option(c, HeaderAppendAction::OverwriteIfExistsOrAdd));
    let add = filter.add.iter().map(|c| option(c, HeaderAppendAction::AppendIfExistsOrAdd));
    set.chain(add).collect()
}

/// The cluster of a backend, `None` if it is invalid. One whose Service the mesh does not have counts as
/// invalid too, so that no set of resources refers to what is not in it.
pub(super) fn cluster_of(backend: &Backend, mesh: &Mesh) -> Option<String> {
    let Backend::Service(key, port) = backend else { return None };
    let service = mesh.services.get(key)?;
    service.ports.iter().find(|candidate| candidate.port == *port)?;
    Some(names::service_port(&key.name, &key.namespace, *port))
}

fn changes_anything(backend: &BackendRef) -> bool {
    backend.hostname.is_some() || changes_headers(backend)
}

fn changes_headers(backend: &BackendRef) -> bool {
    backend.request_headers != HeaderFilter::default()
        || backend.response_headers != HeaderFilter::default()
}

fn invalid(index: usize) -> String {
    format!("{}{index}", names::INVALID_CLUSTER)
}

/// Invalid backends keep their share: they become clusters that do not exist.
fn weighted(
    rule: &RouteRule,
    used: &[&BackendRef],
    resolved: &[Option<String>],
) -> WeightedCluster {
    let own_hosts = used.iter().any(|backend| backend.hostname.is_some());
    let nothing = HeaderFilter::default();
    let (requests, responses) = if used.iter().copied().any(changes_headers) {
        (&rule.request_headers, &rule.response_headers)
    } else {
        (&nothing, &nothing)
    };
    let clusters = used.iter().zip(resolved).enumerate().map(|(index, (backend, cluster))| {
        let request = headers::composed(requests, &backend.request_headers);
        let response = headers::composed(responses, &backend.response_headers);
        ClusterWeight {
            name: cluster.clone().unwrap_or_else(|| invalid(index)),
            weight: Some(uint32(backend.weight)),
            request_headers_to_add: request.0,
            request_headers_to_remove: request.1,
            response_headers_to_add: response.0,
            response_headers_to_remove: response.1,
            host_rewrite_specifier: backend
                .hostname
                .clone()
                .or_else(|| rule.rewrite.hostname.clone().filter(|_| own_hosts))
                .map(ClusterHost::HostRewriteLiteral),
            ..Default::default()
        }
    });
    WeightedCluster { clusters: clusters.collect(), ..Default::default() }
}

#[cfg(test)]
mod tests;

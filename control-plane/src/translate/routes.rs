//! RouteConfigurations: one for each port of a Service that may carry HTTP, named like it, and under the same name
//! another one for each namespace that has routes of its own for that port, seen there only.

use std::sync::Arc;
use std::time::Duration;

use weft_proto::envoy::core::Metadata;
use weft_proto::envoy::matcher::{RegexMatcher, StringMatcher, string_matcher::MatchPattern};
use weft_proto::envoy::route::header_matcher::HeaderMatchSpecifier;
use weft_proto::envoy::route::query_parameter_matcher::QueryParameterMatchSpecifier;
use weft_proto::envoy::route::route::Action;
use weft_proto::envoy::route::route_match::{GrpcRouteMatchOptions, PathSpecifier};
use weft_proto::envoy::route::{
    self, HeaderMatcher, QueryParameterMatcher, RouteAction, RouteConfiguration, VirtualHost,
    route_action::ClusterSpecifier,
};
use weft_proto::google::{ListValue, Value, value::Kind};
use weft_proto::names::metadata;
use weft_proto::origin::Origin;

use super::action::{self, Answer};
use super::ports::Port;
use super::precedence::{self, ANY_HOST, Candidate};
use super::value::{duration, metadata_of, source, texts};
use super::{Reference, Resource, ResourceType, encode::encode, telemetry};
use crate::model::{
    AppProtocol, Fallback, HeaderChange, HeaderFilter, Mesh, PathMatch, Route, RouteMatch,
    ValueMatch,
};

/// The RouteConfigurations of one Service port; none of one that carries opaque bytes.
pub(super) fn configurations(port: &Port<'_>, mesh: &Mesh) -> Vec<Resource> {
    if port.protocol == AppProtocol::Tcp {
        return Vec::new();
    }
    let consumers = &port.consumer_routes;
    let everybody = configuration(port, &port.routes, mesh).except_in(consumers.keys());
    let variants = consumers
        .iter()
        .map(|(namespace, routes)| configuration(port, routes, mesh).only_in(namespace));
    [everybody].into_iter().chain(variants).collect()
}

fn configuration(port: &Port<'_>, attached: &[&Route], mesh: &Mesh) -> Resource {
    let mut references = Vec::new();
    let virtual_hosts = if attached.is_empty() {
        references.push(port.name.clone());
        vec![virtual_host(ANY_HOST, vec![straight(port)])]
    } else {
        let domains = precedence::by_domain(attached);
        let hosts = domains.into_iter().map(|(domain, candidates)| {
            let routes = candidates.iter().map(|candidate| {
                let answer = action::answer(candidate, port, mesh);
                references.extend(answer.clusters.iter().cloned());
                one(candidate, answer, mesh)
            });
            virtual_host(&domain, routes.collect())
        });
        hosts.collect()
    };
    references.sort_unstable();
    references.dedup();
    let references = references
        .into_iter()
        .map(|name| Reference { kind: ResourceType::Cluster, name: name.into() })
        .collect();
    let configuration = RouteConfiguration {
        name: port.name.clone(),
        virtual_hosts,
        // Ports take no part in choosing a host, and the application sees the host as it was sent: to
        // strip the port at the door would change it.
        ignore_port_in_host_matching: true,
        metadata: port.policy.and_then(|policy| policy.fallback.as_ref()).map(fallback),
        ..Default::default()
    };
    let origins = attached.iter().map(|route| Arc::new(route.origin.clone()));
    let telling = attached.iter().flat_map(|route| {
        let names = route.rules.iter().map(|rule| rule.name.as_str());
        let policies = names.filter_map(|rule| mesh.route_telemetry(route.kind, &route.key, rule));
        policies.map(|policy| Arc::new(policy.origin.clone()))
    });
    let origins: Vec<_> = origins.chain(port.policy_origin()).chain(telling).collect();
    encode(&port.name, configuration).needing(references).made_from(origins)
}

/// The answer where nothing can serve. Envoy has no word for it.
fn fallback(of: &Fallback) -> Metadata {
    let header = |header: &HeaderChange| {
        let fields = texts(&[("name", &header.name), ("value", &header.value)]);
        Value { kind: Some(Kind::StructValue(fields)) }
    };
    let values = of.headers.iter().map(header).collect();
    let mut fields = texts(&[("body", &of.body)]);
    let status = Value { kind: Some(Kind::NumberValue(of.status.into())) };
    fields.fields.insert("status".to_owned(), status);
    let headers = Value { kind: Some(Kind::ListValue(ListValue { values })) };
    fields.fields.insert("headers".to_owned(), headers);
    metadata_of([(metadata::FALLBACK, fields)])
}

/// Inline routes of an inbound port: everything to the application, for as long as it takes.
pub(super) fn everything_to(cluster: &str) -> RouteConfiguration {
    let action = RouteAction {
        cluster_specifier: Some(ClusterSpecifier::Cluster(cluster.to_owned())),
        timeout: Some(duration(Duration::ZERO)),
        ..Default::default()
    };
    let everything = route::Route {
        name: cluster.to_owned(),
        r#match: Some(prefix("/")),
        action: Some(Action::Route(action)),
        ..Default::default()
    };
    RouteConfiguration {
        name: cluster.to_owned(),
        virtual_hosts: vec![virtual_host(ANY_HOST, vec![everything])],
        ..Default::default()
    }
}

/// Without an HTTPRoute: every request to the Service itself.
fn straight(port: &Port<'_>) -> route::Route {
    route::Route {
        name: port.name.clone(),
        r#match: Some(prefix("/")),
        metadata: Some(source(port.origin)),
        action: Some(action::straight(port)),
        ..Default::default()
    }
}

/// With them, what no rule matches is answered 404: there is no route behind the last one.
fn one(candidate: &Candidate<'_>, answer: Answer, mesh: &Mesh) -> route::Route {
    let Candidate { route, rule, matched } = candidate;
    let origin = Origin { rule: rule.name.clone(), ..route.origin.clone() };
    let nothing = HeaderFilter::default();
    let (requests, responses) = if answer.holds_headers {
        (&nothing, &nothing)
    } else {
        (&rule.request_headers, &rule.response_headers)
    };
    route::Route {
        name: format!("{}#{}", route.key, rule.name),
        r#match: Some(conditions(matched)),
        metadata: Some(source(&origin)),
        tracing: telemetry::sampling(mesh.route_telemetry(route.kind, &route.key, &rule.name)),
        action: Some(answer.action),
        request_headers_to_add: action::headers_to_add(requests),
        request_headers_to_remove: requests.remove.clone(),
        response_headers_to_add: action::headers_to_add(responses),
        response_headers_to_remove: responses.remove.clone(),
        ..Default::default()
    }
}

fn virtual_host(domain: &str, routes: Vec<route::Route>) -> VirtualHost {
    let name = domain.to_owned();
    VirtualHost { domains: vec![name.clone()], name, routes, ..Default::default() }
}

fn prefix(prefix: &str) -> route::RouteMatch {
    let path_specifier = Some(PathSpecifier::Prefix(prefix.to_owned()));
    route::RouteMatch { path_specifier, ..Default::default() }
}

fn conditions(of: &RouteMatch) -> route::RouteMatch {
    let path = match &of.path {
        PathMatch::Exact(path) => PathSpecifier::Path(path.clone()),
        // Envoy refuses `/` as a separated prefix; as a plain one it says the same.
        PathMatch::Prefix(path) if path == "/" => PathSpecifier::Prefix(path.clone()),
        PathMatch::Prefix(path) => PathSpecifier::PathSeparatedPrefix(path.clone()),
        PathMatch::Regex(regex) => PathSpecifier::SafeRegex(safe_regex(regex)),
        PathMatch::Rpc { service, method } => rpc(service.as_ref(), method.as_ref()),
    };
    let grpc = matches!(of.path, PathMatch::Rpc { .. });
    let method = of.method.iter().map(|method| header(":method", text(method)));
    let headers = of.headers.iter().map(|wanted| header(&wanted.name, value(&wanted.value)));
    let query = of.query.iter().map(|wanted| QueryParameterMatcher {
        name: wanted.name.clone(),
        query_parameter_match_specifier: Some(QueryParameterMatchSpecifier::StringMatch(value(
            &wanted.value,
        ))),
    });
    route::RouteMatch {
        path_specifier: Some(path),
        headers: method.chain(headers).collect(),
        query_parameters: query.collect(),
        grpc: grpc.then(GrpcRouteMatchOptions::default),
        ..Default::default()
    }
}

/// The path of a gRPC request is `/pkg.Service/Method`.
fn rpc(service: Option<&ValueMatch>, method: Option<&ValueMatch>) -> PathSpecifier {
    match (service, method) {
        (None, None) => PathSpecifier::Prefix("/".to_owned()),
        (Some(ValueMatch::Exact(service)), None) => {
            PathSpecifier::PathSeparatedPrefix(format!("/{service}"))
        }
        (Some(ValueMatch::Exact(service)), Some(ValueMatch::Exact(method))) => {
            PathSpecifier::Path(format!("/{service}/{method}"))
        }
        (service, method) => {
            let regex = format!("/{}/{}", element(service), element(method));
            PathSpecifier::SafeRegex(safe_regex(&regex))
        }
    }
}

/// One element of the path as a regular expression. Exact names hold no character that means more than itself
/// but the dot.
fn element(of: Option<&ValueMatch>) -> String {
    match of {
        Some(ValueMatch::Exact(name)) => name.replace('.', "\\."),
        Some(ValueMatch::Regex(regex)) => format!("(?:{regex})"),
        None => "[^/]+".to_owned(),
    }
}

fn header(name: &str, value: StringMatcher) -> HeaderMatcher {
    HeaderMatcher {
        name: name.to_owned(),
        header_match_specifier: Some(HeaderMatchSpecifier::StringMatch(value)),
        ..Default::default()
    }
}

fn value(of: &ValueMatch) -> StringMatcher {
    match of {
        ValueMatch::Exact(value) => text(value),
        ValueMatch::Regex(regex) => pattern(MatchPattern::SafeRegex(safe_regex(regex))),
    }
}

fn text(value: &str) -> StringMatcher {
    pattern(MatchPattern::Exact(value.to_owned()))
}

fn pattern(pattern: MatchPattern) -> StringMatcher {
    StringMatcher { match_pattern: Some(pattern), ..Default::default() }
}

fn safe_regex(regex: &str) -> RegexMatcher {
    RegexMatcher { regex: regex.to_owned(), ..Default::default() }
}

#[cfg(test)]
mod tests;

//! RouteConfiguration → [`RouteTable`].

mod action;
mod fallback;
mod headers;
mod matcher;
mod mirror;
mod retry;
mod url;

use std::collections::{HashMap, HashSet};
use std::mem::take;

use weft_proto::envoy::route::{Route, RouteConfiguration, VirtualHost as ProtoHost, route};
pub(crate) use weft_proto::names::INVALID_CLUSTER;
use weft_proto::names::metadata;
use weft_proto::origin::Origin;

use super::reject::{At, Reject, each, nothing_else};
use super::telemetry;
use super::value::{origin, required};
use crate::model::{Action, HostPattern, RetryPolicy, RouteTable, Rule, VirtualHost};

/// What the rules of one table share while it is decoded.
#[derive(Default)]
struct Table {
    clusters: Vec<String>,
    indexes: HashMap<String, usize>,
    regexes: usize,
}

impl Table {
    /// Index of the cluster in the table's list.
    fn cluster(&mut self, name: String) -> usize {
        let next = self.clusters.len();
        *self.indexes.entry(name).or_insert_with_key(|name| {
            self.clusters.push(name.clone());
            next
        })
    }
}

/// Decodes one route table.
pub(super) fn table(mut configuration: RouteConfiguration) -> Result<RouteTable, Reject> {
    let name = take(&mut configuration.name);
    let hosts = take(&mut configuration.virtual_hosts);
    let fallback = fallback::fallback(configuration.metadata.take())
        .at(format_args!("metadata.{}", metadata::FALLBACK))?;
    // Ports are never part of host matching here.
    configuration.ignore_port_in_host_matching = false;
    configuration.validate_clusters.take_if(|validate| !validate.value);
    nothing_else(&configuration)?;
    let mut table = Table::default();
    let mut seen = HashSet::new();
    let hosts = each("virtual_hosts", hosts, |host| virtual_host(host, &mut seen, &mut table))?;
    Ok(RouteTable { name, hosts, fallback, clusters: table.clusters })
}

fn virtual_host(
    mut host: ProtoHost,
    seen: &mut HashSet<String>,
    table: &mut Table,
) -> Result<VirtualHost, Reject> {
    host.name = String::new();
    host.metadata = None;
    let domains = take(&mut host.domains);
    let routes = take(&mut host.routes);
    nothing_else(&host)?;
    if domains.is_empty() {
        return Err(Reject::new("domains", "missing"));
    }
    let hosts = each("domains", domains, |domain| {
        let domain = domain.to_ascii_lowercase();
        if !seen.insert(domain.clone()) {
            return Err(Reject::new("", format!("{domain:?} occurs twice")));
        }
        pattern(domain)
    })?;
    Ok(VirtualHost { hosts, rules: each("routes", routes, |route| rule(route, table))? })
}

/// `*`, `*.example.com` or a host name.
fn pattern(domain: String) -> Result<HostPattern, Reject> {
    if domain == "*" {
        return Ok(HostPattern::Any);
    }
    let (suffix, rest) = match domain.strip_prefix("*.") {
        Some(rest) => (true, rest),
        None => (false, domain.as_str()),
    };
    let address = rest.starts_with('[') && rest.ends_with(']');
    if rest.is_empty() || rest.contains(['*', '/']) || (rest.contains(':') && !address) {
        let reason = format!("{domain:?} is no host name without port, no `*.` name and not `*`");
        return Err(Reject::new("", reason));
    }
    Ok(if suffix { HostPattern::Suffix(format!(".{rest}")) } else { HostPattern::Exact(domain) })
}

fn rule(mut route: Route, table: &mut Table) -> Result<Rule, Reject> {
    route.stat_prefix = String::new();
    let name = take(&mut route.name);
    let origin =
        origin(route.metadata.take().as_ref()).unwrap_or(Origin { name, ..Origin::default() });
    let matcher = matcher::matcher(required("match", &mut route.r#match)?, table).at("match")?;
    let request_headers = headers::changes(
        "request_headers",
        take(&mut route.request_headers_to_add),
        take(&mut route.request_headers_to_remove),
    )?;
    let response_headers = headers::changes(
        "response_headers",
        take(&mut route.response_headers_to_add),
        take(&mut route.response_headers_to_remove),
    )?;
    let (mut timeout, mut grpc_timeout) = (None, false);
    let (mut retry, mut rewrite, mut mirrors) = (RetryPolicy::default(), None, Vec::new());
    let action = match route.action.take() {
        Some(route::Action::Route(forward)) => {
            let forward = action::forward(forward, matcher.grpc, table).at("route")?;
            (timeout, grpc_timeout) = (forward.timeout, forward.grpc_timeout);
            (retry, rewrite, mirrors) = (forward.retry, forward.rewrite, forward.mirrors);
            Action::Forward(forward.splits)
        }
        Some(route::Action::Redirect(redirect)) => {
            Action::Redirect(url::redirect(redirect, table).at("redirect")?)
        }
        Some(route::Action::DirectResponse(response)) => {
            Action::Respond(action::respond(response).at("direct_response")?)
        }
        Some(route::Action::FilterAction(_) | route::Action::NonForwardingAction(_)) | None => {
            let reason = "only `route`, `redirect` and `direct_response` are supported";
            return Err(Reject::new("action", reason));
        }
    };
    let sampling = telemetry::sampling(route.tracing.take()).at("tracing")?;
    nothing_else(&route)?;
    Ok(Rule {
        origin,
        matcher,
        request_headers,
        response_headers,
        rewrite,
        mirrors,
        action,
        timeout,
        grpc_timeout,
        retry,
        sampling,
    })
}

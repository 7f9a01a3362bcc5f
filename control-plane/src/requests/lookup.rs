//! What the model says of one call: who calls, what is called, which rule, which backends and endpoints, what holds at each door.
//! Pure: facts only, the verdict is `weft why`'s.

mod behind;
mod doors;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use weft_proto::names;

use self::behind::{BackendFacts, backend, endpoints};
use self::doors::{Door, doors};
use super::names::{Written, offered};
use super::routes::{self, Found, RouteFacts};
use crate::finding::{Finding, Severity};
use crate::model::{AppProtocol, Backend, Mesh, Service, ServicePort, TrafficPolicy, Workload};

/// Bound: workloads of one name that are looked at.
const MAX_PARTIES: usize = 16;
/// Retries where a rule asks for some and says not how many; as `translate` has it.
const DEFAULT_RETRIES: u32 = 2;

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LookupQuery {
    /// Who calls: a workload.
    pub(crate) from: String,
    /// What is called: a Service with or without its port, or a workload.
    pub(crate) to: String,
    /// Empty: any.
    pub(crate) method: String,
    /// Empty: `/`.
    pub(crate) path: String,
    /// As the client sent it; empty: the Service's name.
    pub(crate) host: String,
    /// The rule that the sidecar says it took, `HTTPRoute/shop/payment#0`; empty: the one that the model finds.
    pub(crate) route: String,
}

/// The answer.
#[derive(Debug, Serialize)]
pub(crate) struct Lookup {
    schema_version: u32,
    /// Workloads that are meant by `from`.
    source: Vec<Party>,
    destination: Destination,
    route: RouteFacts,
    backends: Vec<BackendFacts>,
    policy: Option<PolicyFacts>,
    /// Each port of a workload behind it.
    doors: Vec<Door>,
    /// Of the objects that have to do with it: errors and warnings.
    findings: Vec<Finding>,
}

/// One caller.
#[derive(Debug, Serialize)]
struct Party {
    workload: String,
    identity: String,
    meshed: bool,
    sidecar: Sidecar,
}

/// A sidecar as the control plane sees it that was asked. With several replicas one may have its stream and one its reports.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Sidecar {
    /// Has it a stream here?
    pub(crate) connected: bool,
    /// It serves from its last good configuration.
    pub(crate) stale: bool,
    /// It has acknowledged everything that it was sent.
    pub(crate) in_sync: bool,
    /// What it refused: `routes: reason`.
    pub(crate) rejected: Vec<String>,
    /// Seconds since the Unix epoch; 0 if it did not say.
    pub(crate) leaf_not_after: i64,
    /// When it last said so; 0 if it never did.
    pub(crate) reported: u64,
}

/// What is called.
#[derive(Debug, Default, Serialize)]
struct Destination {
    /// As it was asked for.
    asked: String,
    /// `payment.shop:8080`; null if no Service has that name and port.
    service: Option<String>,
    /// `Service/shop/payment`; null if there is none of that name.
    object: Option<String>,
    /// Its ports.
    ports: Vec<u16>,
    /// `http`, `tcp`, `detect`.
    protocol: Option<&'static str>,
    /// What there is instead.
    known: String,
}

/// What the `TrafficPolicy` says.
#[derive(Debug, Serialize)]
struct PolicyFacts {
    object: String,
    requests: Option<u32>,
    connections: Option<u32>,
    pending_requests: Option<u32>,
    retries: Option<u32>,
    budget_percent: Option<u32>,
    budget_min_per_second: Option<u32>,
    connect_timeout_ms: Option<u64>,
    has_fallback: bool,
}

/// Looks it up. `sidecars`: by workload.
///
/// # Errors
/// In words: what is asked cannot be read, or names what is not there.
pub(crate) fn look_up(
    mesh: &Mesh,
    query: &LookupQuery,
    sidecars: &BTreeMap<String, Sidecar>,
    findings: &[Finding],
) -> Result<Lookup, String> {
    let callers = match query.from.as_str() {
        "" => Vec::new(),
        from => Written::read(from)?.caller(mesh)?,
    };
    let near = callers.first().map(|caller| caller.key.namespace.clone());
    let to = Written::read(&query.to)?;
    let path = query.path.split(['?', '#']).next().filter(|path| !path.is_empty()).unwrap_or("/");
    let mut lookup = Lookup {
        schema_version: 1,
        source: callers.iter().take(MAX_PARTIES).map(|one| party(mesh, one, sidecars)).collect(),
        destination: Destination { asked: query.to.clone(), ..Destination::default() },
        route: RouteFacts::default(),
        backends: Vec::new(),
        policy: None,
        doors: Vec::new(),
        findings: Vec::new(),
    };
    let asks = doors::Asks {
        identity: callers.first().map(|caller| caller.identity(&mesh.config.trust_domain)),
        method: &query.method,
        path,
        sidecars,
    };
    let mut involved = BTreeSet::new();
    match to.service(mesh, near.as_deref())? {
        Some(service) => {
            involved.insert(service.origin.object());
            let asked = Asked { query, path, near: near.as_deref() };
            of_service(mesh, service, to.port, &asked, &mut lookup, &asks);
        }
        None => match to.workloads(mesh) {
            Ok(workloads) => {
                lookup.doors = doors(mesh, workloads.iter().map(|one| (*one, to.port)), &asks);
            }
            Err(_) => {
                let services = mesh.services.keys();
                let services = services.map(|key| names::workload(&key.name, &key.namespace));
                lookup.destination.known = offered(services);
            }
        },
    }
    lookup.findings = about(&lookup, findings);
    Ok(lookup)
}

/// What is asked, as far as a Service has to do with it.
struct Asked<'a> {
    query: &'a LookupQuery,
    path: &'a str,
    near: Option<&'a str>,
}

fn of_service(
    mesh: &Mesh,
    service: &Service,
    number: Option<u16>,
    asked: &Asked<'_>,
    lookup: &mut Lookup,
    asks: &doors::Asks<'_>,
) {
    let Destination { object, ports, .. } = &mut lookup.destination;
    *object = Some(service.origin.to_string());
    *ports = service.ports.iter().map(|port| port.port).collect();
    let wanted = |port: &&ServicePort| number.is_none_or(|number| port.port == number);
    let Some(port) = service.ports.iter().find(wanted) else { return };
    lookup.destination.service =
        Some(names::service_port(&service.key.name, &service.key.namespace, port.port));
    lookup.destination.protocol = Some(protocol(port.protocol));
    let policy = mesh.traffic_policy(&service.key, port.port);
    let attached = routes::attached(mesh, &service.key, port.port, asked.near);
    let host = match asked.query.host.as_str() {
        "" => service.key.name.as_str(),
        host => host,
    };
    let found = recorded(&attached, &asked.query.route)
        .or_else(|| routes::find(&attached, host, &asked.query.method, asked.path));
    lookup.route = route(&attached, found.as_ref(), policy);
    lookup.policy = policy.map(policy_facts);
    lookup.backends = match (&found, attached.is_empty()) {
        (Some(found), _) => {
            let all = found.rule.backends.iter();
            all.map(|one| backend(mesh, &one.backend, one.weight)).collect()
        }
        (None, true) => {
            vec![backend(mesh, &Backend::Service(service.key.clone(), port.port), 1)]
        }
        (None, false) => Vec::new(),
    };
    let behind = endpoints(mesh, &found, attached.is_empty(), (service, port));
    lookup.doors = doors(mesh, behind.into_iter().map(|(one, port)| (one, Some(port))), asks);
}

/// The rule that a sidecar says it took.
fn recorded<'a>(attached: &[&'a crate::model::Route], wanted: &str) -> Option<Found<'a>> {
    let all = attached.iter().copied().flat_map(|route| {
        route.rules.iter().filter_map(move |rule| {
            let matched = rule.matches.first()?;
            Some(Found { route, rule, matched, depends: false })
        })
    });
    { all }.find(|found| !wanted.is_empty() && found.object() == wanted)
}

fn route(
    attached: &[&crate::model::Route],
    found: Option<&Found<'_>>,
    policy: Option<&TrafficPolicy>,
) -> RouteFacts {
    let retries = policy.and_then(|policy| Some((policy.retries.as_ref()?, &policy.origin)));
    let mut facts = RouteFacts {
        attached: routes::objects(attached),
        retries: retries.map_or(0, |(retries, _)| retries.attempts),
        retries_by: retries.map(|(_, origin)| origin.to_string()),
        ..RouteFacts::default()
    };
    let per_try = retries.and_then(|(retries, origin)| Some((retries.per_try_timeout?, origin)));
    if let Some((limit, origin)) = per_try {
        facts.try_timeout_ms = Some(millis(limit));
        facts.try_timeout_by = Some(format!("{origin} retries.perTryTimeout"));
    }
    let Some(found) = found else { return facts };
    let rule = found.rule;
    facts.object = Some(found.object());
    facts.matches = found.matches();
    facts.depends = found.depends;
    facts.redirects = rule.redirect.is_some();
    let is_limit = |limit: &Duration| !limit.is_zero();
    facts.request_timeout_ms = rule.timeouts.request.filter(is_limit).map(millis);
    if let Some(limit) = rule.timeouts.backend_request.filter(is_limit) {
        facts.try_timeout_ms = Some(millis(limit));
        facts.try_timeout_by = Some(format!("{} timeouts.backendRequest", found.object()));
    }
    if let Some(retry) = &rule.retry {
        facts.retries = retry.attempts.unwrap_or(DEFAULT_RETRIES);
        facts.retries_by = Some(found.object());
    }
    facts
}

fn policy_facts(policy: &TrafficPolicy) -> PolicyFacts {
    let budget = policy.retries.as_ref().map(|retries| retries.budget);
    PolicyFacts {
        object: policy.origin.to_string(),
        requests: policy.limits.requests,
        connections: policy.limits.connections,
        pending_requests: policy.limits.pending_requests,
        retries: policy.limits.retries,
        budget_percent: budget.map(|budget| budget.percent),
        budget_min_per_second: budget.map(|budget| budget.min_per_second),
        connect_timeout_ms: policy.connect_timeout.map(millis),
        has_fallback: policy.fallback.is_some(),
    }
}

fn party(mesh: &Mesh, workload: &Workload, sidecars: &BTreeMap<String, Sidecar>) -> Party {
    let name = names::workload(&workload.key.name, &workload.key.namespace);
    Party {
        identity: workload.identity(&mesh.config.trust_domain),
        meshed: workload.meshed,
        sidecar: sidecars.get(&name).cloned().unwrap_or_default(),
        workload: name,
    }
}

/// Findings name objects as `HTTPRoute shop/payment`, everything else `HTTPRoute/shop/payment`.
fn about(lookup: &Lookup, findings: &[Finding]) -> Vec<Finding> {
    let backends = lookup.backends.iter().filter_map(|backend| backend.object.clone());
    let policy = lookup.policy.iter().map(|policy| policy.object.clone());
    let doors = lookup.doors.iter().flat_map(Door::objects);
    let objects = lookup.route.attached.iter().cloned().chain(backends).chain(policy).chain(doors);
    let objects = objects.chain(lookup.destination.object.clone());
    let objects: BTreeSet<String> = objects.map(|object| object.replacen('/', " ", 1)).collect();
    let is_about = |finding: &&Finding| {
        finding.severity() != Severity::Info && objects.contains(&finding.object)
    };
    findings.iter().filter(is_about).take(MAX_PARTIES).cloned().collect()
}

fn protocol(protocol: AppProtocol) -> &'static str {
    match protocol {
        AppProtocol::Http => "http",
        AppProtocol::Tcp => "tcp",
        AppProtocol::Detect => "detect",
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

//! What the sidecar has in force, as JSON for `weft proxy-config`: one flat object a row. Asked by `admin`; reads
//! the same snapshots that requests read.

pub(super) mod health;
mod resilience;

use std::sync::Arc;
use std::time::SystemTime;

use serde_json::{Value, json};
use tokio::time::Instant;
use weft_proto::names::OTHER_PORTS;

use crate::cluster::{Cluster, Endpoint};
use crate::model::{
    Action, AppProtocol, Balancer, HostPattern, Matcher, MtlsMode, PathMatch, Redirect, RouteTable,
    Rule, ValueMatch,
};
use crate::state::{Standing, State};
use crate::tls::TlsStore;

pub(super) use resilience::{watch, watch_limits, watch_upstreams};

/// One row for each rule of each Service port.
pub(super) fn routes(state: &State) -> Value {
    let mut rows = Vec::new();
    for config in state.targets().iter().filter_map(|target| target.load()) {
        let Some(table) = &config.routes else { continue };
        for host in &table.hosts {
            let hosts: Vec<_> = host.hosts.iter().map(host_text).collect();
            rows.extend(host.rules.iter().map(|rule| {
                json!({
                    "service": table.name,
                    "hosts": hosts,
                    "match": match_text(&rule.matcher),
                    "action": action_text(table, rule),
                    "timeout_ms": rule.timeout.map(|timeout| timeout.as_millis()),
                    "retries": rule.retry.attempts,
                    "source": rule.origin.to_string(),
                })
            }));
        }
    }
    rows.into()
}

/// One row for each cluster.
pub(super) fn clusters(state: &State) -> Value {
    let row = |cluster: &Cluster| {
        json!({
            "cluster": cluster.spec.name,
            "balancer": balancer_text(&cluster.spec.balancer),
            "endpoints": cluster.endpoints.len(),
            "connect_timeout_ms": cluster.spec.connect_timeout.as_millis(),
            "limits": resilience::limits(cluster),
            "ejects_after": cluster.spec.outlier.consecutive_failures,
            "retry_budget_percent": cluster.spec.budget.percent,
            "source": cluster.spec.origin.to_string(),
        })
    };
    state.clusters().values().map(|cluster| row(cluster)).collect::<Vec<_>>().into()
}

/// One row for each endpoint of each cluster.
pub(super) fn endpoints(state: &State) -> Value {
    let now = Instant::now();
    let mut rows = Vec::new();
    for cluster in state.clusters().values() {
        let endpoints = cluster.endpoints.iter().enumerate();
        rows.extend(endpoints.map(|endpoint| endpoint_row(cluster, endpoint, now)));
    }
    rows.into()
}

fn endpoint_row(
    cluster: &Cluster,
    (number, endpoint): (usize, &Arc<Endpoint>),
    now: Instant,
) -> Value {
    let circuit = resilience::circuit(endpoint, now);
    json!({
        "cluster": cluster.spec.name,
        "endpoint": endpoint.spec.address.to_string(),
        "workload": endpoint.spec.workload,
        "identity": endpoint.spec.identity.as_ref().map(ToString::to_string),
        "weight": endpoint.spec.weight,
        "priority": cluster.priority(number),
        "draining": cluster.is_draining(number),
        "checked": cluster.spec.health_check.as_ref().map(|_| endpoint.checked.health().as_str()),
        "health": circuit.health,
        "circuit": circuit.state,
        "ejected_for_s": circuit.seconds_left,
        "in_flight": endpoint.in_flight(),
        "connections": endpoint.connections.load(std::sync::atomic::Ordering::Relaxed),
    })
}

/// One row for each Service port that can be called, and for each port of the workload.
pub(super) fn listeners(state: &State) -> Value {
    let upstreams = state.upstreams();
    let outbound = upstreams.iter().map(|(name, target)| {
        let config = target.as_ref().and_then(|target| target.load());
        let standing = target.as_ref().map_or(Standing::Unused, |target| target.standing());
        json!({
            "listener": &**name,
            "direction": "outbound",
            "protocol": config.as_ref().map(|c| protocol_text(c.listener.protocol)),
            "standing": standing_text(standing),
            "mtls": Value::Null,
            "source": config.as_ref().map(|c| c.listener.origin.to_string()),
        })
    });
    let mut rows: Vec<_> = outbound.collect();
    if let Some(listener) = state.inbound() {
        rows.extend(listener.ports.iter().map(|(port, settings)| {
            json!({
                "listener": port_text(&listener.name, *port),
                "direction": "inbound",
                "protocol": protocol_text(settings.protocol),
                "mtls": mtls_text(settings.mtls),
                "source": listener.origin.to_string(),
            })
        }));
    }
    rows.into()
}

fn port_text(listener: &str, port: u16) -> String {
    match port {
        OTHER_PORTS => format!("{listener}:*"),
        port => format!("{listener}:{port}"),
    }
}

/// The leaf in force.
pub(super) fn certificate(tls: &TlsStore) -> Value {
    match tls.current() {
        Ok(configs) => {
            let left = configs.not_after.duration_since(SystemTime::now()).unwrap_or_default();
            let unix = |at: SystemTime| {
                at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
            };
            json!({
                "identity": configs.id.to_string(),
                "valid": true,
                "serial": configs.serial.to_string(),
                "not_after": unix(configs.not_after),
                "overdue_at": unix(configs.overdue_at),
                "seconds_left": left.as_secs(),
            })
        }
        Err(error) => json!({ "identity": null, "valid": false, "reason": error.to_string() }),
    }
}

fn host_text(host: &HostPattern) -> String {
    match host {
        HostPattern::Any => "*".to_owned(),
        HostPattern::Exact(host) => host.clone(),
        HostPattern::Suffix(suffix) => format!("*{suffix}"),
    }
}

fn match_text(matcher: &Matcher) -> String {
    let mut parts = vec![match &matcher.path {
        PathMatch::Any => "/*".to_owned(),
        PathMatch::Exact(path) => path.clone(),
        PathMatch::Prefix(prefix) => format!("{prefix}/*"),
        PathMatch::Regex(regex) => format!("~{regex}"),
    }];
    parts.extend(matcher.method.as_ref().map(ToString::to_string));
    parts.extend(matcher.headers.iter().map(|h| value_text(h.name.as_str(), &h.value)));
    parts.extend(matcher.query.iter().map(|q| value_text(&format!("?{}", q.name), &q.value)));
    parts.join(" ")
}

fn value_text(name: &str, value: &ValueMatch) -> String {
    match value {
        ValueMatch::Exact(exact) => format!("{name}={exact}"),
        ValueMatch::Regex(regex) => format!("{name}~{regex}"),
        ValueMatch::Present => name.to_owned(),
    }
}

fn action_text(table: &RouteTable, rule: &Rule) -> String {
    match &rule.action {
        Action::Respond(status) => status.as_u16().to_string(),
        Action::Redirect(Redirect { status, .. }) => format!("redirect {}", status.as_u16()),
        Action::Forward(splits) => {
            let total: u32 = splits.iter().map(|split| split.weight).sum();
            let text = |split: &crate::model::Split| {
                let share = f64::from(split.weight) * 100.0 / f64::from(total.max(1));
                format!("{} {share:.0}%", table.clusters[split.cluster])
            };
            splits.iter().map(text).collect::<Vec<_>>().join(", ")
        }
    }
}

fn balancer_text(balancer: &Balancer) -> &'static str {
    match balancer {
        Balancer::RoundRobin => "RoundRobin",
        Balancer::Random => "Random",
        Balancer::LeastRequest => "LeastRequest",
        Balancer::PeakEwma(_) => "PeakEwma",
        Balancer::RingHash(_) => "RingHash",
    }
}

fn standing_text(standing: Standing) -> &'static str {
    match standing {
        Standing::InForce => "in force",
        Standing::Waiting => "waiting",
        Standing::Absent => "absent",
        Standing::Unused => "unused",
    }
}

fn protocol_text(protocol: AppProtocol) -> &'static str {
    match protocol {
        AppProtocol::Http => "http",
        AppProtocol::Tcp => "tcp",
        AppProtocol::Detect => "detect",
    }
}

fn mtls_text(mode: MtlsMode) -> &'static str {
    match mode {
        MtlsMode::Strict => "STRICT",
        MtlsMode::Permissive => "PERMISSIVE",
        MtlsMode::Disable => "DISABLE",
    }
}

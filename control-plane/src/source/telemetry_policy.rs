//! `TelemetryPolicy` to [`model::TelemetryPolicy`](crate::model::TelemetryPolicy); the routes that it names are looked
//! up by `assemble`.

#[cfg(test)]
mod tests;

use weft_proto::names::ACCESS_LOG_FIELDS;

use crate::model::{AccessLog, Key, Origin, OtlpProtocol, RouteKind, TelemetryPolicy};

use super::metadata::Identity;
use super::names;
use super::problem::Problems;
use super::schema::telemetry::{AccessLog as LogSpec, TelemetryPolicySpec, TelemetryTarget};

/// A policy whose routes are still names.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct TelemetryDraft {
    pub(crate) key: Key,
    pub(crate) policy: TelemetryPolicy,
    /// Is it for workloads?
    pub(crate) workloads: bool,
    pub(crate) routes: Vec<RouteTarget>,
}

/// A `targetRef` to a route of the policy's namespace.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RouteTarget {
    /// Its place in `spec.targetRefs`.
    pub(crate) index: usize,
    pub(crate) kind: RouteKind,
    pub(crate) route: Key,
    /// Name of one rule.
    pub(crate) rule: Option<String>,
}

/// Bound of the Gateway API on `targetRefs`.
const MAX_TARGETS: usize = 16;
/// Bound on `accessLog.fields`.
const MAX_FIELDS: usize = 32;
const GATEWAY: &str = "gateway.networking.k8s.io";

/// Reads one.
pub(crate) fn read(
    spec: TelemetryPolicySpec,
    id: Identity,
    problems: &mut Problems,
) -> TelemetryDraft {
    if !spec.target_refs.is_empty() && spec.selector.is_some() {
        problems.invalid("spec.selector", "targetRefs and selector exclude each other");
    }
    let selector = spec.selector.unwrap_or_default();
    if selector.match_expressions.is_some() {
        let field = "spec.selector.matchExpressions";
        problems.unsupported(field, "only matchLabels is supported");
    }
    if spec.tracing.is_none() && spec.access_log.is_none() {
        let hint = "write tracing or accessLog";
        problems.invalid_hint("spec", "the policy asks for nothing", hint);
    }
    let (namespace, routes) = targets(&spec.target_refs, &id.key.namespace, problems);
    if spec.access_log.is_some() && !routes.is_empty() {
        let hint = "select workloads, or the Namespace";
        problems.invalid_hint(
            "spec.accessLog",
            "the access log is a workload's, not a route's",
            hint,
        );
    }
    let sampling = spec.tracing.map(|tracing| tracing.sampling);
    let policy = TelemetryPolicy {
        origin: Origin::default(),
        created: id.created,
        namespace: id.key.namespace.clone(),
        selector: selector.match_labels,
        sampling: sampling.map(|share| share_of(share, "spec.tracing.sampling", problems)),
        access_log: spec.access_log.map(|log| access_log(log, problems)),
    };
    let workloads = spec.target_refs.is_empty() || namespace;
    TelemetryDraft { key: id.key, policy, workloads, routes }
}

/// Is the namespace among them? And the routes.
fn targets(
    refs: &[TelemetryTarget],
    own: &str,
    problems: &mut Problems,
) -> (bool, Vec<RouteTarget>) {
    names::at_most(refs.len(), MAX_TARGETS, "spec.targetRefs", problems);
    let (mut namespace, mut routes) = (false, Vec::new());
    for (index, target) in refs.iter().enumerate().take(MAX_TARGETS) {
        let field = format!("spec.targetRefs[{index}]");
        let kind = match (target.group.as_str(), target.kind.as_str()) {
            (GATEWAY, "HTTPRoute") => RouteKind::Http,
            (GATEWAY, "GRPCRoute") => RouteKind::Grpc,
            ("" | "core", "Namespace") => {
                namespace = true;
                if target.name != own {
                    let hint = format!("write {own}, or the policy into namespace {}", target.name);
                    let message = "a policy is for its own namespace";
                    problems.invalid_hint(format!("{field}.name"), message, hint);
                }
                if target.section_name.is_some() {
                    problems.invalid(format!("{field}.sectionName"), "a Namespace has no sections");
                }
                continue;
            }
            (group, kind) => {
                problems.invalid_hint(
                    format!("{field}.kind"),
                    format!("a TelemetryPolicy cannot target a {kind} of the group {group:?}"),
                    format!("target an HTTPRoute or a GRPCRoute (group {GATEWAY}), or a Namespace"),
                );
                continue;
            }
        };
        let route = Key::new(own, &target.name);
        routes.push(RouteTarget { index, kind, route, rule: target.section_name.clone() });
    }
    (namespace, routes)
}

fn access_log(spec: LogSpec, problems: &mut Problems) -> AccessLog {
    let field = "spec.accessLog";
    let successes = spec.successes.unwrap_or(0.0);
    let successes = share_of(successes, &format!("{field}.successes"), problems);
    check_fields(&spec.fields, &format!("{field}.fields"), problems);
    AccessLog { successes, fields: spec.fields }
}

/// 0 to 1.
pub(super) fn share_of(share: f64, field: &str, problems: &mut Problems) -> f64 {
    if !(0.0..=1.0).contains(&share) {
        problems.invalid(field, format!("{share} is not within 0 and 1"));
    }
    share
}

/// Names of a line's fields.
pub(super) fn check_fields(fields: &[String], at: &str, problems: &mut Problems) {
    names::at_most(fields.len(), MAX_FIELDS, at, problems);
    for (index, name) in fields.iter().enumerate().take(MAX_FIELDS) {
        if !ACCESS_LOG_FIELDS.contains(&name.as_str()) {
            problems.invalid_hint(
                format!("{at}[{index}]"),
                format!("a line has no field {name:?}"),
                format!("one of {}", ACCESS_LOG_FIELDS.join(", ")),
            );
        }
    }
}

/// How a collector is spoken to.
pub(super) fn protocol(
    word: Option<&str>,
    field: &str,
    problems: &mut Problems,
) -> Option<OtlpProtocol> {
    match word {
        None => None,
        Some("grpc") => Some(OtlpProtocol::Grpc),
        Some("http/protobuf") => Some(OtlpProtocol::HttpProtobuf),
        Some(other) => {
            let message = format!("{other:?} is not spoken");
            problems.invalid_hint(field, message, "grpc or http/protobuf");
            None
        }
    }
}

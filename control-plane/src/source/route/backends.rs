//! `backendRefs[]`: weights, filters, and the Service they name; whether it exists is `assemble`'s question.

use crate::finding::Code;
use crate::model::{Backend, BackendRef, Key, RouteKind};
use crate::source::metadata::namespace_or_default;
use crate::source::names;
use crate::source::problem::Problems;
use crate::source::schema::http_route::BackendRef as Spec;

use super::filters::{self, Filters, Scope};

/// Bounds of the Gateway API.
const MAX_BACKENDS: usize = 16;
const MAX_WEIGHT: u32 = 1_000_000;

/// Reads all backends of a rule.
pub(crate) fn read(
    written: Vec<Spec>,
    route: RouteKind,
    namespace: &str,
    rule: &str,
    problems: &mut Problems,
) -> Vec<BackendRef> {
    let list = format!("{rule}.backendRefs");
    names::at_most(written.len(), MAX_BACKENDS, &list, problems);
    let one = |(index, spec): (usize, Spec)| {
        let field = format!("{list}[{index}]");
        let scope = Scope { route, on_rule: false };
        let Filters { request_headers, response_headers, rewrite, .. } =
            filters::read(&spec.filters, scope, (&field, namespace), problems);
        let weight_field = format!("{field}.weight");
        let weight = spec.weight.unwrap_or(1);
        BackendRef {
            weight: names::within(weight, (0, MAX_WEIGHT), &weight_field, problems).unwrap_or(0),
            backend: backend(&spec, namespace, &field, problems),
            request_headers,
            response_headers,
            hostname: rewrite.hostname,
        }
    };
    written.into_iter().enumerate().take(MAX_BACKENDS).map(one).collect()
}

/// Reads one reference.
pub(super) fn backend(spec: &Spec, own: &str, field: &str, problems: &mut Problems) -> Backend {
    let group = spec.group.as_deref().unwrap_or_default();
    let kind = spec.kind.as_deref().unwrap_or("Service");
    if !matches!((group, kind), ("" | "core", "Service")) {
        // The route stays: by the Gateway API such a backend costs its share of the traffic.
        let text = format!("{kind} {} is not a Service", spec.name);
        problems.add(Code::InvalidKind, format!("{field}.kind"), &text);
        return Backend::Invalid(text);
    }
    let Some(port) = spec.port else {
        problems.invalid_hint(field, "a reference to a Service has no port", "add port");
        return Backend::Invalid("no port".to_owned());
    };
    let namespace = namespace_or_default(spec.namespace.as_deref().or(Some(own)));
    match names::port(port, &format!("{field}.port"), problems) {
        Some(port) => Backend::Service(Key::new(namespace, &spec.name), port),
        None => Backend::Invalid(format!("port {port} is none")),
    }
}

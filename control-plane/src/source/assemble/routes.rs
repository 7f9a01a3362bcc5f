//! Attaches routes to Services and looks up their backends.

use std::collections::BTreeMap;

use crate::finding::Code;
use crate::model::{
    AppProtocol, Backend, BackendRef, Key, Mesh, Route, RouteMatch, RouteRule, Service,
};
use crate::source::http_route::{Parent, RouteDraft};
use crate::source::object::{Kind, Object, ObjectId};

use super::{Notes, Objects, list_ports};

/// Fills [`Mesh::routes`], oldest first.
pub(super) fn resolve(objects: &Objects, mesh: &mut Mesh, notes: &mut Notes<'_>) {
    for (id, found) in objects {
        let Object::Route(RouteDraft { route, parents }) = &*found.object else { continue };
        let mut attached = Vec::new();
        for parent in parents {
            attach(id, parent, mesh, &mut attached, notes);
        }
        let rules = route.rules.iter().enumerate();
        let rules = rules.map(|(index, rule)| resolve_rule(id, index, rule, mesh, notes)).collect();
        if !attached.is_empty() {
            let origin = id.origin(found.generation);
            mesh.routes.push(Route { origin, parents: attached, rules, ..route.clone() });
        }
    }
    mesh.routes.sort_by(|a, b| (a.created, &a.key).cmp(&(b.created, &b.key)));
    find_unreachable(&mesh.routes, notes);
}

fn attach(
    id: &ObjectId,
    parent: &Parent,
    mesh: &Mesh,
    attached: &mut Vec<(Key, u16)>,
    notes: &mut Notes<'_>,
) {
    let field = format!("spec.parentRefs[{}]", parent.index);
    let Some(service) = mesh.services.get(&parent.service) else {
        let message = format!("Service {} does not exist", parent.service);
        notes.add_hint(
            id,
            format!("{field}.name"),
            Code::ParentNotFound,
            message,
            similar_service(&parent.service, mesh, Code::ParentNotFound),
        );
        return;
    };
    let wanted = |port: &&crate::model::ServicePort| {
        parent.port.is_none_or(|number| number == port.port)
            && parent.port_name.as_ref().is_none_or(|name| *name == port.name)
    };
    let mut ports = service.ports.iter().filter(wanted).peekable();
    if ports.peek().is_none() {
        let asked = match (&parent.port, &parent.port_name) {
            (Some(number), _) => number.to_string(),
            (None, Some(name)) => name.clone(),
            (None, None) => "any".to_owned(),
        };
        let message =
            format!("Service {} has no port {asked}; it has {}", service.key, list_ports(service));
        notes.add(id, format!("{field}.port"), Code::ParentPortNotFound, message);
    }
    for port in ports {
        if port.protocol == AppProtocol::Tcp {
            let message =
                format!("port {} of Service {} carries opaque TCP", port.port, service.key);
            notes.add(id, &field, Code::RouteOnTcpPort, message);
        }
        let target = (service.key.clone(), port.port);
        if !attached.contains(&target) {
            attached.push(target);
        }
    }
}

fn resolve_rule(
    id: &ObjectId,
    index: usize,
    rule: &RouteRule,
    mesh: &Mesh,
    notes: &mut Notes<'_>,
) -> RouteRule {
    let field = format!("spec.rules[{index}]");
    let weights: u64 = rule.backends.iter().map(|backend| u64::from(backend.weight)).sum();
    if rule.redirect.is_none() && weights == 0 {
        let (part, message) = match rule.backends.len() {
            0 => ("", "the rule has no backends"),
            _ => (".backendRefs", "the weights of all backends are 0"),
        };
        notes.add(id, format!("{field}{part}"), Code::NoTraffic, message);
    }
    let backends = rule.backends.iter().enumerate().map(|(number, backend)| {
        let field = format!("{field}.backendRefs[{number}]");
        BackendRef { backend: resolve_backend(id, &field, backend, mesh, notes), ..backend.clone() }
    });
    RouteRule { backends: backends.collect(), ..rule.clone() }
}

fn resolve_backend(
    id: &ObjectId,
    field: &str,
    backend: &BackendRef,
    mesh: &Mesh,
    notes: &mut Notes<'_>,
) -> Backend {
    let Backend::Service(key, port) = &backend.backend else { return backend.backend.clone() };
    let Some(service) = mesh.services.get(key) else {
        let text = format!("Service {key} does not exist");
        let hint = similar_service(key, mesh, Code::BackendNotFound);
        notes.add_hint(id, format!("{field}.name"), Code::BackendNotFound, &text, hint);
        return Backend::Invalid(text);
    };
    if !service.ports.iter().any(|known| known.port == *port) {
        let text = format!("Service {key} has no port {port}");
        let message = format!("{text}; it has {}", list_ports(service));
        notes.add(id, format!("{field}.port"), Code::BackendPortNotFound, message);
        return Backend::Invalid(text);
    }
    backend.backend.clone()
}

/// The code's remedy, after a Service of the same name elsewhere if there is one.
pub(super) fn similar_service(key: &Key, mesh: &Mesh, code: Code) -> String {
    let remedy = code.info().remedy;
    let same_name = |service: &&Service| service.key.name == key.name;
    match mesh.services.values().find(same_name) {
        Some(service) => {
            format!("did you mean the one in namespace {}? {remedy}", service.key.namespace)
        }
        None => remedy.to_owned(),
    }
}

/// A match by the port and host name where it counts.
type Claim<'a> = (&'a (Key, u16), &'a str);

/// Says which rules come behind rules that match the same, wherever they apply.
fn find_unreachable(routes: &[Route], notes: &mut Notes<'_>) {
    let mut claims: BTreeMap<Claim<'_>, BTreeMap<&RouteMatch, (&Route, usize)>> = BTreeMap::new();
    for route in routes {
        let id = ObjectId::new(Kind::HttpRoute, &route.key);
        let hostnames: Vec<&str> = match route.hostnames.as_slice() {
            [] => vec!["*"],
            names => names.iter().map(String::as_str).collect(),
        };
        for (index, rule) in route.rules.iter().enumerate() {
            let mut before = None;
            let mut reachable = false;
            for parent in &route.parents {
                for hostname in &hostnames {
                    let known = claims.entry((parent, hostname)).or_default();
                    for wanted in &rule.matches {
                        match known.get(wanted) {
                            Some(earlier) => before = before.or(Some(*earlier)),
                            None => {
                                reachable = true;
                                known.insert(wanted, (route, index));
                            }
                        }
                    }
                }
            }
            if let (Some((earlier, number)), false) = (before, reachable) {
                let message = format!(
                    "rule {} of HTTPRoute {} matches the same requests before it",
                    earlier.rules[number].name, earlier.key
                );
                notes.add(&id, format!("spec.rules[{index}]"), Code::UnreachableRule, message);
            }
        }
    }
}

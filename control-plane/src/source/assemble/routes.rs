//! Attaches routes to Services and looks up their backends.

mod conflicts;

use crate::finding::Code;
use crate::model::{
    AppProtocol, Backend, BackendRef, Key, Mesh, Mirror, Route, RouteRule, Service,
};
use crate::source::object::{Object, ObjectId};
use crate::source::route::{Parent, RouteDraft};

use super::{Notes, Objects, list_ports};

/// A route with the Service ports that its parents mean.
struct Attached<'a> {
    id: &'a ObjectId,
    generation: u64,
    draft: &'a RouteDraft,
    places: Vec<Place>,
}

/// A Service port that a route is attached to.
struct Place {
    port: (Key, u16),
    /// Index of the `parentRef` that says so.
    parent: usize,
}

/// Fills [`Mesh::routes`], oldest first.
pub(super) fn resolve(objects: &Objects, mesh: &mut Mesh, notes: &mut Notes<'_>) {
    let mut all = Vec::new();
    for (id, found) in objects {
        let Object::Route(draft) = &*found.object else { continue };
        let mut places = Vec::new();
        for parent in &draft.parents {
            attach(id, parent, mesh, &mut places, notes);
        }
        all.push(Attached { id, generation: found.generation, draft, places });
    }
    // Order: the older first, then by key.
    all.sort_by_key(|one| (one.draft.route.created, &one.draft.route.key));
    conflicts::one_kind_on_a_port(&mut all, notes);
    for Attached { id, generation, draft, places } in all {
        let route = &draft.route;
        if route.rules.is_empty() {
            notes.add(id, "spec.rules", Code::NoTraffic, "the route has no rules");
        }
        let rules = route.rules.iter().enumerate();
        let rules = rules.map(|(index, rule)| resolve_rule(id, index, rule, mesh, notes)).collect();
        if !places.is_empty() {
            let origin = id.origin(generation);
            let parents = places.into_iter().map(|place| place.port).collect();
            mesh.routes.push(Route { origin, parents, rules, ..route.clone() });
        }
    }
    conflicts::find_unreachable(&mesh.routes, notes);
}

fn attach(
    id: &ObjectId,
    parent: &Parent,
    mesh: &Mesh,
    places: &mut Vec<Place>,
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
        let port = (service.key.clone(), port.port);
        if !places.iter().any(|place| place.port == port) {
            places.push(Place { port, parent: parent.index });
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
    let backends = backends.collect();
    let mirrors = rule.mirrors.iter().map(|mirror| {
        let field = format!("{field}.filters[{}].requestMirror.backendRef", mirror.filter);
        let backend = resolve_mirror(id, &field, &mirror.backend, mesh, notes);
        Mirror { backend, ..mirror.clone() }
    });
    RouteRule { backends, mirrors: mirrors.collect(), ..rule.clone() }
}

/// A mirror costs nobody anything but itself.
fn resolve_mirror(
    id: &ObjectId,
    field: &str,
    backend: &Backend,
    mesh: &Mesh,
    notes: &mut Notes<'_>,
) -> Backend {
    let Backend::Service(key, port) = backend else { return backend.clone() };
    let (at, code, text) = match mesh.services.get(key) {
        None => ("name", Code::BackendNotFound, format!("Service {key} does not exist")),
        Some(service) if !service.ports.iter().any(|known| known.port == *port) => {
            let text = format!("Service {key} has no port {port}; it has {}", list_ports(service));
            ("port", Code::BackendPortNotFound, text)
        }
        Some(_) => return backend.clone(),
    };
    let hint = "correct the reference, or add the Service; until then nothing is mirrored there";
    notes.add_hint(id, format!("{field}.{at}"), code, &text, hint.to_owned());
    Backend::Invalid(text)
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

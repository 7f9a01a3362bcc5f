//! What the configuration would do with a request that nobody remembers: what is wrong already, else nothing.

use super::{Diagnosis, Fault};
use crate::why::facts::{Door, Entry, Facts, Lookup};

/// From the model alone.
pub(super) fn foresee(facts: &Facts) -> Diagnosis {
    let Some(lookup) = &facts.lookup else {
        let try_this = "ask by who called what: `weft why FROM TO`";
        return Diagnosis::new(Fault::Nothing, None, "nothing is known of it", try_this);
    };
    if let Some(refusal) = &facts.refusal {
        return refused(facts, refusal);
    }
    let all = [destination, route, backends, doors];
    let found = all.iter().find_map(|part| part(lookup));
    found.unwrap_or_else(|| {
        let summary =
            "no such request failed or was slow lately, and the configuration lets it through";
        let try_this =
            "`weft stat edges` shows how it goes on this edge; make the request and ask again";
        Diagnosis::new(Fault::Nothing, None, summary, try_this)
    })
}

/// All that is known is a connection that was not let in.
fn refused(facts: &Facts, refusal: &Entry) -> Diagnosis {
    let (door, to) = (facts.door(), &refusal.workload);
    let by = door.and_then(|door| door.mtls_by.clone());
    if !refusal.denied_by.is_empty() {
        let rule = Some(refusal.denied_by.clone()).filter(|rule| rule != "none");
        let summary = format!("{to} refused a connection: {}", refusal.detail);
        let try_this = format!("`weft authz --to {to}` shows who may do what");
        return Diagnosis::new(Fault::Denied, rule.or_else(|| Some(to.clone())), summary, try_this);
    }
    if refusal.reason == "no_handshake" {
        let says = by.clone().unwrap_or_else(|| "the mesh".to_owned());
        let summary = format!(
            "{to} refused a connection from {} without mutual TLS: {says} says STRICT",
            refusal.peer_address
        );
        let try_this = "give the caller a sidecar, or set `mtls: PERMISSIVE` in an InboundPolicy";
        let object = by.or_else(|| Some(to.clone()));
        return Diagnosis::new(Fault::PlaintextRefused, object, summary, try_this);
    }
    let fault = super::caller::of_reason(&refusal.reason);
    let summary =
        format!("{to} refused a connection from {}: {}", refusal.peer_address, refusal.detail);
    let try_this = "`weft check` shows certificates and why they are not renewed";
    Diagnosis::new(
        fault,
        format!("certificate of the caller at {}", refusal.peer_address),
        summary,
        try_this,
    )
}

/// Whoever calls names what is not there.
pub(super) fn no_such_port(lookup: &Lookup) -> Diagnosis {
    let to = &lookup.destination;
    if to.object.is_none() {
        let summary = format!("there is no Service {}; there are {}", to.asked, to.known);
        let try_this = "call one of those, or write the Service";
        return Diagnosis::new(Fault::WrongPort, None, summary, try_this);
    }
    let ports: Vec<String> = to.ports.iter().map(u16::to_string).collect();
    let summary = format!("{} has no such port; it has {}", to.asked, ports.join(", "));
    let try_this = "call one of those, or add the port to `spec.ports` of the Service";
    Diagnosis::new(Fault::WrongPort, to.object.clone(), summary, try_this)
}

fn destination(lookup: &Lookup) -> Option<Diagnosis> {
    (lookup.destination.service.is_none() && lookup.doors.is_empty()).then(|| no_such_port(lookup))
}

fn route(lookup: &Lookup) -> Option<Diagnosis> {
    let route = &lookup.route;
    if route.object.is_some() || route.attached.is_empty() {
        return None;
    }
    let summary = format!("such a request meets no rule of {}", route.attached.join(", "));
    let try_this = "add a rule, or one without `matches` at the end, to `spec.rules`";
    Some(Diagnosis::new(Fault::NoRoute, route.attached.first().cloned(), summary, try_this))
}

fn backends(lookup: &Lookup) -> Option<Diagnosis> {
    let rule = lookup.route.object.clone();
    let used = lookup.backends.iter().filter(|backend| backend.weight > 0);
    for backend in used {
        if let Some(why) = &backend.invalid {
            let summary = format!("a backend of the rule cannot be used: {why}");
            let try_this =
                "mend `backendRefs` of the rule; `weft analyze` names it with file and line";
            return Some(Diagnosis::new(Fault::BackendMissing, rule, summary, try_this));
        }
        if backend.endpoints == 0 {
            let object = backend.object.clone();
            let (fault, summary) = match backend.selects {
                0 => (Fault::NoEndpoints, format!("{} selects no workload", backend.service)),
                selects => (
                    Fault::WrongPort,
                    format!(
                        "none of the {selects} workloads behind {} has the port `{}`",
                        backend.service, backend.target_port
                    ),
                ),
            };
            let try_this =
                "compare `spec.selector` and `targetPort` of the Service with the workloads";
            return Some(Diagnosis::new(fault, object, summary, try_this));
        }
    }
    None
}

fn doors(lookup: &Lookup) -> Option<Diagnosis> {
    let source = lookup.source.first();
    lookup.doors.iter().find_map(|door| {
        if !door.declared && !door.ports.is_empty() {
            let object = lookup.backends.first().and_then(|backend| backend.object.clone());
            let summary = format!("{} does not serve port {}", door.workload, door.port);
            return Some(Diagnosis::new(
                Fault::WrongPort,
                object,
                summary,
                "mend `targetPort` of the Service",
            ));
        }
        if door.mtls == "STRICT" && source.is_some_and(|source| !source.meshed) {
            let object = door.mtls_by.clone();
            let summary =
                format!("{} takes mutual TLS only, and the caller has no sidecar", door.workload);
            let try_this =
                "give the caller a sidecar, or set `mtls: PERMISSIVE` in an InboundPolicy";
            return Some(Diagnosis::new(Fault::PlaintextRefused, object, summary, try_this));
        }
        denied(door)
    })
}

fn denied(door: &Door) -> Option<Diagnosis> {
    if door.verdict.as_deref() != Some("denied") {
        return None;
    }
    let why = door.why.clone().unwrap_or_default();
    let object = door.rule.clone().or_else(|| Some(door.workload.clone()));
    let try_this = format!("`weft authz --to {}` shows who may do what", door.workload);
    Some(Diagnosis::new(
        Fault::Denied,
        object,
        format!("{} would refuse it: {why}", door.workload),
        try_this,
    ))
}

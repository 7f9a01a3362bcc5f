//! What the caller's sidecar says: it never got an answer, or made one itself.

use super::{Diagnosis, Fault, backend_object};
use crate::why::facts::{Door, Entry, Facts};

const RENEW: &str = "`weft check` shows certificates and why they are not renewed";

/// `None` if it says nothing.
pub(super) fn said(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    if out.error.is_empty() {
        return None;
    }
    let all = [routing, reaching, certificates, limits, times, ends];
    let found = all.iter().find_map(|part| part(facts, out));
    Some(found.unwrap_or_else(|| {
        let summary = format!("the sidecar of {} says {}: {}", out.workload, out.error, out.detail);
        let try_this = "docs/reference/errors.md says what the word means";
        Diagnosis::new(Fault::Internal, format!("sidecar of {}", out.workload), summary, try_this)
    }))
}

/// Where it was to go.
fn routing(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    let lookup = facts.lookup.as_ref();
    let service = lookup.and_then(|lookup| lookup.destination.object.clone());
    Some(match out.error.as_str() {
        "route_not_found" => {
            let attached = lookup.map_or(&[][..], |lookup| &lookup.route.attached);
            let object = attached.first().cloned().or(service);
            let routes =
                if attached.is_empty() { "its routes".to_owned() } else { attached.join(", ") };
            let summary =
                format!("{} {} meets no rule of {routes} on {}", out.method, out.path, out.service);
            let try_this = "add a rule, or one without `matches` at the end, to `spec.rules`";
            Diagnosis::new(Fault::NoRoute, object, summary, try_this)
        }
        "backend_invalid" => {
            let rule = if out.object.is_empty() { &out.route } else { &out.object };
            let invalid = lookup.and_then(|lookup| {
                lookup.backends.iter().find_map(|backend| backend.invalid.clone())
            });
            let why = invalid.unwrap_or_else(|| out.detail.clone());
            let summary = format!("{rule} sends to a backend that cannot be used: {why}");
            let try_this =
                format!("mend `backendRefs` of {rule}; `weft analyze` names it with file and line");
            Diagnosis::new(Fault::BackendMissing, rule.clone(), summary, try_this)
        }
        "destination_unavailable" => no_endpoint(facts, out),
        "proxy_configuration_error" => unconfigured(facts, out),
        "http_request_error" | "upgrade_refused" => {
            let summary =
                format!("the sidecar of {} refuses the request: {}", out.workload, out.detail);
            Diagnosis::new(
                Fault::BadRequest,
                out.object.clone(),
                summary,
                "send it as docs/reference/http.md says",
            )
        }
        _ => return None,
    })
}

fn no_endpoint(facts: &Facts, out: &Entry) -> Diagnosis {
    let lookup = facts.lookup.as_ref();
    let object = backend_object(lookup, out);
    let name = if out.backend.is_empty() { &out.service } else { &out.backend };
    let backend = lookup.and_then(|lookup| {
        lookup.backends.iter().find(|backend| backend.service == *name).or(lookup.backends.first())
    });
    match backend {
        Some(backend) if backend.selects > 0 && backend.endpoints == 0 => {
            let (target, selects) = (&backend.target_port, backend.selects);
            let summary = format!(
                "the port of {name} leads to `{target}`, and none of the {selects} workloads behind it has such a port"
            );
            let try_this = "mend `targetPort` of the Service, or `ports` of the workloads";
            Diagnosis::new(Fault::WrongPort, object, summary, try_this)
        }
        Some(backend) if backend.endpoints > 0 => {
            let summary = format!(
                "the sidecar of {} knew no endpoint of {name}; now there are {}",
                out.workload, backend.endpoints
            );
            let try_this = "ask again; `weft proxy-status` shows who is out of step";
            Diagnosis::new(Fault::NoEndpoints, object, summary, try_this)
        }
        _ => {
            let summary = format!(
                "{name} has no endpoint: no workload has the labels that its selector asks for"
            );
            let try_this = "compare `spec.selector` of the Service with the workloads' labels; are any running?";
            Diagnosis::new(Fault::NoEndpoints, object, summary, try_this)
        }
    }
}

fn unconfigured(facts: &Facts, out: &Entry) -> Diagnosis {
    let lookup = facts.lookup.as_ref();
    if let Some(lookup) = lookup.filter(|lookup| lookup.destination.service.is_none()) {
        return super::model::no_such_port(lookup);
    }
    let summary = format!(
        "the sidecar of {} has no configuration for {}: {}",
        out.workload, out.service, out.detail
    );
    let try_this = "`weft proxy-status` shows what it has acknowledged and refused";
    Diagnosis::new(Fault::NotConfigured, format!("sidecar of {}", out.workload), summary, try_this)
}

/// The way to the endpoint.
fn reaching(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    // Who expects a handshake and gets a request answers with an alert, which is no HTTP.
    let is_broken =
        ["connection_terminated", "keep_alive_race", "request_refused", "http_protocol_error"];
    let (token, door) = (out.error.as_str(), facts.door());
    let is_refused = ["connection_refused", "connection_timeout"].contains(&token);
    if !is_refused && !is_broken.contains(&token) {
        return None;
    }
    let to = out.last_workload();
    if let Some(door) = door.filter(|door| !door.declared && is_refused) {
        let object = backend_object(facts.lookup.as_ref(), out);
        let ports: Vec<String> = door.ports.iter().map(u16::to_string).collect();
        let summary = format!(
            "{} leads to port {} of {to}, which serves {} only",
            out.backend,
            door.port,
            ports.join(", ")
        );
        let try_this = "mend `targetPort` of the Service";
        return Some(Diagnosis::new(Fault::WrongPort, object, summary, try_this));
    }
    let plain = out.peer_identity.is_empty();
    let strict = door.is_some_and(|door| door.mtls == "STRICT");
    if plain && !is_refused && (strict || facts.refusal.is_some()) {
        return Some(plaintext(out, door));
    }
    if token == "http_protocol_error" {
        return None;
    }
    if plain && is_refused {
        let summary = format!(
            "nobody listens at {}: {to} has no sidecar, so this is its application",
            out.peer_address
        );
        let try_this = format!("is the application of {to} running?");
        return Some(Diagnosis::new(Fault::ApplicationRefused, to.to_owned(), summary, try_this));
    }
    if plain {
        let summary = format!(
            "the application of {to}, which has no sidecar, broke the connection off: {}",
            out.detail
        );
        let try_this = format!("look at the application's log of {to}");
        return Some(Diagnosis::new(Fault::ApplicationReset, to.to_owned(), summary, try_this));
    }
    let summary =
        format!("the sidecar of {to} at {} cannot be reached: {}", out.peer_address, out.detail);
    let try_this =
        "`weft proxy-status` shows whether it is connected; else look at its machine or pod";
    Some(Diagnosis::new(Fault::Unreachable, format!("sidecar of {to}"), summary, try_this))
}

fn plaintext(out: &Entry, door: Option<&Door>) -> Diagnosis {
    let by = door.and_then(|door| door.mtls_by.clone());
    let object = by.clone().or_else(|| door.map(|door| door.object.clone()));
    let why = match door {
        Some(door) if !door.meshed => {
            format!("{} is said to have no sidecar (`meshed: false`)", door.workload)
        }
        _ => "the caller's sidecar went there without mutual TLS".to_owned(),
    };
    let says = by.unwrap_or_else(|| "the mesh".to_owned());
    let summary =
        format!("plaintext is refused at {}: {says} says STRICT, and {why}", out.peer_address);
    let try_this = "say that the workload has a sidecar (`meshed`), or set `mtls: PERMISSIVE` in an InboundPolicy for it";
    Diagnosis::new(Fault::PlaintextRefused, object, summary, try_this)
}

/// Who is who.
fn certificates(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    let to = out.last_workload();
    let of = |workload: &str| Some(format!("certificate of {workload}"));
    Some(match (out.error.as_str(), out.reason.as_str()) {
        ("identity_unavailable", reason) => {
            let fault =
                if reason == "expired" { Fault::CertificateExpired } else { Fault::NotConfigured };
            let summary = format!("the sidecar of {} calls nobody: {}", out.workload, out.detail);
            Diagnosis::new(fault, of(&out.workload), summary, RENEW)
        }
        ("identity_denied" | "peer_denied", _) => {
            let summary = format!("the deny list forbids it: {}", out.detail);
            let try_this = "`denied` of the MeshConfig";
            Diagnosis::new(
                Fault::OnDenyList,
                "MeshConfig/weft-system/default".to_owned(),
                summary,
                try_this,
            )
        }
        ("tls_certificate_error", "own_refused") => {
            let reason = facts.refusal.as_ref().map_or("", |refusal| &refusal.reason);
            let why = facts.refusal.as_ref().map_or(out.detail.as_str(), |refusal| &refusal.detail);
            let summary =
                format!("the sidecar of {to} refuses the certificate of {}: {why}", out.workload);
            Diagnosis::new(of_reason(reason), of(&out.workload), summary, RENEW)
        }
        ("tls_certificate_error", reason) => theirs(out, of_reason(reason)),
        ("tls_protocol_error", _) => {
            let door = facts.door();
            let said =
                door.map_or_else(String::new, |door| format!(" (the port is {})", door.mtls));
            let summary = format!("the handshake with {to} failed{said}: {}", out.detail);
            let object = door.and_then(|door| door.mtls_by.clone()).or_else(|| Some(to.to_owned()));
            let try_this = "does a sidecar listen there? `weft proxy-status`; `mtls` of the InboundPolicy, `meshed` of the workload";
            Diagnosis::new(Fault::HandshakeFailed, object, summary, try_this)
        }
        _ => return None,
    })
}

/// The other side's is no good.
fn theirs(out: &Entry, fault: Fault) -> Diagnosis {
    let to = out.last_workload();
    let summary = match fault {
        Fault::CertificateExpired => format!(
            "the certificate that {to} shows has expired or is not valid yet: {}",
            out.detail
        ),
        Fault::UntrustedRoot => {
            format!("nobody who is believed signed the certificate that {to} shows: {}", out.detail)
        }
        Fault::WrongIdentity => {
            format!("who answers at {} is not {to}: {}", out.peer_address, out.detail)
        }
        _ => format!("the certificate that {to} shows is no good: {}", out.detail),
    };
    let try_this = match fault {
        Fault::UntrustedRoot => "`weft trust` shows the roots and who believes them",
        Fault::WrongIdentity => {
            "who runs at that address, and under which service account? `serviceAccount` of the workload"
        }
        _ => RENEW,
    };
    Diagnosis::new(fault, format!("certificate of {to}"), summary, try_this)
}

/// A word of the sidecars' (metric `weft_certificates_refused_total`).
pub(super) fn of_reason(reason: &str) -> Fault {
    match reason {
        "expired" | "not_valid_yet" => Fault::CertificateExpired,
        "unknown_issuer" | "bad_signature" => Fault::UntrustedRoot,
        "wrong_identity" | "foreign_trust_domain" => Fault::WrongIdentity,
        "denied" => Fault::OnDenyList,
        _ => Fault::HandshakeFailed,
    }
}

/// What was too much.
fn limits(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    let policy = facts.lookup.as_ref().and_then(|lookup| lookup.policy.as_ref());
    let object = policy.map(|policy| policy.object.clone());
    let field = match out.error.as_str() {
        "request_limit_reached" => "limits.requests",
        "pending_limit_reached" => "limits.connections, pendingRequests, pendingTimeout",
        "connection_limit_reached" => "limits.connections",
        "memory_limit_reached" => {
            let summary = format!("the sidecar of {} has too little memory left", out.workload);
            let try_this = "raise the memory limit of the sidecar (docs/reference/http.md, \"Too little memory\")";
            return Some(Diagnosis::new(
                Fault::OutOfMemory,
                format!("sidecar of {}", out.workload),
                summary,
                try_this,
            ));
        }
        _ => return None,
    };
    let object = object.or_else(|| backend_object(facts.lookup.as_ref(), out));
    let summary = format!(
        "a limit on what {} may have under way to {} is reached: {}",
        out.workload, out.backend, out.detail
    );
    let try_this = format!(
        "raise `{field}` of the TrafficPolicy, or find out why requests take so long: `weft stat edges`"
    );
    Some(Diagnosis::new(Fault::LimitReached, object, summary, try_this))
}

/// What took too long.
fn times(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    if out.error != "http_response_timeout" {
        return None;
    }
    let route = facts.lookup.as_ref().map(|lookup| &lookup.route);
    let to = out.last_workload();
    if out.reason == "per_try_timeout" {
        let by = route.and_then(|route| route.try_timeout_by.clone());
        let (object, field) = match by.as_deref().and_then(|by| by.split_once(' ')) {
            Some((object, field)) => (Some(object.to_owned()), field.to_owned()),
            None => (Some(out.route.clone()), "timeouts.backendRequest".to_owned()),
        };
        let summary = format!("{to} took longer than one attempt may: {}", out.detail);
        let try_this = format!(
            "make the application faster, or raise `{field}`; `retry` tries another endpoint"
        );
        return Some(Diagnosis::new(Fault::TryTimeout, object, summary, try_this));
    }
    let tries = match out.attempts.len() {
        0 | 1 => "one attempt".to_owned(),
        tries => format!("{tries} attempts"),
    };
    let object = if out.object.is_empty() { out.route.clone() } else { out.object.clone() };
    let summary = format!(
        "{to} took longer than the request may with all it tries ({tries}): {}",
        out.detail
    );
    let try_this = "make the application faster, or raise `timeouts.request` of the rule";
    Some(Diagnosis::new(Fault::RequestTimeout, object, summary, try_this))
}

/// What broke off.
fn ends(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    let to = super::application(facts, out);
    Some(match out.error.as_str() {
        "downstream_closed" => {
            let summary = format!(
                "the application of {} went away after {} ms, before the answer was complete",
                out.workload,
                out.total_us / 1000
            );
            let try_this = "is its own time limit shorter than what the call takes?";
            Diagnosis::new(Fault::CallerLeft, out.workload.clone(), summary, try_this)
        }
        "http_response_incomplete" => {
            let summary = format!("the answer of {to} broke off in its body");
            let try_this = format!("look at the application's log of {to}");
            Diagnosis::new(Fault::ApplicationReset, to, summary, try_this)
        }
        "http_protocol_error" => {
            let object = backend_object(facts.lookup.as_ref(), out).or_else(|| Some(to.clone()));
            let summary = format!("what {to} answers is no HTTP: {}", out.detail);
            let try_this = "say what the port carries: `appProtocol` of the Service's port and of the workload's";
            Diagnosis::new(Fault::ProtocolMismatch, object, summary, try_this)
        }
        _ => return None,
    })
}

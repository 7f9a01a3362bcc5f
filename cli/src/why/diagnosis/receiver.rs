//! What the receiving sidecar says: in its own memory, or else in the answer that the caller's sidecar remembers.

use super::{Diagnosis, Fault, application};
use crate::why::facts::{Entry, Facts};

/// Its words, from wherever they are known.
struct Said<'a> {
    token: &'a str,
    detail: &'a str,
    /// The object that it names.
    object: Option<String>,
    workload: String,
}

/// `None` if it says nothing.
pub(super) fn said(facts: &Facts) -> Option<Diagnosis> {
    let said = words(facts, facts.entry()?)?;
    if said.token == "downstream_closed" {
        return None;
    }
    let found = of_rules(facts, &said).or_else(|| of_the_application(facts, &said));
    Some(found.unwrap_or_else(|| of_itself(&said)))
}

/// What it does not let through.
fn of_rules(facts: &Facts, said: &Said<'_>) -> Option<Diagnosis> {
    let Said { token, detail, object, workload } = said;
    Some(match *token {
        "http_request_denied" => denied(facts, said),
        "rate_limited" => {
            let by = object.clone().or_else(|| facts.door()?.rate_limited_by.clone());
            let summary = format!("the sidecar of {workload} takes no more for now: {detail}");
            let try_this = "wait as long as `retry-after` says, send less, or raise `rateLimits` of the InboundPolicy";
            Diagnosis::new(Fault::RateLimited, by, summary, try_this)
        }
        "http_request_error" | "upgrade_refused" => {
            let summary = format!("the sidecar of {workload} refuses the request: {detail}");
            let try_this = "send it as docs/reference/http.md says";
            Diagnosis::new(Fault::BadRequest, object.clone(), summary, try_this)
        }
        "http_response_timeout" => {
            let summary =
                format!("the call's time (`grpc-timeout`) was over when it came to {workload}");
            let try_this = "give the call more time, or make what comes before it faster";
            Diagnosis::new(Fault::RequestTimeout, workload.clone(), summary, try_this)
        }
        _ => return None,
    })
}

/// What it met behind it.
fn of_the_application(facts: &Facts, said: &Said<'_>) -> Option<Diagnosis> {
    let Said { token, detail, workload, .. } = said;
    Some(match *token {
        "application_unreachable" => {
            let summary =
                format!("the sidecar of {workload} could not connect to its application: {detail}");
            let try_this = format!(
                "is the application of {workload} running, and does it listen on that port?"
            );
            Diagnosis::new(Fault::ApplicationRefused, workload.clone(), summary, try_this)
        }
        "connection_terminated"
        | "keep_alive_race"
        | "http_response_incomplete"
        | "request_refused" => {
            let summary = format!(
                "the application of {workload} broke the connection off before its answer was complete: {detail}"
            );
            let try_this = format!(
                "look at the application's log of {workload}: did it crash or close connections?"
            );
            Diagnosis::new(Fault::ApplicationReset, workload.clone(), summary, try_this)
        }
        "http_protocol_error" => {
            let service = facts.lookup.as_ref().and_then(|lookup| {
                let backend = lookup.backends.first().and_then(|one| one.object.clone());
                backend.or_else(|| lookup.destination.object.clone())
            });
            let summary = format!(
                "the application of {workload} does not speak HTTP on a port that is declared to carry it: {detail}"
            );
            let try_this = "say what the port carries: `appProtocol` of the Service's port and of the workload's (`tcp` for opaque bytes)";
            let object = service.or_else(|| Some(workload.clone()));
            Diagnosis::new(Fault::ProtocolMismatch, object, summary, try_this)
        }
        _ => return None,
    })
}

/// What it lacks.
fn of_itself(said: &Said<'_>) -> Diagnosis {
    let Said { token, detail, workload, .. } = said;
    let object = format!("sidecar of {workload}");
    if *token == "memory_limit_reached" {
        let summary = format!("the sidecar of {workload} has too little memory left");
        let try_this =
            "raise the memory limit of the sidecar (docs/reference/http.md, \"Too little memory\")";
        return Diagnosis::new(Fault::OutOfMemory, object, summary, try_this);
    }
    let summary = format!("the sidecar of {workload} says {token}: {detail}");
    let try_this = "docs/reference/errors.md says what the word means";
    Diagnosis::new(Fault::Internal, object, summary, try_this)
}

fn words<'a>(facts: &'a Facts, entry: &'a Entry) -> Option<Said<'a>> {
    let workload = application(facts, entry);
    if let Some(inbound) = facts.inbound.as_ref().filter(|inbound| !inbound.error.is_empty()) {
        let by = inbound.denied_by.as_str();
        let object =
            if by.is_empty() || by == "none" { &inbound.object } else { &inbound.denied_by };
        let object = (!object.is_empty()).then(|| object.clone());
        return Some(Said { token: &inbound.error, detail: &inbound.detail, object, workload });
    }
    // Who has no error of his own hands on what the other one says.
    if entry.error.is_empty() && !entry.reported.is_empty() {
        let (object, detail) = object_of(&entry.reported_detail);
        return Some(Said { token: &entry.reported, detail, object, workload });
    }
    None
}

/// `AccessPolicy/shop/readers#0: denied by …`.
fn object_of(details: &str) -> (Option<String>, &str) {
    match details.split_once(": ") {
        Some((object, rest)) if object.split('/').count() == 3 && !object.contains(' ') => {
            (Some(object.to_owned()), rest)
        }
        _ => (None, details),
    }
}

fn denied(facts: &Facts, said: &Said<'_>) -> Diagnosis {
    let door = facts.door();
    let object = said.object.clone().or_else(|| door?.rule.clone());
    let who = facts.outbound.as_ref().map(|out| out.identity.clone());
    let who = who.or_else(|| Some(facts.inbound.as_ref()?.peer_identity.clone()));
    let who = who
        .filter(|who| !who.is_empty())
        .unwrap_or_else(|| "somebody without an identity".to_owned());
    let summary = match &object {
        Some(rule) => format!("{rule} forbids it to {who}"),
        None => format!("no rule allows it to {who}: {}", said.detail),
    };
    let place = said.workload.as_str();
    let try_this = match &object {
        Some(_) => format!(
            "`weft authz --to {place}` shows who may do what; try a change with `weft authz --try FILE`"
        ),
        None => format!(
            "add a rule to an AccessPolicy that selects {place}, and try it with `weft authz --try FILE`"
        ),
    };
    Diagnosis::new(Fault::Denied, object.or_else(|| Some(place.to_owned())), summary, try_this)
}

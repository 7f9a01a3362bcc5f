//! The way of a request in numbered steps, each with what is known of it and whether it went well. Pure. It decides nothing about
//! the verdict; it is what the verdict can be checked against.

use serde::Serialize;

use super::facts::{Attempt, Backend, Door, Entry, Facts, Lookup};
use crate::identity;

/// How a step went.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// As it should.
    Ok,
    /// As it should, but it may be the cause.
    Warning,
    /// Not as it should.
    Failed,
    /// It did not come so far, or nobody says.
    Unknown,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Check {
    pub(super) number: u32,
    pub(super) name: &'static str,
    pub(super) state: State,
    pub(super) text: String,
    /// Further lines.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) details: Vec<String>,
}

/// What one step says.
type Said = (State, String, Vec<String>);

/// Every step, in order.
pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let steps: [(&'static str, Said); 7] = [
        ("intercepted", intercepted(facts)),
        ("route", route(facts)),
        ("backends", backends(facts)),
        ("identity", identity(facts)),
        ("policy", policy(facts)),
        ("attempts", attempts(facts)),
        ("outcome", outcome(facts)),
    ];
    let numbered = (1..).zip(steps);
    let check =
        |(number, (name, (state, text, details)))| Check { number, name, state, text, details };
    numbered.map(check).collect()
}

fn said(state: State, text: impl Into<String>) -> Said {
    (state, text.into(), Vec::new())
}

fn intercepted(facts: &Facts) -> Said {
    if let Some(out) = &facts.outbound {
        let text = format!("by the sidecar of {}, for {}", out.workload, out.service);
        return match out.out_of_touch_s {
            0 => said(State::Ok, text),
            seconds => {
                let more = format!("it had not heard from the control plane for {seconds} s");
                (State::Warning, text, vec![more])
            }
        };
    }
    let source = facts.lookup.as_ref().and_then(|lookup| lookup.source.first());
    match (source, &facts.inbound) {
        (Some(source), _) if !source.meshed => {
            said(State::Warning, format!("{} has no sidecar", source.workload))
        }
        (Some(source), _) if !source.sidecar.connected => {
            said(State::Warning, format!("the sidecar of {} is not connected", source.workload))
        }
        (Some(source), _) => said(State::Ok, format!("{} has a sidecar", source.workload)),
        (None, Some(inbound)) if inbound.peer_identity.is_empty() => {
            said(State::Warning, "the caller has no sidecar")
        }
        (None, _) => said(State::Unknown, "no sidecar remembers that it sent it"),
    }
}

fn route(facts: &Facts) -> Said {
    let recorded = facts.outbound.as_ref().map_or("", |out| &out.route);
    let Some(lookup) = &facts.lookup else {
        return match recorded {
            "" => said(State::Unknown, "not known"),
            object => said(State::Ok, object),
        };
    };
    let route = &lookup.route;
    let not_found = facts.outbound.as_ref().is_some_and(|out| out.error == "route_not_found");
    let object =
        if recorded.is_empty() { route.object.as_deref().unwrap_or_default() } else { recorded };
    if not_found || object.is_empty() && !route.attached.is_empty() {
        return said(State::Failed, format!("no rule of {} matches", route.attached.join(", ")));
    }
    let straight = route.attached.is_empty() || object.starts_with("Service/");
    if straight {
        return match &lookup.destination.service {
            Some(service) => (State::Ok, format!("none: straight to {service}"), limits(lookup)),
            None => said(State::Failed, format!("{} is no Service port", lookup.destination.asked)),
        };
    }
    let is_it = route.object.as_deref() == Some(object);
    let matches = if is_it { format!(" ({})", route.matches) } else { String::new() };
    let state = if route.depends { State::Warning } else { State::Ok };
    let mut details = if is_it { limits(lookup) } else { Vec::new() };
    if route.depends {
        details.push("whether it is this rule depends on headers or query".to_owned());
    }
    (state, format!("{object}{matches}"), details)
}

/// Times and retries, on one line.
fn limits(lookup: &Lookup) -> Vec<String> {
    let route = &lookup.route;
    let time = |limit: Option<u64>| limit.map_or("none".to_owned(), |ms| format!("{ms} ms"));
    let retries = match route.retries {
        0 => "no retries but of what surely did not arrive".to_owned(),
        some => format!("{some} retries"),
    };
    let (all, one) = (time(route.request_timeout_ms), time(route.try_timeout_ms));
    vec![format!("time limit {all}, of one attempt {one}; {retries}")]
}

fn backends(facts: &Facts) -> Said {
    let mut details = Vec::new();
    let backends = facts.lookup.as_ref().map_or(&[][..], |lookup| &lookup.backends);
    let total: u32 = backends.iter().map(|backend| backend.weight).sum();
    let mut state = State::Ok;
    for backend in backends {
        let (line, is_well) = backend_line(backend, total);
        if !is_well {
            state = State::Failed;
        }
        details.push(line);
    }
    let Some(out) = facts.outbound.as_ref().filter(|out| !out.backend.is_empty()) else {
        return match (backends.is_empty(), details.len()) {
            (true, _) => said(State::Unknown, "none was chosen"),
            (false, 1) => (state, details.remove(0), details),
            (false, _) => (state, format!("{} of them", details.len()), details),
        };
    };
    let (ready, all) = (out.endpoints_ready, out.endpoints_all);
    let text = format!("{} → {ready} of {all} endpoints usable", out.backend);
    let left_out = out.endpoints.iter().filter(|one| one.state != "ready");
    details.extend(left_out.map(|one| {
        let left = match one.ejected_for_s {
            0 => String::new(),
            seconds => format!(" for {seconds} s more"),
        };
        format!("{} {} {}{left}", one.workload, one.address, one.state)
    }));
    if backends.len() == 1 && state == State::Ok {
        details.remove(0);
    }
    let state = match (ready, ready == all) {
        (0, _) => State::Failed,
        (_, true) => state,
        (_, false) => State::Warning,
    };
    (state, text, details)
}

fn backend_line(backend: &Backend, total: u32) -> (String, bool) {
    let share = u64::from(backend.weight) * 100 / u64::from(total.max(1));
    if let Some(why) = &backend.invalid {
        return (format!("{share} % to nobody: {why}"), false);
    }
    let line = format!("{share} % to {}, {} endpoints", backend.service, backend.endpoints);
    (line, backend.endpoints > 0 || backend.weight == 0)
}

fn identity(facts: &Facts) -> Said {
    let door = facts.door();
    let tls = [
        "tls_certificate_error",
        "tls_protocol_error",
        "identity_unavailable",
        "identity_denied",
        "peer_denied",
    ];
    if let Some(out) = &facts.outbound {
        if tls.contains(&out.error.as_str()) {
            return said(State::Failed, out.detail.clone());
        }
        if out.attempts.is_empty() {
            return said(State::Unknown, format!("{} called nobody", short(&out.identity)));
        }
        let (from, to) = (short(&out.identity), short(&out.peer_identity));
        if !out.peer_identity.is_empty() {
            return said(State::Ok, format!("{from} → {to}, mutual TLS"));
        }
        let strict = door.is_some_and(|door| door.mtls == "STRICT");
        let state = if strict || facts.refusal.is_some() { State::Failed } else { State::Warning };
        return said(state, format!("{from} → {}, in plaintext", out.peer_address));
    }
    if let Some(inbound) = &facts.inbound {
        let (from, to) = (short(&inbound.peer_identity), short(&inbound.identity));
        return match inbound.peer_identity.is_empty() {
            true => said(
                State::Warning,
                format!("nobody ({}) → {to}, in plaintext", inbound.peer_address),
            ),
            false => said(State::Ok, format!("{from} → {to}, mutual TLS")),
        };
    }
    let source = facts.lookup.as_ref().and_then(|lookup| lookup.source.first());
    match (source, door) {
        (Some(source), Some(door)) => {
            let text =
                format!("{} → {}, {}", short(&source.identity), short(&door.identity), door.mtls);
            let refused = door.mtls == "STRICT" && !source.meshed;
            said(if refused { State::Failed } else { State::Ok }, text)
        }
        _ => said(State::Unknown, "not known"),
    }
}

/// `shop/gateway`.
pub(super) fn short(identity: &str) -> String {
    if identity.is_empty() { "nobody".to_owned() } else { identity::short(identity) }
}

fn policy(facts: &Facts) -> Said {
    let inbound = facts.inbound.as_ref();
    if let Some(inbound) = inbound.filter(|one| one.error == "http_request_denied") {
        let by = match inbound.denied_by.as_str() {
            "" | "none" => "no rule allows it".to_owned(),
            rule => format!("denied by {rule}"),
        };
        return (State::Failed, by, vec![inbound.detail.clone()]);
    }
    if let Some(inbound) = inbound.filter(|one| one.error == "rate_limited") {
        return (
            State::Failed,
            format!("rate limit of {}", inbound.object),
            vec![inbound.detail.clone()],
        );
    }
    let reported = facts.outbound.as_ref().filter(|out| out.error.is_empty());
    if let Some(out) = reported
        .filter(|out| ["http_request_denied", "rate_limited"].contains(&out.reported.as_str()))
    {
        return said(State::Failed, out.reported_detail.clone());
    }
    let Some(door) = facts.door() else { return said(State::Unknown, "not known") };
    by_model(door)
}

fn by_model(door: &Door) -> Said {
    let why = door.why.clone().unwrap_or_default();
    let more = door.rate_limited_by.iter();
    let more: Vec<String> =
        more.map(|by| format!("{by} limits how many requests come in")).collect();
    match door.verdict.as_deref() {
        Some("allowed") => (State::Ok, why, more),
        Some("denied") => (State::Failed, why, more),
        Some(_) => (State::Warning, why, more),
        None => {
            said(State::Unknown, format!("{} has no sidecar: nothing is enforced", door.workload))
        }
    }
}

fn attempts(facts: &Facts) -> Said {
    let Some(out) = &facts.outbound else {
        return match &facts.inbound {
            Some(inbound) if !inbound.attempts.is_empty() => {
                said(State::Ok, format!("handed to the application of {}", inbound.workload))
            }
            Some(inbound) => said(
                State::Unknown,
                format!("not handed to the application of {}", inbound.workload),
            ),
            None => said(State::Unknown, "none is remembered"),
        };
    };
    let details: Vec<String> = out.attempts.iter().map(|one| attempt(one, out)).collect();
    let stopped = match out.stopped.as_str() {
        "" => "",
        "attempts" => "; as often as the policy says",
        "further_on" => "; it was tried often enough further on",
        "body" => "; its body was too large to be kept for another",
        "asked_not_to" => "; the other side asked for no other",
        "time" => "; its time did not suffice for another",
        "retry_limit" => "; no other, for the limit of retries was reached",
        "retry_budget" => "; no other, for the retry budget was spent",
        _ => "; no other",
    };
    let state = if out.failed() { State::Failed } else { State::Ok };
    let text = match details.len() {
        0 => "none: it was not sent".to_owned(),
        count => format!("{count}{stopped}"),
    };
    (state, text, details)
}

fn attempt(one: &Attempt, out: &Entry) -> String {
    let place = if one.workload.is_empty() { one.endpoint.as_str() } else { one.workload.as_str() };
    let ended = match (one.status, one.error.as_str()) {
        (_, "downstream_closed") => "given up: the caller went away".to_owned(),
        (0, "") => out.error.clone(),
        (status, "") => status.to_string(),
        (_, error) => error.to_owned(),
    };
    format!("{place}: {ended} after {}", span(one.took_us))
}

/// `4.1 ms`.
fn span(us: u64) -> String {
    format!("{}.{} ms", us / 1000, us % 1000 / 100)
}

fn outcome(facts: &Facts) -> Said {
    let Some(entry) = facts.entry() else {
        return said(State::Unknown, "no such request failed or was slow lately");
    };
    let status = match (entry.grpc_status, entry.status) {
        (Some(code), _) if code > 0 => format!("grpc-status {code}"),
        (_, 0) if entry.opaque => "connection refused".to_owned(),
        (_, 0) => "no answer".to_owned(),
        (_, status) => status.to_string(),
    };
    let token = if entry.error.is_empty() { &entry.reported } else { &entry.error };
    let why = match token.as_str() {
        "" if entry.failed() => ", the application's own".to_owned(),
        "" => String::new(),
        token => format!(", {token}"),
    };
    let state = if entry.failed() { State::Failed } else { State::Warning };
    let fallback = if entry.fallback { ", answered with the policy's fallback" } else { "" };
    said(state, format!("{status}{why}{fallback}, after {}", span(entry.total_us)))
}

//! The verdict: from the facts of one request to what it failed of, whose fault that is, which object, and what to do. Pure; tested
//! as a table, and by real meshes in `tests/why`.
//!
//! Order: what explains other things goes first. A configuration that is out of date explains a dead endpoint, a spent budget
//! explains why nothing was tried again; then what the receiving sidecar says ([`receiver`]), for it was nearer; then what
//! the caller's says ([`caller`]); without either it is the application's own answer. Of a request that nobody remembers only the
//! model can speak ([`model`]).

mod caller;
mod fault;
mod model;
mod receiver;

use super::facts::{Entry, Facts, Lookup};

pub(super) use fault::{Fault, Whose};

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Diagnosis {
    pub(super) fault: Fault,
    pub(super) whose: Whose,
    /// `HTTPRoute/shop/payment#0`, or the workload.
    pub(super) object: Option<String>,
    /// One sentence without a full stop.
    pub(super) summary: String,
    /// What to do: it names a command or a field.
    pub(super) suggestion: String,
}

impl Diagnosis {
    fn new(
        fault: Fault,
        object: impl Into<Option<String>>,
        summary: impl Into<String>,
        suggestion: impl Into<String>,
    ) -> Self {
        let object = object.into().filter(|object| !object.is_empty());
        let (summary, suggestion) = (summary.into(), suggestion.into());
        Self { fault, whose: fault.whose(), object, summary, suggestion }
    }
}

/// Decides.
pub(super) fn diagnose(facts: &Facts) -> Diagnosis {
    let Some(entry) = facts.entry() else { return model::foresee(facts) };
    if !entry.failed() && facts.inbound.as_ref().is_none_or(|inbound| !inbound.failed()) {
        return slow(facts, entry);
    }
    let explained = facts.outbound.as_ref().and_then(|out| explains(facts, out));
    let received = || receiver::said(facts);
    let called = || facts.outbound.as_ref().and_then(|out| caller::said(facts, out));
    explained.or_else(received).or_else(called).unwrap_or_else(|| answered(facts, entry))
}

/// What explains whatever else is to be seen.
fn explains(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    if let Some(stale) = stale(facts, out) {
        return Some(stale);
    }
    let lookup = facts.lookup.as_ref();
    let policy = lookup.and_then(|lookup| lookup.policy.as_ref());
    let object = policy.map(|policy| policy.object.clone());
    match out.stopped.as_str() {
        "retry_budget" => {
            let percent = policy.and_then(|policy| policy.budget_percent).unwrap_or(20);
            let floor = policy.and_then(|policy| policy.budget_min_per_second).unwrap_or(10);
            let what = last_words(out);
            let summary = format!(
                "the request would have been tried again, but the retry budget ({percent} % of requests, and {floor} a second) was spent; what failed is {what}"
            );
            let try_this = "mend what fails first: `weft why` of a request without retries left; the budget is `retries.budget` of the TrafficPolicy";
            return Some(Diagnosis::new(Fault::RetryBudgetEmpty, object, summary, try_this));
        }
        "retry_limit" => {
            let summary = "the request would have been tried again, but as many retries as `limits.retries` allows were under way";
            let try_this =
                "mend what fails first; the limit is `limits.retries` of the TrafficPolicy";
            return Some(Diagnosis::new(Fault::RetryBudgetEmpty, object, summary, try_this));
        }
        _ => {}
    }
    if out.all_ejected() {
        let all = out.endpoints.len();
        let object = backend_object(lookup, out);
        let summary = format!(
            "all {all} endpoints of {} are ejected because they kept failing, so the request went to one of them all the same: {}",
            out.backend,
            last_words(out)
        );
        let try_this = format!(
            "look at the application of {}; `weft proxy-config endpoints {}` shows who comes back when; what ejects is `outlierDetection` of the TrafficPolicy",
            out.last_workload(),
            out.workload
        );
        return Some(Diagnosis::new(Fault::AllEjected, object, summary, try_this));
    }
    None
}

/// The caller's sidecar went by what is true no longer.
fn stale(facts: &Facts, out: &Entry) -> Option<Diagnosis> {
    let lookup = facts.lookup.as_ref()?;
    let party = lookup.source.iter().find(|party| party.workload == out.workload)?;
    let sidecar = &party.sidecar;
    let cut_off = out.out_of_touch_s > 0 || sidecar.stale;
    if !cut_off && sidecar.rejected.is_empty() {
        return None;
    }
    let place = &out.peer_address;
    let moved = !place.is_empty() && lookup.doors.iter().all(|door| door.place() != *place);
    let there_are = out.endpoints_all == 0 && !lookup.doors.is_empty();
    let none = out.error == "destination_unavailable" && there_are;
    let route = lookup.route.object.as_deref().unwrap_or_default();
    let rerouted = !route.is_empty() && out.route != route;
    let unknown = ["route_not_found", "proxy_configuration_error"].contains(&out.error.as_str());
    if !(moved || none || unknown && (rerouted || lookup.destination.service.is_some())) {
        return None;
    }
    let why = match (sidecar.rejected.first(), out.out_of_touch_s) {
        (Some(rejected), _) => format!("it refused a newer one: {rejected}"),
        (None, 0) => "it has not heard from the control plane since it started".to_owned(),
        (None, seconds) => format!("it had not heard from the control plane for {seconds} s"),
    };
    let what = match (moved, none) {
        (true, _) => format!("it called {place}, which is no endpoint of {} any more", out.service),
        (false, true) => format!("it knew no endpoint of {}, and there are some", out.service),
        (false, false) => format!("it knew no rule for the request, and there is {route}"),
    };
    let summary =
        format!("the sidecar of {} went by an old configuration: {what}; {why}", out.workload);
    let try_this = "`weft proxy-status` shows who is out of step; `weft check` why the control plane is not reached";
    let object = format!("sidecar of {}", out.workload);
    Some(Diagnosis::new(Fault::StaleConfiguration, object, summary, try_this))
}

/// The application answered, and not well.
fn answered(facts: &Facts, entry: &Entry) -> Diagnosis {
    let status = status(entry);
    let workload = application(facts, entry);
    if entry.status == 0 {
        let summary = format!("the request ended without an answer: {}", last_words(entry));
        let try_this = format!("look at the log of the sidecar of {}", entry.workload);
        return Diagnosis::new(Fault::Internal, workload, summary, try_this);
    }
    let tries = match entry.attempts.len() {
        0 | 1 => String::new(),
        tries => format!(" at the last of {tries} attempts"),
    };
    let summary = format!("the application of {workload} answered {status} by itself{tries}");
    let try_this =
        format!("look at the application's own log of {workload}: the mesh handed on what it said");
    Diagnosis::new(Fault::ApplicationError, workload, summary, try_this)
}

fn slow(facts: &Facts, entry: &Entry) -> Diagnosis {
    let workload = application(facts, entry);
    let ms = |us: u64| us / 1000;
    let (waited, connect) = (ms(entry.first_byte_us), ms(entry.connect_us));
    if connect * 2 > waited {
        let summary = format!(
            "the request was slow, not failed: of {waited} ms it took {connect} ms to have a connection"
        );
        let try_this =
            "`limits.connections` of the TrafficPolicy, and what the endpoint's machine has to do";
        return Diagnosis::new(Fault::Slow, workload, summary, try_this);
    }
    let summary = format!(
        "the request was slow, not failed: the application of {workload} took {waited} ms to answer"
    );
    let try_this = format!("its trace shows where the time went: {}", named_trace(entry));
    Diagnosis::new(Fault::Slow, workload, summary, try_this)
}

fn named_trace(entry: &Entry) -> String {
    match entry.trace_id.as_str() {
        "" => "the request had none".to_owned(),
        id => format!("trace {id}"),
    }
}

/// Whose application it is that was called.
fn application(facts: &Facts, entry: &Entry) -> String {
    let inbound = facts.inbound.as_ref().map(|inbound| inbound.workload.as_str());
    let name = match inbound {
        Some(name) => name,
        None if entry.is_outbound() => entry.last_workload(),
        None => &entry.workload,
    };
    if name.is_empty() { entry.service.clone() } else { name.to_owned() }
}

/// `503`, or in gRPC's words.
fn status(entry: &Entry) -> String {
    match entry.grpc_status {
        Some(code) if code > 0 => format!("grpc-status {code}"),
        _ => entry.status.to_string(),
    }
}

/// How the last attempt ended.
fn last_words(entry: &Entry) -> String {
    match (entry.error.as_str(), entry.reported.as_str()) {
        ("", "") => format!("an answer of {} by the application", status(entry)),
        ("", said) => format!("{said}: {}", entry.reported_detail),
        (token, _) => format!("{token}: {}", entry.detail),
    }
}

/// The Service behind a request, as an object.
fn backend_object(lookup: Option<&Lookup>, out: &Entry) -> Option<String> {
    let lookup = lookup?;
    let named = lookup.backends.iter().find(|backend| backend.service == out.backend);
    let only = || lookup.backends.first().filter(|_| lookup.backends.len() == 1);
    let found = named.or_else(only).and_then(|backend| backend.object.clone());
    found.or_else(|| lookup.destination.object.clone())
}

#[cfg(test)]
mod tests;

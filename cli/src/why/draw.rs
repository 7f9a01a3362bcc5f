//! The verdict for people, and for programs. Pure.

use serde::Serialize;

use super::checks::{Check, State, short};
use super::diagnosis::{Diagnosis, Fault};
use super::facts::{Entry, Facts, Silent};
use crate::admin::Finding;
use crate::moment::Moment;
use crate::output::{BAD, FAINT, GOOD, STRONG, WARN, styled};
use crate::table::{Align, Cell, Table};

/// Bound: lines of a list.
const MAX_LISTED: usize = 40;

/// Everything that is said.
#[derive(Debug)]
pub(super) struct Explained {
    pub(super) facts: Facts,
    /// From the first caller to who was called.
    pub(super) trail: Vec<String>,
    pub(super) checks: Vec<Check>,
    pub(super) diagnosis: Diagnosis,
    pub(super) silent: Vec<Silent>,
}

/// The same for programs: fields are added, never renamed or removed.
#[derive(Serialize)]
struct Json<'a> {
    schema_version: u32,
    fault: &'static str,
    whose: &'static str,
    object: Option<&'a str>,
    summary: &'a str,
    suggestion: &'a str,
    trail: &'a [String],
    checks: &'a [Check],
    /// As the caller's sidecar saw it, and as the receiver's.
    outbound: Option<&'a Entry>,
    inbound: Option<&'a Entry>,
    /// A connection that the receiver's sidecar refused then.
    refusal: Option<&'a Entry>,
    findings: &'a [Finding],
    silent: &'a [Silent],
}

impl Explained {
    /// For programs.
    pub(super) fn to_json(&self) -> serde_json::Result<serde_json::Value> {
        let Self { facts, trail, checks, diagnosis, silent } = self;
        serde_json::to_value(Json {
            schema_version: 1,
            fault: diagnosis.fault.as_str(),
            whose: diagnosis.whose.as_str(),
            object: diagnosis.object.as_deref(),
            summary: &diagnosis.summary,
            suggestion: &diagnosis.suggestion,
            trail,
            checks,
            outbound: facts.outbound.as_ref(),
            inbound: facts.inbound.as_ref(),
            refusal: facts.refusal.as_ref(),
            findings: facts.lookup.as_ref().map_or(&[], |lookup| &lookup.findings),
            silent,
        })
    }

    /// For people.
    pub(super) fn draw(&self) -> String {
        let mut lines = vec![self.title()];
        let width = self.checks.iter().map(|check| check.name.len()).max().unwrap_or(0);
        for check in &self.checks {
            let Check { number, name, state, text, details } = check;
            lines.push(format!("  {number} {name:width$}  {} {text}", mark(*state)));
            let indent = " ".repeat(width + 8);
            lines.extend(details.iter().map(|more| format!("{indent}{}", styled(FAINT, more))));
        }
        lines.push(String::new());
        lines.extend(self.verdict());
        let findings = self.facts.lookup.as_ref().map_or(&[][..], |lookup| &lookup.findings);
        lines.extend(findings.iter().map(crate::analyze::describe));
        lines.extend(
            self.silent
                .iter()
                .map(|one| format!("{} {}: {}", styled(WARN, "‼"), one.workload, one.why)),
        );
        lines.join("\n")
    }

    fn title(&self) -> String {
        let trail = styled(STRONG, &self.trail.join(" → "));
        let Some(entry) = self.facts.entry() else { return trail };
        let what = match entry.opaque {
            true => "opaque connection".to_owned(),
            false => format!("{} {}", entry.method, entry.path),
        };
        let at = Moment::at(entry.at_ms / 1000).shown();
        let id = match entry.request_id.as_str() {
            "" => String::new(),
            id => format!("  {}", styled(FAINT, id)),
        };
        format!("{trail}  {what}  {at}{id}")
    }

    fn verdict(&self) -> Vec<String> {
        let Diagnosis { fault, whose, object, summary, suggestion } = &self.diagnosis;
        let style = match fault {
            Fault::Nothing => GOOD,
            Fault::Slow => WARN,
            _ => BAD,
        };
        let about = object.as_ref().map_or_else(String::new, |object| format!("  {object}"));
        let head = format!("{}{about}  ({})", styled(style, fault.as_str()), whose.in_words());
        vec![head, format!("  {summary}."), format!("  try: {suggestion}")]
    }
}

fn mark(state: State) -> String {
    match state {
        State::Ok => styled(GOOD, "√"),
        State::Warning => styled(WARN, "‼"),
        State::Failed => styled(BAD, "×"),
        State::Unknown => styled(FAINT, "–"),
    }
}

/// What failed lately, newest first.
pub(super) fn list(entries: &[Entry]) -> String {
    if entries.is_empty() {
        return "Nothing failed or was slow in this time.".to_owned();
    }
    let mut table = Table::new(&[
        ("TIME", Align::Left),
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("REQUEST", Align::Left),
        ("STATUS", Align::Left),
        ("TOOK", Align::Right),
        ("ID", Align::Left),
    ]);
    for entry in entries.iter().take(MAX_LISTED) {
        table.push(row(entry));
    }
    let mut text = table.render();
    if entries.len() > MAX_LISTED {
        let more = format!("\n{} more: -o json", entries.len() - MAX_LISTED);
        text.push_str(&styled(FAINT, &more));
    }
    text
}

fn row(entry: &Entry) -> Vec<Cell> {
    let (from, to) = match entry.is_outbound() {
        true => (entry.workload.clone(), entry.service.clone()),
        false if entry.peer_identity.is_empty() => {
            (entry.peer_address.clone(), entry.workload.clone())
        }
        false => (short(&entry.peer_identity), entry.workload.clone()),
    };
    let token = if entry.error.is_empty() { &entry.reported } else { &entry.error };
    let status = match entry.status {
        0 => token.clone(),
        status if token.is_empty() => status.to_string(),
        status => format!("{status} {token}"),
    };
    let style = if entry.failed() { BAD } else { WARN };
    let what = match entry.opaque {
        true => "(connection)".to_owned(),
        false => format!("{} {}", entry.method, entry.path),
    };
    vec![
        Moment::at(entry.at_ms / 1000).shown().into(),
        from.into(),
        to.into(),
        what.into(),
        Cell::new(status, style),
        format!("{} ms", entry.total_us / 1000).into(),
        Cell::new(entry.request_id.as_str(), FAINT),
    ]
}

#[cfg(test)]
mod tests;

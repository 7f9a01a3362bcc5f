//! Texts of conditions: what is wrong, in which field, how to mend it.

use super::{Facts, generation};
use crate::finding::{Code, Finding};

/// Bound, bytes. The API allows 32 KiB; nobody reads more than this in a terminal.
const MAX: usize = 1024;

/// All findings, each with its field and its remedy; what is beyond the bound is counted.
pub(super) fn list<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> String {
    let mut text = String::new();
    let mut left_out = 0;
    for finding in findings {
        let one = one(finding);
        if text.is_empty() {
            text = one;
        } else if text.len() + one.len() < MAX {
            text.push_str("; ");
            text.push_str(&one);
        } else {
            left_out += 1;
        }
    }
    if left_out > 0 {
        text = format!("{}; and {left_out} more", clip(&text, MAX - 32));
    }
    bounded(text)
}

/// No longer than the bound.
pub(super) fn bounded(text: String) -> String {
    if text.len() <= MAX { text } else { format!("{} …", clip(&text, MAX - 4)) }
}

/// `the route is in force`, with what is to be said of it.
pub(super) fn in_force<'a>(what: &str, said: impl Iterator<Item = &'a Finding>) -> String {
    let said = list(said);
    let text = format!("{what} is in force");
    if said.is_empty() { text } else { bounded(format!("{text}; {said}")) }
}

/// What counts in place of a generation that is refused. Some findings refuse a part and leave the rest in force.
pub(super) fn what_stays(facts: Facts<'_>) -> String {
    let unread =
        |finding: &Finding| matches!(finding.code, Code::InvalidObject | Code::UnsupportedValue);
    if !facts.findings.iter().any(unread) {
        return String::new();
    }
    match earlier(facts) {
        Some(earlier) => format!("; the last good generation, {earlier}, stays in force"),
        None => "; no earlier generation is in force".to_owned(),
    }
}

/// Generation in force if it is not the newest.
pub(super) fn earlier(facts: Facts<'_>) -> Option<i64> {
    let earlier = i64::try_from(facts.in_force?.generation).ok()?;
    (earlier != generation(facts.object)).then_some(earlier)
}

fn one(finding: &Finding) -> String {
    let mut text = String::new();
    if !finding.field.is_empty() {
        text.push_str(&format!("{}: ", finding.field));
    }
    text.push_str(&finding.message);
    if !finding.hint.is_empty() {
        text.push_str(&format!(" ({})", finding.hint));
    }
    text
}

fn clip(text: &str, bytes: usize) -> &str {
    &text[..text.floor_char_boundary(bytes)]
}

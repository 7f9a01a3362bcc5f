//! Roots and whoever is not ready, for people. Pure.

use super::ask::{Obstacle, Root, Status, Step};
use crate::moment::{Moment, shown_span};
use crate::output::{BAD, FAINT, GOOD, WARN, styled};
use crate::table::{Align, Cell, Table};

/// Bound: lines of those who are not ready.
const LISTED: usize = 20;
/// Bound: names in one line.
const NAMED: usize = 5;
/// Digits of a fingerprint that tell roots apart.
const DIGITS: usize = 16;

/// `weft trust status`.
pub(super) fn status(status: &Status) -> String {
    let mut table = Table::new(&[
        ("ROOT", Align::Left),
        ("STATE", Align::Left),
        ("BELIEVED BY", Align::Right),
        ("CERTIFICATES", Align::Right),
        ("EXPIRES", Align::Left),
        ("NAME", Align::Left),
    ]);
    let now = Moment::now();
    for root in &status.roots {
        table.push(vec![
            short(&root.fingerprint).into(),
            state(root),
            format!("{}/{}", root.believed_by, status.connected).into(),
            root.leaves.to_string().into(),
            life(root, now),
            root.name.as_str().into(),
        ]);
    }
    let mut text = table.render();
    if status.connected < status.sidecars {
        let away = status.sidecars - status.connected;
        let line = format!("\n{away} of {} sidecars are not connected.", status.sidecars);
        text.push_str(&styled(FAINT, &line));
    }
    if let Some(issuer) = &status.issuer {
        text.push_str(&format!("\nissued by {}", issuer.source));
        if let Some(fault) = &issuer.fault {
            let mending = issuer.mending.as_deref().unwrap_or_default();
            text.push_str(&styled(BAD, &format!(", which cannot be used: {fault}; {mending}")));
        }
    }
    text.push_str(&format!("\n{}", next(status)));
    for obstacle in status.obstacles.iter().take(LISTED) {
        text.push_str(&format!("\n{} {}", styled(WARN, "!"), one(obstacle)));
    }
    if let Some(more @ 1..) = status.obstacles.len().checked_sub(LISTED) {
        text.push_str(&format!("\n{} and {more} more; -o json has all", styled(WARN, "!")));
    }
    text
}

fn next(status: &Status) -> String {
    let what = match status.next {
        Step::Stage => return styled(GOOD, "√ no rotation is under way"),
        Step::Issue => "issue (the staged root signs)",
        Step::Retire => "retire (the old root is believed no more)",
    };
    match status.obstacles.len() {
        0 => format!("next: {what}; everybody is ready"),
        count => format!("next: {what}; {count} not ready:"),
    }
}

fn state(root: &Root) -> Cell {
    let style = match root.state.as_str() {
        "issuing" => GOOD,
        "staged" => WARN,
        _ => FAINT,
    };
    let from = if root.external { " (from outside)" } else { "" };
    Cell::new(format!("{}{from}", root.state), style)
}

fn life(root: &Root, now: Moment) -> Cell {
    match Moment::read(&root.not_after).map(|end| end.since(now)) {
        Some(Some(left)) => format!("in {}", shown_span(left)).into(),
        Some(None) => Cell::new("expired", BAD),
        None => Cell::new("-", FAINT),
    }
}

/// The first digits of a fingerprint.
pub(super) fn short(fingerprint: &str) -> &str {
    fingerprint.get(..DIGITS).unwrap_or(fingerprint)
}

fn one(obstacle: &Obstacle) -> String {
    let Obstacle { who, why, until } = obstacle;
    let until = until.as_ref().map(|until| format!(", until {until} at the latest"));
    format!("{who} {why}{}", until.unwrap_or_default())
}

/// Who is not ready, in one line.
pub(super) fn waiting(status: &Status) -> String {
    let named: Vec<String> = status.obstacles.iter().take(NAMED).map(one).collect();
    let more = status.obstacles.len().saturating_sub(NAMED);
    let more = if more > 0 { format!("; and {more} more") } else { String::new() };
    format!("{}{more}", named.join("; "))
}

#[cfg(test)]
mod tests;

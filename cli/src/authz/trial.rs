//! What a trial came to, for people.

use std::time::Duration;

use super::outcome::{Change, Counted, Kind, Outcome, Row, Totals};
use super::reach::caller;
use crate::analyze::{count, describe};
use crate::moment::shown_span;
use crate::output::{BAD, FAINT, GOOD, STRONG, WARN, styled};
use crate::table::{Align, Table};

/// Rows that are shown where not all are asked for.
const MAX_ROWS: usize = 40;

/// All there is to say. `wide`: every row, and those of which nothing changes too.
pub(super) fn draw(outcome: &Outcome, wide: bool) -> String {
    let mut text: Vec<String> = outcome.findings.iter().map(describe).collect();
    if !outcome.evaluated {
        text.push(format!("{}; nothing was tried.", count(&outcome.findings)));
        return text.join("\n");
    }
    text.extend(outcome.changes.iter().map(change));
    if outcome.concerned.is_empty() {
        text.push("Nothing would be another: no sidecar would get other rules.".to_owned());
        return text.join("\n");
    }
    text.extend(table(&outcome.rows, wide));
    text.extend(summary(outcome));
    text.join("\n")
}

fn change(change: &Change) -> String {
    let Change { object, change, selects } = change;
    let line = format!("{} would be {change}", styled(STRONG, object));
    match (selects, change.as_str()) {
        (0, "deleted") => line,
        (0, _) => format!("{line}\n{}", warning("it selects no workload")),
        (1, _) => format!("{line}; it selects 1 workload"),
        (many, _) => format!("{line}; it selects {many} workloads"),
    }
}

fn warning(text: &str) -> String {
    format!("{} {text}", styled(WARN, "‼"))
}

fn table(rows: &[Counted], wide: bool) -> Vec<String> {
    let shown = |counted: &&Counted| wide || counted.row.change != Kind::Same;
    let (all, limit) =
        (rows.iter().filter(shown).count(), if wide { usize::MAX } else { MAX_ROWS });
    if all == 0 {
        return Vec::new();
    }
    let mut table = Table::new(&[
        ("FROM", Align::Left),
        ("TO", Align::Left),
        ("CALL", Align::Left),
        ("COUNT", Align::Right),
        ("NOW", Align::Left),
        ("THEN", Align::Left),
        ("WHY", Align::Left),
    ]);
    for Counted { row, requests } in rows.iter().filter(shown).take(limit) {
        table.push(vec![
            caller(row.from.as_deref()).into(),
            format!("{}:{}", row.to, row.port).into(),
            call(row).into(),
            requests.to_string().into(),
            row.now.verdict.cell(),
            row.then.verdict.cell(),
            row.then.why.as_str().into(),
        ]);
    }
    let mut text = vec![table.render()];
    if all > limit {
        let say = format!("{} more rows: -o wide or -o json", all - limit);
        text.push(styled(FAINT, &say));
    }
    text
}

fn call(row: &Row) -> String {
    match (row.opaque, &row.method, &row.path) {
        (true, ..) => "opaque connection".to_owned(),
        (false, Some(method), Some(path)) => format!("{method} {path}"),
        (false, Some(method), None) => format!("{method} (some path)"),
        (false, None, _) => "(some request)".to_owned(),
    }
}

fn summary(outcome: &Outcome) -> Vec<String> {
    let Totals { requests, newly_denied, may_be_denied, newly_allowed, may_be_allowed, .. } =
        outcome.totals;
    let style = |count: u64, style| if count > 0 { style } else { GOOD };
    let span = shown_span(Duration::from_secs(outcome.since_s));
    let mut text = vec![format!(
        "Of {requests} calls of the last {span}: {}, {newly_allowed} newly allowed.",
        styled(style(newly_denied, BAD), &format!("{newly_denied} newly denied")),
    )];
    if may_be_denied + may_be_allowed > 0 {
        let say = format!(
            "{may_be_denied} may be denied and {may_be_allowed} may be allowed: what was kept of a call does not say. Of headers \
             nothing is kept: apply the rules with `action: AUDIT` first, and see what weft_access_audited_total counts"
        );
        text.push(warning(&say));
    }
    let beyond: u64 = outcome.answered.iter().map(|one| one.beyond).sum();
    if beyond > 0 {
        let say = format!(
            "{beyond} calls are in no figure: the sidecars had no room for so many callers"
        );
        text.push(warning(&say));
    }
    if outcome.left_out > 0 {
        let say = format!("{} calls are counted and in no row", outcome.left_out);
        text.push(styled(FAINT, &say));
    }
    let (answered, concerned) = (outcome.answered.len(), outcome.concerned.len());
    text.push(format!("{answered} of {concerned} sidecars concerned have answered."));
    let silent = outcome.silent.iter();
    text.extend(silent.map(|one| warning(&format!("{}: {}", one.workload, one.why))));
    text
}

#[cfg(test)]
mod tests;

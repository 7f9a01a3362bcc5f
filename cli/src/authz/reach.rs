//! Who can reach what, as a table: callers of whom the same is to be said in one line.

use std::collections::BTreeSet;

use anstyle::Style;
use serde::Deserialize;

use crate::identity;
use crate::output::{BAD, FAINT, GOOD, WARN, styled};
use crate::table::{Align, Cell, Table};

/// Callers that are named in one line.
const MAX_NAMED: usize = 4;

/// The answer, as far as it is looked into.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Reached {
    rows: Vec<Row>,
    #[serde(default)]
    left_out: u64,
    #[serde(default)]
    not_enforced: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Row {
    from: Option<String>,
    to: String,
    port: u16,
    #[serde(default)]
    workloads: Vec<String>,
    verdict: Verdict,
    #[serde(default)]
    why: String,
}

/// May somebody do something?
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub(super) enum Verdict {
    /// He may.
    Allowed,
    /// On what is not known.
    Depends,
    /// He may not.
    Denied,
}

impl Verdict {
    /// In a table.
    pub(super) fn cell(self) -> Cell {
        match self {
            Self::Allowed => Cell::new("allowed", GOOD),
            Self::Depends => Cell::new("depends", WARN),
            Self::Denied => Cell::new("denied", BAD),
        }
    }
}

/// Rows of which all but the caller is the same.
struct Line<'a> {
    first: &'a Row,
    from: Vec<&'a Row>,
}

impl Reached {
    /// Is all of it, and something, allowed?
    pub(super) fn is_allowed(&self) -> bool {
        !self.rows.is_empty() && self.rows.iter().all(|row| row.verdict == Verdict::Allowed)
    }
}

/// The table, and what is to be said besides.
pub(super) fn draw(reached: &Reached, wide: bool) -> String {
    let mut text = match reached.rows.is_empty() {
        true => "Nothing here has a sidecar.".to_owned(),
        false => table(reached, wide).render(),
    };
    if !reached.not_enforced.is_empty() {
        let names = listed(&reached.not_enforced, wide);
        let say = format!("\n‼ no sidecar, so nothing is enforced: {names}");
        text.push_str(&styled(WARN, &say));
    }
    if reached.left_out > 0 {
        let more = reached.left_out;
        text.push_str(&format!("\n{more} more are not shown: ask with --from or --to"));
    }
    text
}

fn table(reached: &Reached, wide: bool) -> Table {
    let mut columns =
        vec![("FROM", Align::Left), ("TO", Align::Left), ("", Align::Left), ("WHY", Align::Left)];
    if wide {
        columns.push(("WORKLOADS", Align::Left));
    }
    let mut table = Table::new(&columns);
    for line in lines(&reached.rows) {
        let Row { to, port, verdict, why, workloads, .. } = line.first;
        let port = match port {
            0 => "other ports".to_owned(),
            port => port.to_string(),
        };
        let of_port = |row: &&Row| same_port(row, line.first);
        let all = reached.rows.iter().filter(of_port).count();
        let mut row = vec![
            who(&line.from, all, wide),
            format!("{to}:{port}").into(),
            verdict.cell(),
            Cell::new(
                why.as_str(),
                if why.starts_with("no rule is") { FAINT } else { Style::new() },
            ),
        ];
        if wide {
            row.push(workloads.join(", ").into());
        }
        table.push(row);
    }
    table
}

fn same_port(one: &Row, other: &Row) -> bool {
    (&one.to, one.port, &one.workloads) == (&other.to, other.port, &other.workloads)
}

/// In the order of the ports, what is allowed first.
fn lines(rows: &[Row]) -> Vec<Line<'_>> {
    let mut lines: Vec<Line<'_>> = Vec::new();
    for row in rows {
        let same = |line: &&mut Line<'_>| {
            let first = line.first;
            same_port(first, row) && (first.verdict, &first.why) == (row.verdict, &row.why)
        };
        match lines.iter_mut().rev().take(64).find(same) {
            Some(line) => line.from.push(row),
            None => lines.push(Line { first: row, from: vec![row] }),
        }
    }
    lines.sort_by_key(|line| {
        let Row { to, port, workloads, verdict, .. } = line.first;
        (to.clone(), *port, workloads.clone(), *verdict)
    });
    lines
}

/// `everybody` are those of all who are asked about.
fn who(from: &[&Row], all: usize, wide: bool) -> Cell {
    if from.len() == all && all > 1 {
        return Cell::new("everybody", Style::new());
    }
    let names: BTreeSet<String> = from.iter().map(|row| caller(row.from.as_deref())).collect();
    let names: Vec<String> = names.into_iter().collect();
    listed(&names, wide).into()
}

/// `shop/gateway`; a name of another form as it is.
pub(super) fn caller(identity: Option<&str>) -> String {
    identity.map_or_else(|| "(no identity)".to_owned(), identity::short)
}

fn listed(names: &[String], all: bool) -> String {
    match names.len().saturating_sub(MAX_NAMED) {
        more if more > 1 && !all => {
            format!("{} and {more} more", names[..MAX_NAMED].join(", "))
        }
        _ => names.join(", "),
    }
}

#[cfg(test)]
mod tests;

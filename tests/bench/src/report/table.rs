//! The report as tables for people; Markdown, so that they can be pasted.

use std::fmt;

use comfy_table::{CellAlignment, Table, presets};

use super::{Idle, Memory, Report, Settings, summary::Row};
use crate::cell::Unit;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { rounds, seconds, .. } = self.settings;
        writeln!(
            f,
            "CPU time of both proxies per request, round trip or connection, in µs, or per GiB, in s; medians over \
             {rounds} × {seconds} s\n"
        )?;
        writeln!(f, "{}\n", self.costs())?;
        writeln!(
            f,
            "Resident memory, MB (10⁶ bytes), idle → right after all cells → 10 s later\n"
        )?;
        writeln!(f, "{}\n", self.memory())?;
        if !self.idle_connections.is_empty() {
            writeln!(f, "Resident memory of a fresh sidecar by idle opaque connection, KiB\n")?;
            writeln!(f, "{}\n", self.idle())?;
        }
        writeln!(f, "mTLS, TLS 1.3: shown of every pair before it was measured\n")?;
        for peer in &self.peers {
            writeln!(f, "{}: {}", peer.peer, peer.version)?;
            for finding in &peer.mtls {
                writeln!(f, "  {}: {}", finding.rule, finding.seen)?;
            }
        }
        Ok(())
    }
}

impl Report {
    fn costs(&self) -> Table {
        let header = [
            "cell",
            "pair",
            "CPU",
            "min–max",
            "× hyper",
            "× envoy",
            "out",
            "in",
            "per s",
            "p50 µs",
            "p99 µs",
            "p50 × hyper",
            "p99 × hyper",
            "errors",
        ];
        let mut table = table(&header);
        for row in &self.summary {
            table.add_row(cost(row));
        }
        align(table, 2)
    }

    fn idle(&self) -> Table {
        let mut table = table(&["pair", "connections", "outbound", "inbound", "× envoy"]);
        let envoy = self.idle_connections.iter().find(|idle| idle.peer == "envoy").map(Idle::both);
        for idle in &self.idle_connections {
            table.add_row([
                idle.peer.to_owned(),
                idle.connections.to_string(),
                format!("{:.1}", idle.outbound_kib),
                format!("{:.1}", idle.inbound_kib),
                envoy.map_or("–".to_owned(), |envoy| format!("{:.2}", idle.both() / envoy)),
            ]);
        }
        align(table, 1)
    }

    fn memory(&self) -> Table {
        let mut table = table(&["pair", "outbound", "inbound"]);
        for peer in &self.peers {
            let after = peer.after.unwrap_or(peer.idle);
            let rested = peer.rested.unwrap_or(after);
            let change = |of: fn(&Memory) -> u64| {
                let megabytes = |memory: &Memory| of(memory) as f64 / 1e6;
                let (idle, after, rested) = (&peer.idle, &after, &rested);
                format!(
                    "{:.1} → {:.1} → {:.1}",
                    megabytes(idle),
                    megabytes(after),
                    megabytes(rested)
                )
            };
            table.add_row([
                peer.peer.to_owned(),
                change(|memory| memory.outbound),
                change(|memory| memory.inbound),
            ]);
        }
        align(table, 1)
    }
}

fn cost(row: &Row) -> Vec<String> {
    // Of a transfer of bulk it would say nothing.
    let latency = |value: f64| match row.unit {
        Unit::Operation => format!("{value:.0}"),
        Unit::Gibibyte => "–".to_owned(),
    };
    let ratio = |value: Option<f64>| value.map_or("–".to_owned(), |value| format!("{value:.2}"));
    vec![
        row.cell.to_owned(),
        row.peer.to_owned(),
        row.unit.cpu(row.cpu_us),
        format!("{}–{}", row.unit.number(row.cpu_us_min), row.unit.number(row.cpu_us_max)),
        ratio(row.cpu_by_hyper),
        ratio(row.cpu_by_envoy),
        row.unit.number(row.outbound_us),
        row.unit.number(row.inbound_us),
        row.unit.amount(row.per_second),
        latency(row.p50_us),
        latency(row.p99_us),
        ratio(row.p50_by_hyper),
        ratio(row.p99_by_hyper),
        row.errors.to_string(),
    ]
}

fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_preset(presets::ASCII_MARKDOWN).set_header(header);
    table
}

/// Figures to the right, behind the first `names` columns.
fn align(mut table: Table, names: usize) -> Table {
    for column in table.column_iter_mut().skip(names) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}

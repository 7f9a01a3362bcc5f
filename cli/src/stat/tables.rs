//! The tables of `weft stat`, drawn from the control plane's answer. Pure; the demo's screen uses them too.

use anstyle::Style;

use crate::admin::{Edge, Route, Workload};
use crate::output::{BAD, FAINT, GOOD, WARN};
use crate::table::{Align, Cell, Table};

/// Below this share of successes a line is marked.
const FAILING: f64 = 0.95;

/// One line a workload.
pub(crate) fn workloads(workloads: &[Workload], wide: bool) -> Table {
    let mut columns =
        vec![("NAME", Align::Left), ("VERSION", Align::Left), ("MESHED", Align::Left)];
    columns.extend(GOLDEN);
    columns.extend([("mTLS", Align::Right), ("", Align::Left)]);
    if wide {
        columns.extend([("NAMESPACE", Align::Left), ("IDENTITY", Align::Left)]);
    }
    let mut table = Table::new(&columns);
    for workload in workloads {
        let meshed = if workload.meshed { Cell::new("yes", GOOD) } else { Cell::new("no", BAD) };
        let mut row: Vec<Cell> = vec![
            workload.name.as_str().into(),
            workload.version.as_deref().unwrap_or("-").into(),
            meshed,
        ];
        row.extend(golden(&workload.golden));
        row.push(mtls(workload.mtls_share, true));
        row.push(mark(workload.golden.success_rate));
        if wide {
            row.push(workload.namespace.as_str().into());
            row.push(workload.identity.as_deref().unwrap_or("-").into());
        }
        table.push(row);
    }
    table
}

/// One line a caller and service.
pub(crate) fn edges(edges: &[Edge], wide: bool) -> Table {
    let mut columns = vec![("SOURCE", Align::Left), ("DESTINATION", Align::Left)];
    columns.extend(GOLDEN);
    columns.extend([("mTLS", Align::Right), ("", Align::Left)]);
    if wide {
        columns.push(("NAMESPACE", Align::Left));
    }
    let mut table = Table::new(&columns);
    for edge in edges {
        let source = if edge.mesh { Style::new() } else { FAINT };
        let mut row: Vec<Cell> =
            vec![Cell::new(edge.source.as_str(), source), edge.destination.as_str().into()];
        row.extend(golden(&edge.golden));
        row.push(mtls(edge.mtls_share, edge.mesh));
        row.push(mark(edge.golden.success_rate));
        if wide {
            row.push(edge.namespace.as_str().into());
        }
        table.push(row);
    }
    table
}

/// One line a route and backend.
pub(crate) fn routes(routes: &[Route]) -> Table {
    let mut columns = vec![
        ("SOURCE", Align::Left),
        ("DESTINATION", Align::Left),
        ("ROUTE", Align::Left),
        ("BACKEND", Align::Left),
    ];
    columns.extend(GOLDEN);
    columns.push(("", Align::Left));
    let mut table = Table::new(&columns);
    for route in routes {
        let mut row: Vec<Cell> = vec![
            route.source.as_str().into(),
            route.destination.as_str().into(),
            route.route.as_str().into(),
            route.backend.as_str().into(),
        ];
        row.extend(golden(&route.golden));
        row.push(mark(route.golden.success_rate));
        table.push(row);
    }
    table
}

const GOLDEN: [(&str, Align); 5] = [
    ("SUCCESS", Align::Right),
    ("RPS", Align::Right),
    ("P50", Align::Right),
    ("P99", Align::Right),
    ("RETRIES", Align::Right),
];

fn golden(golden: &crate::admin::Golden) -> [Cell; 5] {
    #[allow(clippy::cast_precision_loss, reason = "counts of requests, far below 2^52")]
    let retries = if golden.requests == 0 {
        "-".to_owned()
    } else {
        percent(golden.retries as f64 / golden.requests as f64)
    };
    [
        success(golden.success_rate),
        format!("{:.1}", golden.rps).into(),
        latency(golden.p50_ms).into(),
        latency(golden.p99_ms).into(),
        retries.into(),
    ]
}

fn success(share: Option<f64>) -> Cell {
    let Some(share) = share else { return Cell::new("-", FAINT) };
    let style = match share {
        share if share >= 0.99 => GOOD,
        share if share >= FAILING => WARN,
        _ => BAD,
    };
    Cell::new(percent(share), style)
}

/// Nothing but plaintext is bad inside the mesh, and all there is from outside.
fn mtls(share: Option<f64>, expected: bool) -> Cell {
    let Some(share) = share else { return Cell::new("-", FAINT) };
    let style = match (share >= 1.0, expected) {
        (true, _) => GOOD,
        (false, true) => WARN,
        (false, false) => FAINT,
    };
    Cell::new(format!("{:.0}%", (share * 100.0).floor()), style)
}

fn mark(share: Option<f64>) -> Cell {
    if share.is_some_and(|share| share < FAILING) {
        Cell::new("◂ failing", BAD)
    } else {
        "".into()
    }
}

/// One decimal, cut rather than rounded: 99.96 % is not 100 %.
fn percent(share: f64) -> String {
    // A share such as 0.85 may be a hair below it in binary.
    let tenths = (share * 1000.0 + 1e-6).floor();
    format!("{:.1}%", tenths / 10.0)
}

fn latency(milliseconds: Option<f64>) -> String {
    match milliseconds {
        None => "-".to_owned(),
        Some(ms) if ms < 10.0 => format!("{ms:.1}ms"),
        Some(ms) if ms < 10_000.0 => format!("{ms:.0}ms"),
        Some(ms) => format!("{:.0}s", ms / 1000.0),
    }
}

//! `weft-bench access`: what a decision about access costs, by the number of rules for the port.
//!
//! Two meshes. In one each rule is about a caller of its own, as where every service names its own; in the other all are
//! about this caller and want a path each, the worst case: the last one allows. `narrow` is once for a connection and
//! change of the rules, `decide` for each request. A second table has what it costs to note what callers ask for.

mod noting;

use std::hint::black_box;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use comfy_table::Table;
use http::HeaderMap;
use weft_certs::SpiffeId;
use weft_policy::{Access, Caller, Condition, Narrowed, Request, Rule};

/// Of `access`.
#[derive(Args, Debug)]
pub(crate) struct Options {
    /// How many rules, in turn
    #[arg(long, value_delimiter = ',', default_values_t = [1, 100, 1000])]
    rules: Vec<usize>,
}

/// A measurement goes on for so long.
const SPAN: Duration = Duration::from_millis(300);
/// Between two looks at the clock.
const BATCH: u32 = 64;

/// Prints a table.
pub(crate) fn run(options: &Options) -> Result<()> {
    let mut table = Table::new();
    table.set_header(["rules", "about", "narrow, ns", "decide, ns"]);
    let id: SpiffeId = "spiffe://bench.test/ns/shop/sa/caller".parse()?;
    let caller = Caller { identity: Some(&id), address: [10, 0, 0, 1].into(), port: 8080 };
    let headers = HeaderMap::new();
    for &count in &options.rules {
        for (about, of_caller) in [("other callers", false), ("this caller", true)] {
            let access = access(count, of_caller);
            let path = format!("/api/v1/resource-{}/item", count - 1);
            let request = Request { method: "GET", path: &path, headers: &headers };
            let narrow = time(|| drop(black_box(Narrowed::new(&access, &caller))));
            let narrowed = Narrowed::new(&access, &caller);
            let decide = time(|| {
                let verdict = narrowed.decide(&access, &caller, Some(black_box(&request)));
                assert!(black_box(verdict).is_allowed());
            });
            table.add_row([
                count.to_string(),
                about.to_owned(),
                format!("{narrow:.0}"),
                format!("{decide:.0}"),
            ]);
        }
    }
    println_table(&table);
    println_table(&noting::table(&id)?);
    Ok(())
}

#[allow(clippy::print_stdout, reason = "it is what the command is for")]
pub(crate) fn println_table(table: &Table) {
    println!("{table}");
}

/// The last rule is about this caller in both.
fn access(count: usize, of_caller: bool) -> Access {
    let rule = |number: usize| {
        let account = match of_caller || number + 1 == count {
            true => "caller".to_owned(),
            false => format!("other-{number}"),
        };
        Rule {
            name: format!("AccessPolicy/shop/p-{number}#0").into(),
            from: Condition::Identity(format!("spiffe://bench.test/ns/shop/sa/{account}")),
            to: Condition::All(vec![
                Condition::Method("GET".to_owned()),
                Condition::PathPrefix(format!("/api/v1/resource-{number}/")),
            ]),
        }
    };
    Access { allow: Some((0..count).map(rule).collect()), ..Access::default() }
}

/// Nanoseconds of one call.
pub(crate) fn time(mut call: impl FnMut()) -> f64 {
    let (start, mut calls) = (Instant::now(), 0_u32);
    while start.elapsed() < SPAN {
        for _ in 0..BATCH {
            call();
        }
        calls = calls.saturating_add(BATCH);
    }
    start.elapsed().as_secs_f64() * 1e9 / f64::from(calls)
}

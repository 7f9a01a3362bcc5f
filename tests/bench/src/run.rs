//! `weft-bench run`: checks every pair, starts all of them, measures them in turns, and reports.

mod options;

use std::io::Write;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::spawn_blocking;

use crate::cell::{self, Cell};
use crate::load::{self, Outcome};
use crate::mtls;
use crate::peer::Peer;
use crate::report::{Idle, Measurement, Memory, PeerReport, Report, Settings};
use crate::site::Site;
use crate::{files, idle};
pub(crate) use options::Options;

/// Between the last start and the reading of idle memory.
const SETTLE: Duration = Duration::from_millis(1500);

/// Between the end of all load and the reading of memory at rest: allocators give memory back with a delay.
const REST: Duration = Duration::from_secs(10);

/// A running pair and what is known of it.
type Entrant = (Peer, PeerReport);

/// Runs to the end, or until somebody asks to stop; children and files go either way.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    let mut terminate = signal(SignalKind::terminate())?;
    tokio::select! {
        result = measure(&options) => result,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
        _ = terminate.recv() => bail!("terminated"),
    }
}

async fn measure(options: &Options) -> Result<ExitCode> {
    files::raise()?;
    let mut site = Site::open(options.programs()?)?;
    if options.keep {
        eprintln!("weft-bench: logs and configuration stay in {}", site.keep().display());
    }
    let mut entrants = start(options, &site).await?;
    for (cell, index) in turns(&options.cells(), &entrants, false) {
        one(&entrants[index].0, cell, options.warm_up()).await?;
    }
    let mut measurements = Vec::new();
    for round in 0..options.rounds() {
        for (cell, index) in turns(&options.cells(), &entrants, round % 2 == 1) {
            let peer = &mut entrants[index].0;
            let outcome = one(peer, cell, options.duration()).await?;
            let measurement = Measurement::new(round, cell, peer.kind, outcome);
            eprintln!("weft-bench: {measurement}");
            measurements.push(measurement);
            // A proxy that died would otherwise only be seen as errors of the load.
            peer.check()?;
            site.check()?;
        }
    }
    for (peer, report) in &mut entrants {
        report.after = Some(Memory::of(peer)?);
    }
    eprintln!("weft-bench: memory at rest, in {REST:?}");
    tokio::time::sleep(REST).await;
    for (peer, report) in &mut entrants {
        report.rested = Some(Memory::of(peer)?);
    }
    // Order: the pairs that were measured are gone before others take memory.
    let reports = entrants.into_iter().map(|(_, report)| report).collect();
    let idle = idle(options, &site).await?;
    let settings = Settings::new(options.rounds(), options.duration());
    finish(options, &Report::new(settings, reports, idle, measurements))
}

/// Checks mTLS of each kind on a pair of its own, then starts the pairs that are measured.
async fn start(options: &Options, site: &Site) -> Result<Vec<Entrant>> {
    let mut checks = Vec::new();
    for kind in options.kinds() {
        eprintln!("weft-bench: {}: mTLS", kind.name());
        let findings = mtls::check(kind, site).await?;
        let broken: Vec<String> = findings
            .iter()
            .filter(|finding| !finding.holds)
            .map(|finding| format!("not so: {}: {}", finding.rule, finding.seen))
            .collect();
        ensure!(broken.is_empty(), "{}\n{}", kind.name(), broken.join("\n"));
        checks.push((kind, findings));
    }
    let mut entrants = Vec::new();
    for (kind, findings) in checks {
        let peer = Peer::start(kind, site, kind.name()).await?;
        entrants.push((peer, findings));
    }
    tokio::time::sleep(SETTLE).await;
    let with_report = |(peer, mtls): (Peer, _)| {
        let idle = Memory::of(&peer)?;
        let report = PeerReport {
            peer: peer.kind.name(),
            version: peer.version.clone(),
            mtls,
            idle,
            after: None,
            rested: None,
        };
        Ok((peer, report))
    };
    entrants.into_iter().map(with_report).collect()
}

/// Memory by idle connection, of every pair in turn.
async fn idle(options: &Options, site: &Site) -> Result<Vec<Idle>> {
    let mut all = Vec::new();
    let Some(connections) = options.idle_connections() else { return Ok(all) };
    for kind in options.kinds() {
        let measured = idle::measure(kind, site, connections).await?;
        if let Some(measured) = measured {
            eprintln!("weft-bench: {}: {measured:.1?}", cell::IDLE);
            all.push(measured);
        }
    }
    Ok(all)
}

/// Every cell with every pair that carries it, all pairs of a cell next to each other; the other way round when
/// `reversed`, so that no pair always follows the same one.
fn turns<'c>(cells: &'c [Cell], entrants: &[Entrant], reversed: bool) -> Vec<(&'c Cell, usize)> {
    let mut turns = Vec::new();
    for cell in cells {
        let carries = |index: &usize| entrants[*index].0.carries(cell.protocol);
        let mut order: Vec<usize> = (0..entrants.len()).filter(carries).collect();
        if reversed {
            order.reverse();
        }
        turns.extend(order.into_iter().map(|index| (cell, index)));
    }
    turns
}

async fn one(peer: &Peer, cell: &Cell, duration: Duration) -> Result<Outcome> {
    let (target, probe, load) = (peer.target(cell.protocol)?, peer.probe(), cell.load);
    let load = spawn_blocking(move || load::run(&target, load, duration, &probe));
    let outcome = load.await?;
    outcome.with_context(|| format!("{} in {}", peer.kind.name(), cell.name))
}

/// Prints the tables, writes the JSON, and judges.
fn finish(options: &Options, report: &Report) -> Result<ExitCode> {
    let mut stdout = std::io::stdout().lock();
    writeln!(stdout, "{report}")?;
    let file = options.json()?;
    std::fs::write(&file, serde_json::to_vec_pretty(report)?)
        .with_context(|| format!("cannot write {}", file.display()))?;
    writeln!(stdout, "Everything measured: {}", file.display())?;
    let errors = report.errors();
    if errors == 0 {
        return Ok(ExitCode::SUCCESS);
    }
    writeln!(stdout, "{errors} errors: these figures are worth nothing")?;
    Ok(ExitCode::FAILURE)
}

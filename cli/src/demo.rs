//! `weft demo`: a whole mesh on this machine, started, shown, judged, and stopped without a trace.
//!
//! Reading order: `topology` (what), `layout` (where), `processes` (how), `stage` (up and down again), then
//! [`run`] here; `report` judges.
//! Order: signals are watched before anything is created, so that Ctrl-C in the first second finds somebody
//! who cleans up. However it ends, processes stop first, then their directory goes, then the report is
//! printed: who has read it finds nothing left.

mod chronicle;
mod collector;
mod hints;
mod layout;
mod load;
mod manifests;
pub(crate) mod processes;
mod report;
mod screen;
mod stage;
mod topology;

use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::time::Instant;

use crate::args::DemoArgs;
use crate::environment::Environment;
use crate::output::{BAD, GOOD, Output, Verdict, styled};
use crate::run_dir::{MeshDir, RunRoot};
use crate::signals::{Asked, Signals};
use crate::stat::tables;
use chronicle::Chronicle;
use report::Observed;
use screen::Screen;
use stage::Stage;

/// Name of the mesh; a second one gets `-2` behind it.
const NAME: &str = "demo";
/// How many demos may run at once.
const MOST_DEMOS: usize = 16;
/// How often the table is drawn over itself.
const REDRAW: Duration = Duration::from_secs(1);
/// When a screen that cannot do that shows its one table.
const FIRST_TABLE: Duration = Duration::from_secs(5);

/// Why a demo ended, if it did not fail.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// `--exit-after` is over.
    Over,
    /// It was asked to.
    Asked(Asked),
    /// Whoever read its stdout has gone.
    Unread,
}

/// Runs `weft demo`.
pub(crate) async fn run(
    args: &DemoArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let mut signals = Signals::watch()?;
    let screen = Screen::new(output, environment);
    let directory = claim(mesh, environment, &screen)?;
    let (mut chronicle, inlet) = Chronicle::begin(screen.clone(), output.verbose);
    let mut stage = Stage::new(directory, inlet, screen.clone());
    let end = tokio::select! {
        played = play(args, environment, &mut stage, &mut chronicle) => played.map(|()| End::Over),
        asked = signals.next() => Ok(End::Asked(asked)),
        () = screen.closed() => Ok(End::Unread),
    };
    let wanted = output.is_json() || args.exit_after.is_some();
    if wanted {
        screen.clear();
    }
    let observed = tokio::select! {
        observed = stage.measure(&chronicle), if wanted && end.is_ok() => observed,
        // Asked again: nothing is measured any more.
        _ = signals.next(), if wanted && end.is_ok() => None,
        else => None,
    };
    let stopped = tokio::select! {
        () = stage.stop() => true,
        // A second Ctrl-C: what still runs is killed when it is dropped.
        _ = signals.next() => false,
    };
    let end = end?;
    if !stopped {
        return Ok(Verdict::Code(Asked::Interrupt.exit_code()));
    }
    match (observed, end) {
        (Some(observed), _) => conclude(observed, output),
        (None, End::Asked(asked)) if wanted => Ok(Verdict::Code(asked.exit_code())),
        (None, _) => Ok(Verdict::Fine),
    }
}

/// Takes a mesh directory: of the name given, else of the first demo's name that is free.
fn claim(mesh: Option<&str>, environment: &Environment, screen: &Screen) -> Result<MeshDir> {
    let root = RunRoot::open(&environment.run_root)?;
    if let Some(name) = mesh {
        return root.claim(name)?.with_context(|| {
            format!("mesh `{name}` runs already; stop it, or choose another name with --mesh")
        });
    }
    for number in 1..=MOST_DEMOS {
        let name = if number == 1 { NAME.to_owned() } else { format!("{NAME}-{number}") };
        if let Some(directory) = root.claim(&name)? {
            if number > 1 {
                screen.warn(&format!("another demo runs; this mesh is called `{name}`"));
            }
            return Ok(directory);
        }
    }
    bail!("{MOST_DEMOS} demos run already; stop one of them")
}

/// Brings everything up, then shows it until `--exit-after` is over, or for ever.
async fn play(
    args: &DemoArgs,
    environment: &Environment,
    stage: &mut Stage,
    chronicle: &mut Chronicle,
) -> Result<()> {
    tokio::select! {
        raised = stage.raise(args, environment) => raised?,
        reason = chronicle.hopeless() => bail!("{reason}"),
    }
    let begun = Instant::now();
    let mut ticks = tokio::time::interval(REDRAW);
    let mut shown = false;
    let over = async {
        match args.exit_after {
            Some(after) => tokio::time::sleep_until(begun + after).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(over);
    loop {
        tokio::select! {
            _ = ticks.tick() => {}
            () = &mut over => return Ok(()),
        }
        if stage.screen().is_live() {
            stage.redraw(environment).await;
        } else if !shown && stage.screen().shows_table() && begun.elapsed() >= FIRST_TABLE {
            shown = true;
            stage.show_once(environment).await;
        }
    }
}

/// Prints the report and judges.
fn conclude(observed: Observed, output: &Output) -> Result<Verdict> {
    let table = tables::workloads(&observed.stat.workloads, false).render();
    let report = report::report(observed);
    if output.is_json() {
        output.json(&report)?;
    } else {
        output.data(&format!("\n{table}\n"))?;
        for error in &report.errors {
            output.data(&format!("{} {error}", styled(BAD, "×")))?;
        }
        if report.ok {
            let all = "all meshed, all mTLS, no failures but those built in";
            output.data(&format!("{} {all}", styled(GOOD, "√")))?;
        }
    }
    Ok(if report.ok { Verdict::Fine } else { Verdict::Findings })
}

//! `weft run`: the user's own program beside a sidecar, as the demo runs its own.
//!
//! Order: control plane (if this process must start one), sidecar, and only when that is ready the program;
//! down the other way round. The program keeps terminal, environment and process group; its exit code is
//! passed on.

mod host;
mod program;

use std::ffi::OsString;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Result, bail};
use tokio::sync::mpsc;

use crate::args::RunArgs;
use crate::demo::processes::{bootstrap_file, join};
use crate::environment::Environment;
use crate::mesh::sidecar_socket;
use crate::output::{Output, Verdict};
use crate::process::{Ending, Event, Inlet, Keeper, Spec};
use crate::run_dir::proxy_dir;
use crate::signals::Signals;
use host::Host;
use program::Program;

/// Control plane and sidecar must be ready within this.
const PATIENCE: Duration = Duration::from_secs(30);
const POLL: Duration = Duration::from_millis(50);
/// A process that dies so often before it is ready will not come up.
const HOPELESS: u32 = 3;
/// Bound: events of two processes.
const QUEUE: usize = 64;

/// Runs `weft run`.
pub(crate) async fn run(
    args: &RunArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    if args.workload.split_once('.').is_none_or(|(name, space)| name.is_empty() || space.is_empty())
    {
        bail!("`{}` is no workload: write NAME.NAMESPACE, as in web.default", args.workload);
    }
    let mut signals = Signals::watch()?;
    let (events_in, mut events) = mpsc::channel(QUEUE);
    let (lines_in, lines) = mpsc::channel(QUEUE);
    tokio::spawn(show_lines(lines, *output));
    let inlet = Inlet { events: events_in, lines: output.verbose.then_some(lines_in) };
    let raising = raise(args, mesh, environment, output, inlet);
    let mut watch = Watch { output: *output, deaths: 0 };
    let raised = tokio::select! {
        raised = tokio::time::timeout(PATIENCE, raising) => raised,
        asked = signals.next() => return Ok(Verdict::Code(asked.exit_code())),
        reason = watch.until_hopeless(&mut events) => bail!("{reason}"),
    };
    let Ok(raised) = raised else {
        bail!("control plane and sidecar are not ready after {} s; try -v", PATIENCE.as_secs())
    };
    let raised = raised?;
    let mut program = match Program::start(&args.program) {
        Ok(program) => program,
        Err(error) => {
            raised.stop().await;
            return Err(error);
        }
    };
    let code = loop {
        tokio::select! {
            code = program.ended() => break code,
            asked = signals.next() => program.pass_on(asked),
            Some(event) = events.recv() => watch.tell(&event),
        }
    };
    raised.stop().await;
    Ok(Verdict::Code(code?))
}

/// What runs for the program. Order: fields are dropped from the first to the last.
struct Raised {
    sidecar: Keeper,
    host: Host,
    state: std::path::PathBuf,
}

impl Raised {
    async fn stop(self) {
        self.sidecar.stop().await;
        // What cannot be removed goes with the mesh's directory.
        let _ = std::fs::remove_dir_all(&self.state);
        self.host.stop().await;
    }
}

async fn raise(
    args: &RunArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
    inlet: Inlet,
) -> Result<Raised> {
    let host = Host::find_or_start(args, mesh, environment, output, &inlet).await?;
    let state = proxy_dir(host.directory(), &args.workload);
    if sidecar_socket(&state).ready().await.is_ok() {
        bail!("a sidecar of {} runs already in this mesh", args.workload);
    }
    // Asked once here, so that a wrong name is told at once and not tried again.
    join(&host.admin(), &args.workload, &state).await?;
    let mut sidecar = Keeper::new(inlet);
    let (admin, workload, directory) = (host.admin(), args.workload.clone(), state.clone());
    let joining = move || {
        let (admin, workload, state) = (admin.clone(), workload.clone(), directory.clone());
        let future: std::pin::Pin<Box<dyn Future<Output = Result<()>> + Send>> =
            Box::pin(async move { join(&admin, &workload, &state).await });
        future
    };
    sidecar.keep(sidecar_spec(args, &state), Some(Arc::new(joining)));
    while sidecar_socket(&state).ready().await.is_err() {
        tokio::time::sleep(POLL).await;
    }
    output.note(&format!("▸ {} is meshed: {}", args.workload, host.name()));
    Ok(Raised { sidecar, host, state })
}

async fn show_lines(mut lines: mpsc::Receiver<(String, String)>, output: Output) {
    while let Some((name, line)) = lines.recv().await {
        output.note(&format!("{name} │ {line}"));
    }
}

fn sidecar_spec(args: &RunArgs, state: &Path) -> Spec {
    let mut words: Vec<OsString> = vec![
        "proxy".into(),
        "--bootstrap".into(),
        bootstrap_file(state).into(),
        "--state-dir".into(),
        state.into(),
    ];
    let mut flag = |name: &str, value: &str| words.extend([name.into(), value.into()]);
    args.inbound.iter().for_each(|mapping| flag("--inbound", mapping));
    args.upstream.iter().for_each(|mapping| flag("--upstream", mapping));
    if let Some(health) = args.health {
        flag("--health", &health.to_string());
    }
    Spec { name: format!("sidecar of {}", args.workload), args: words, variables: Vec::new() }
}

/// Tells what happens to control plane and sidecar, and when there is no hope.
struct Watch {
    output: Output,
    deaths: u32,
}

impl Watch {
    async fn until_hopeless(&mut self, events: &mut mpsc::Receiver<Event>) -> String {
        while let Some(event) = events.recv().await {
            self.tell(&event);
            if self.deaths >= HOPELESS {
                return match event {
                    Event::Died { name, ending: Ending { reason, tail }, .. } => {
                        format!("the {name} {reason}: {}", tail.join("\n"))
                    }
                    Event::Failed { name, reason } => format!("the {name} cannot start: {reason}"),
                    Event::Started { name, .. } => format!("the {name} does not stay up"),
                };
            }
        }
        std::future::pending().await
    }

    fn tell(&mut self, event: &Event) {
        match event {
            Event::Started { name, first: false } => {
                self.output.note(&format!("▸ {name} runs again"))
            }
            Event::Started { .. } => {}
            Event::Died { name, ending: Ending { reason, tail }, .. } => {
                self.deaths += 1;
                self.output.note(&format!("× {name} {reason}; it is started again"));
                tail.iter().for_each(|line| self.output.note(&format!("    {line}")));
            }
            Event::Failed { name, reason } => {
                self.deaths += 1;
                self.output.note(&format!("× {name} cannot start: {reason}"));
            }
        }
    }
}

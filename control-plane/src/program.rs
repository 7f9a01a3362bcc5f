//! The program around [`App`]: arguments, log, runtime, signals, exit code. Called by `main.rs` and by `weft`,
//! which carries the control plane inside.

use std::ffi::OsString;
use std::process::ExitCode;

use anyhow::{Context, Result};
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use tokio::signal::unix::{SignalKind, signal};

use crate::app::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::{log, relay};

// Bound: the work is translating and encoding in one task, and much waiting beside it.
const MAX_THREADS: usize = 4;

/// Runs the control plane with `arguments` (without a program name) until SIGTERM or SIGINT, or what [`relay`] does where
/// they begin with its name. Exit codes: 0 stopped, 1 could not run, 2 wrong usage.
pub fn main(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    let mut arguments = arguments.into_iter().peekable();
    if arguments.next_if(|first| first == weft_relay::NAME).is_some() {
        return relay::main(arguments);
    }
    let config = match Config::from_arguments(arguments) {
        Ok(config) => config,
        Err(error) => {
            // `--help` comes here as well. Nobody is left to tell if the text cannot be written.
            let _ = error.print();
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    if let Err(error) = log::init(&config.log) {
        eprintln!("error: {error}");
        return ExitCode::from(2);
    }
    match run(&config) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            tracing::error!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(config: &Config) -> Result<()> {
    raise_file_limit();
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cpus.min(MAX_THREADS))
        .enable_all()
        .thread_name("weft-cp")
        .build()
        .context("cannot start the runtime")?;
    runtime.block_on(async {
        // Order: signals are caught before anything is built, so that none can end the process half-way.
        let mut terminate = signal(SignalKind::terminate())?;
        let mut interrupt = signal(SignalKind::interrupt())?;
        let app = App::build(config, Clock::system()).await?;
        let shutdown = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
        };
        Box::pin(app.run(shutdown)).await
    })
}

/// Each proxy costs a few descriptors, and the usual soft limit is 1,024.
fn raise_file_limit() {
    let raised = getrlimit(Resource::RLIMIT_NOFILE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_NOFILE, hard, hard));
    if let Err(error) = raised {
        tracing::warn!(%error, "cannot raise the limit of open files");
    }
}

//! From the command line to the command: one line each, and the exit code.
//!
//! `main` calls [`run`]. Commands return a [`Verdict`] or an error; only this file knows exit codes.

use std::future::Future;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::args::{Cli, Command};
use crate::environment::Environment;
use crate::output::{Output, Verdict};
use crate::{
    analyze, authz, bug_report, check, dashboard, demo, inject, install, manual, proxy_config,
    proxy_status, run as run_program, shop, stat, tap, trust, uninstall, version, wait, why,
};

const TOOL_ERROR: u8 = 1;
const FINDINGS: u8 = 3;

/// Parses the arguments, runs the command, says what went wrong. Wrong usage exits with 2 in here.
pub(crate) fn run(environment: &Environment) -> ExitCode {
    let cli = Cli::parse_from(&environment.args);
    let output = Output::new(&cli.globals);
    match block_on(command(cli, environment, &output)) {
        Ok(Verdict::Fine) => ExitCode::SUCCESS,
        Ok(Verdict::Findings) => ExitCode::from(FINDINGS),
        Ok(Verdict::Code(code)) => ExitCode::from(code),
        // Whoever read our output has seen enough (`weft stat | head -1`): that is no error.
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output.error(&format!("{error:#}"));
            ExitCode::from(TOOL_ERROR)
        }
    }
}

async fn command(cli: Cli, environment: &Environment, output: &Output) -> Result<Verdict> {
    let mesh = cli.globals.mesh.as_deref();
    match cli.command {
        Command::Demo(args) => demo::run(&args, mesh, environment, output).await,
        Command::Stat(args) => stat::run(&args, mesh, environment, output).await,
        Command::Dashboard(args) => dashboard::run(&args, mesh, environment, output).await,
        Command::Check(args) => check::run(&args, mesh, environment, output).await,
        Command::Install(args) => install::run(&args, output),
        Command::Uninstall(args) => uninstall::run(&args, output).await,
        Command::Analyze(args) => analyze::run(&args, mesh, environment, output).await,
        Command::ProxyConfig(args) => proxy_config::run(&args, mesh, environment, output).await,
        Command::ProxyStatus(args) => proxy_status::run(&args, mesh, environment, output).await,
        Command::Authz(args) => authz::run(&args, mesh, environment, output).await,
        Command::Tap(args) => tap::run(&args, mesh, environment, output).await,
        Command::Why(args) => why::run(&args, mesh, environment, output).await,
        Command::Run(args) => run_program::run(&args, mesh, environment, output).await,
        Command::Inject(args) => inject::inject(&args, output),
        Command::Uninject(args) => inject::uninject(&args, output),
        Command::Trust(args) => trust::run(&args, mesh, environment, output).await,
        Command::Wait(args) => wait::run(&args, output).await,
        Command::Version => version::run(mesh, environment, output).await,
        Command::BugReport(args) => bug_report::run(&args, mesh, environment, output).await,
        Command::Completion(args) => manual::completion(&args, output),
        Command::Man(args) => manual::pages(&args, output),
        Command::DemoService(args) => shop::run(args).await,
    }
}

/// Order: one thread, the main one. Children ask the kernel to end them when the thread that started them
/// ends, so that thread must live as long as the process.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot start the event loop")?;
    // Boxed: it is as large as the largest command.
    runtime.block_on(Box::pin(future))
}

fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .chain()
        .filter_map(|cause| cause.downcast_ref::<std::io::Error>())
        .any(|cause| cause.kind() == std::io::ErrorKind::BrokenPipe)
}

//! What can be typed: flags, subcommands and their help. Read by `dispatch`.
//!
//! Only shapes live here; nothing is done. Help texts carry the examples, because `--help` is the manual.

mod authz;
mod cluster;
mod dashboard;
mod demo;
mod duration;
mod inject;
mod inspect;
mod manual;
mod run;
mod service;
mod stat;
mod tap;
mod trust;
mod wait;
mod why;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use authz::AuthzArgs;
pub(crate) use cluster::{CheckArgs, ClusterArgs, InstallArgs, PlaceArgs, UninstallArgs};
pub(crate) use dashboard::{DASHBOARD_PORT, DashboardArgs};
pub(crate) use demo::DemoArgs;
pub(crate) use duration::{Window, duration};
pub(crate) use inject::{InjectArgs, UninjectArgs};
pub(crate) use inspect::{AnalyzeArgs, ProxyConfigArgs, ProxyStatusArgs};
pub(crate) use manual::{BugReportArgs, CompletionArgs, ManArgs};
pub(crate) use run::RunArgs;
pub(crate) use service::{DemoServiceArgs, ShopService};
pub(crate) use stat::{StatArgs, StatView};
pub(crate) use tap::TapArgs;
pub(crate) use trust::{TrustArgs, TrustCommand};
pub(crate) use wait::WaitArgs;
pub(crate) use why::{Asked, WhyArgs};

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 weft could not do it, 2 wrong usage, 3 something was found (check, analyze, authz, demo, inject, uninstall, wait, why).";

/// Weft, a lightweight service mesh: sidecars, mTLS, routes and traces.
#[derive(Debug, Parser)]
#[command(name = "weft", version, after_help = EXIT_CODES, propagate_version = false)]
pub(crate) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Globals {
    /// Mesh to talk to (or to start); may be left out while only one runs
    #[arg(
        long,
        global = true,
        help_heading = "For every command",
        env = "WEFT_MESH",
        value_name = "NAME"
    )]
    pub(crate) mesh: Option<String>,
    /// Form of the output on stdout
    #[arg(short, long, global = true, help_heading = "For every command", value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Colours; `auto` heeds NO_COLOR, CLICOLOR_FORCE and TERM=dumb
    #[arg(long, global = true, help_heading = "For every command", value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Less on stderr: errors only
    #[arg(
        short,
        long,
        global = true,
        help_heading = "For every command",
        conflicts_with = "verbose"
    )]
    pub(crate) quiet: bool,
    /// More on stderr, such as the log of every process that was started
    #[arg(short, long, global = true, help_heading = "For every command", action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For people with a wide screen: namespaces and identities too
    Wide,
    /// For programs
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Where stdout is a terminal that can show them
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole mesh on this machine: control plane, six sidecars, a shop, and load
    Demo(DemoArgs),
    /// Show success rate, requests per second, latency and mTLS share
    Stat(StatArgs),
    /// Show topology and golden metrics in a browser, live
    Dashboard(DashboardArgs),
    /// Check the installation: is everything there, connected, in step and certified?
    Check(CheckArgs),
    /// Print the manifest that installs Weft on Kubernetes
    Install(InstallArgs),
    /// Remove Weft from a cluster
    Uninstall(UninstallArgs),
    /// Wait until what was applied to a cluster is in force on every sidecar
    Wait(WaitArgs),
    /// Say what is wrong or odd in the configuration: in files, or in what a mesh has now
    Analyze(AnalyzeArgs),
    /// Show what one sidecar really has
    #[command(alias = "pc")]
    ProxyConfig(ProxyConfigArgs),
    /// Show every sidecar: connected? in step? what did it reject?
    ProxyStatus(ProxyStatusArgs),
    /// Show and replace the roots that the mesh believes, with no request lost
    Trust(TrustArgs),
    /// Who can reach what, and what would a policy have done?
    Authz(AuthzArgs),
    /// Show requests as they end
    Tap(TapArgs),
    /// Why did my request fail? One request explained, and whose fault it is
    Why(WhyArgs),
    /// Run a program of your own beside a sidecar
    Run(RunArgs),
    /// Give every pod in a manifest a sidecar, as the webhook would
    Inject(InjectArgs),
    /// Take the sidecars out of a manifest
    Uninject(UninjectArgs),
    /// Show the version of weft, of the control plane and of the sidecars
    Version,
    /// Collect in one file what somebody needs to understand what is wrong
    BugReport(BugReportArgs),
    /// Print what a shell needs to complete commands and flags
    Completion(CompletionArgs),
    /// Write the man pages
    Man(ManArgs),
    /// One service of the demo's shop.
    #[command(hide = true)]
    DemoService(DemoServiceArgs),
}

#[cfg(test)]
mod tests;

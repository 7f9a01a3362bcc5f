//! `weft stat`.

use clap::{Args, ValueEnum};

use super::{PlaceArgs, Window};

const STAT_EXAMPLES: &str = "\
Workloads are measured by their own sidecar, edges and routes by the caller's sidecar. An edge from outside \
the mesh is plaintext and measured where it comes in. Without flags it is about the mesh on this machine; where none runs and \
there is a kubeconfig, about that of the cluster, whose replicas of the control plane are all asked and added up.

Examples:
  weft stat                    each workload over the last 10 seconds
  weft stat edges --watch      who calls whom, once a second
  weft stat routes -t 1m       each route and where it sent the requests
  weft stat -t all -o json     everything since the start, for a program";

/// `weft stat`.
#[derive(Clone, Debug, Args)]
#[command(after_help = STAT_EXAMPLES)]
pub(crate) struct StatArgs {
    /// What to show; `-o json` without it shows all three
    #[arg(value_enum)]
    pub(crate) view: Option<StatView>,
    /// Measure over this long: a duration, or `all`
    #[arg(short = 't', long, default_value = "10s", value_parser = Window::parse)]
    pub(crate) window: Window,
    /// Show it again every second until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The first argument of `weft stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatView {
    /// One line a workload, measured by its own sidecar
    #[value(alias = "workload")]
    Workloads,
    /// One line a caller and service, measured by the caller's sidecar
    #[value(alias = "edge")]
    Edges,
    /// One line a route and backend
    #[value(alias = "route")]
    Routes,
}

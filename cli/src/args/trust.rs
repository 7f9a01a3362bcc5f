//! `weft trust`.

use std::time::Duration;

use clap::{Args, Subcommand};

use super::{PlaceArgs, duration};

const EXAMPLES: &str = "\
A rotation has three steps: a new root is believed (stage), it signs and every sidecar renews (issue), the old one is believed no \
more (retire). Each waits until every sidecar is ready, and is refused while one is not. It may be interrupted at any time: \
`weft trust rotate` goes on from where it stands. Without flags it is about the mesh on this machine; where none runs and \
there is a kubeconfig, about that of the cluster.

Examples:
  weft trust status             roots, and who is not ready for the next step
  weft trust rotate             all steps, one after the other
  weft trust retire --force     whoever still needs the old root is refused from now on";

/// `weft trust`.
#[derive(Clone, Debug, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct TrustArgs {
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: TrustCommand,
}

/// The subcommands of `weft trust`.
#[derive(Clone, Debug, Subcommand)]
pub(crate) enum TrustCommand {
    /// Show the mesh's roots: what each is for, who believes it, and who is not ready for the next step
    Status(PlaceArgs),
    /// Replace the root: stage, wait, issue, wait, retire; goes on with a rotation that was begun
    Rotate(RotateArgs),
    /// Have a new root believed beside the present one
    Stage(PlaceArgs),
    /// Have the staged root sign; every sidecar renews its certificate within seconds
    Issue(StepArgs),
    /// Believe the old root no more
    Retire(StepArgs),
}

/// `weft trust rotate`.
#[derive(Clone, Debug, Args)]
pub(crate) struct RotateArgs {
    /// Give up when sidecars are not ready for a step after this long; `weft trust rotate` goes on later
    #[arg(long, default_value = "10m", value_parser = duration, value_name = "DURATION")]
    pub(crate) timeout: Duration,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// `weft trust issue` and `weft trust retire`.
#[derive(Clone, Debug, Args)]
pub(crate) struct StepArgs {
    /// Do it although somebody is not ready; they are refused by their peers until they have renewed
    #[arg(long)]
    pub(crate) force: bool,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

impl TrustCommand {
    /// The mesh that it is about.
    pub(crate) fn place(&self) -> &PlaceArgs {
        match self {
            Self::Status(place) | Self::Stage(place) => place,
            Self::Rotate(args) => &args.place,
            Self::Issue(args) | Self::Retire(args) => &args.place,
        }
    }
}

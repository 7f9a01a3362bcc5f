//! `weft wait`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

const WAIT_EXAMPLES: &str = "\
It asks the cluster for every object of the files that Weft gives a status to (routes, Weft's own kinds) and ends when \
each is accepted and runs on all proxies that it concerns, in the generation that the cluster has now. Other objects are \
passed over. Nothing is applied: apply first, then wait.

Exit code 0: all do. 3: some do not within the timeout; it says which, on whom they wait, and why. 1: the files or the \
cluster cannot be read.

Examples:
  kubectl apply -f shop.yaml && weft wait -f shop.yaml
  kustomize build overlays/prod | weft wait -f - --timeout 2m
  weft wait -f manifests --context staging -o json";

/// `weft wait`.
#[derive(Clone, Debug, Args)]
#[command(after_help = WAIT_EXAMPLES)]
pub(crate) struct WaitArgs {
    /// Manifests: a file, a directory (its .yaml, .yml and .json files), or - for stdin; may be repeated
    #[arg(short, long = "filename", required = true, value_name = "FILE")]
    pub(crate) filename: Vec<PathBuf>,
    /// Give up after this long
    #[arg(long, default_value = "60s", value_name = "DURATION", value_parser = super::duration)]
    pub(crate) timeout: Duration,
    /// Namespace of objects that name none [default: that of the context]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Which cluster
    #[command(flatten)]
    pub(crate) cluster: super::ClusterArgs,
}

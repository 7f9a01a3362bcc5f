//! `weft install`, `weft uninstall` and `weft check`; and for these and `weft wait` the flags that say which cluster is meant.

use std::path::PathBuf;

use clap::Args;

/// Which cluster: as kubectl has it.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct ClusterArgs {
    /// Context of the kubeconfig; the current one may be left out
    #[arg(long, value_name = "NAME")]
    pub(crate) context: Option<String>,
    /// The kubeconfig [default: $KUBECONFIG, else ~/.kube/config, else that of the pod it runs in]
    #[arg(long, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
}

const INSTALL_EXAMPLES: &str = "\
It prints and does nothing else. Without flags it prints k8s/install.yaml, byte for byte.

Examples:
  weft install | kubectl apply --server-side -f -
  weft install --ha --registry registry.example.org/mesh | kubectl apply --server-side -f -";

/// `weft install`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = INSTALL_EXAMPLES)]
pub(crate) struct InstallArgs {
    /// Where the images are, instead of weft.dev
    #[arg(long, value_name = "REGISTRY", value_parser = registry)]
    pub(crate) registry: Option<String>,
    /// Tag of the images, instead of this weft's own version
    #[arg(long, value_name = "TAG", value_parser = tag)]
    pub(crate) version: Option<String>,
    /// Two replicas of the control plane, of which a drained node may take one
    #[arg(long)]
    pub(crate) ha: bool,
}

const UNINSTALL_EXAMPLES: &str = "\
It deletes the objects of k8s/install.yaml, and what the control plane has made: Secrets, the Lease, and the ConfigMap \
weft-trust-bundle of every namespace. With the definitions of Weft's own kinds go all of their objects. While pods run \
with a sidecar it refuses, and says where: take the label weft.dev/inject from their namespaces and restart them.

Exit code 3: pods are still meshed.

Examples:
  weft uninstall --dry-run
  weft uninstall --context staging";

/// `weft uninstall`.
#[derive(Clone, Debug, Args)]
#[command(after_help = UNINSTALL_EXAMPLES)]
pub(crate) struct UninstallArgs {
    /// Which cluster
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
    /// Only say what would be deleted
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Even while pods are meshed: they go on with what they have, until their certificates end
    #[arg(long)]
    pub(crate) force: bool,
}

const CHECK_EXAMPLES: &str = "\
Without flags it looks at the mesh on this machine. Where none runs and there is a kubeconfig, it looks at the cluster too; \
that Weft is not installed there is then no error. In a cluster it changes nothing: what a pod would be given is asked for \
in a dry run.

Examples:
  weft check
  weft check --kubernetes
  weft check --context staging -o json";

/// `weft check`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = CHECK_EXAMPLES)]
pub(crate) struct CheckArgs {
    /// Where to look
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The mesh on this machine, or that of a cluster.
#[derive(Clone, Debug, Default, Args)]
pub(crate) struct PlaceArgs {
    /// Look at the cluster, and at nothing else
    #[arg(long)]
    pub(crate) kubernetes: bool,
    /// Which cluster; implies --kubernetes
    #[command(flatten)]
    pub(crate) cluster: ClusterArgs,
}

impl PlaceArgs {
    /// Was a cluster asked for?
    pub(crate) fn means_a_cluster(&self) -> bool {
        self.kubernetes || self.cluster.context.is_some() || self.cluster.kubeconfig.is_some()
    }
}

/// It becomes part of YAML, so nothing may stand in it that would end the word.
fn registry(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/:[]".contains(c);
    let edge = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '[';
    let good = text.chars().all(allowed)
        && text.starts_with(edge)
        && text.ends_with(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit())
        && !text.contains("//");
    if good { Ok(text.to_owned()) } else { Err("expected HOST[:PORT][/PATH]".to_owned()) }
}

/// As the distribution specification has it.
fn tag(text: &str) -> Result<String, String> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let good = (1..=128).contains(&text.len())
        && text.chars().all(allowed)
        && !text.starts_with(['.', '-']);
    if good { Ok(text.to_owned()) } else { Err("expected a tag such as 0.1.0".to_owned()) }
}

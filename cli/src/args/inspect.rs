//! `weft analyze`, `weft proxy-status` and `weft proxy-config`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::PlaceArgs;

const ANALYZE_EXAMPLES: &str = "\
Of directories (their *.yaml and *.yml, and all below) and files it says what a control plane would say that had them and \
nothing else. Without any it says what the control plane says of the configuration that it has: of the mesh on this machine; \
where none runs and there is a kubeconfig, of that of the cluster. docs/reference/findings.md has all codes.

Exit code 0: nothing found. 3: something was found. 1: the files could not be read, or nobody could be asked.

Examples:
  weft analyze k8s/demo            before anything reads it
  weft analyze web.yaml routes/    what is named, as one configuration
  kubectl kustomize . | weft analyze -
  weft analyze                     what is in force
  weft analyze --context staging -o json";

/// `weft analyze`.
#[derive(Clone, Debug, Args)]
#[command(after_help = ANALYZE_EXAMPLES)]
pub(crate) struct AnalyzeArgs {
    /// Directories and files of YAML, and `-` for stdin; without any a mesh is asked
    #[arg(value_name = "PATH", conflicts_with_all = ["kubernetes", "context", "kubeconfig"])]
    pub(crate) paths: Vec<PathBuf>,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const PROXY_STATUS_EXAMPLES: &str = "\
Without flags it shows the mesh on this machine; where none runs and there is a kubeconfig, that of the cluster. In a cluster \
it asks every replica of the control plane, in its pod: that takes the rights to `list pods`, and to `get` and `create` \
`pods/exec`, in weft-system.

Examples:
  weft proxy-status
  weft proxy-status --context staging -o wide";

/// `weft proxy-status`.
#[derive(Clone, Debug, Default, Args)]
#[command(after_help = PROXY_STATUS_EXAMPLES)]
pub(crate) struct ProxyStatusArgs {
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

const PROXY_CONFIG_EXAMPLES: &str = "\
It is asked of the sidecar itself, not of the control plane: of the mesh on this machine; where none runs and there is a \
kubeconfig, of that of the cluster. There a name is that of a pod, and one without a namespace is looked for in the context's. \
The sidecar is asked in its pod: that takes the rights to `get pods`, and to `get` and `create` `pods/exec`, in its namespace.

Examples:
  weft proxy-config routes gateway
  weft pc endpoints order.shop
  weft pc certificate product-v1 -o json
  weft pc clusters gateway-7c5ddbdf54-x8k2p.shop --context staging";

/// `weft proxy-config`.
#[derive(Clone, Debug, Args)]
#[command(after_help = PROXY_CONFIG_EXAMPLES)]
pub(crate) struct ProxyConfigArgs {
    /// What of it
    #[arg(value_enum)]
    pub(crate) section: ConfigSection,
    /// Workload: `gateway`, or `gateway.shop`; in a cluster a pod
    #[arg(value_name = "NAME")]
    pub(crate) workload: String,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

/// The first argument of `weft proxy-config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigSection {
    /// Routes
    #[value(aliases = ["route"])]
    Routes,
    /// Clusters
    #[value(aliases = ["cluster"])]
    Clusters,
    /// Endpoints
    #[value(aliases = ["endpoint"])]
    Endpoints,
    /// The sidecar's certificate and what it trusts
    #[value(aliases = ["certificates", "certs", "cert"])]
    Certificate,
    /// Listeners
    #[value(aliases = ["listener"])]
    Listeners,
}

impl ConfigSection {
    /// Its word on the sidecar's admin socket.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Routes => "/v1/config/routes",
            Self::Clusters => "/v1/config/clusters",
            Self::Endpoints => "/v1/config/endpoints",
            Self::Certificate => "/v1/config/certificate",
            Self::Listeners => "/v1/config/listeners",
        }
    }
}

//! `weft inject` and `weft uninject`.

use std::path::PathBuf;

use clap::Args;

const INJECT_EXAMPLES: &str = "\
Reads YAML (any number of documents) or JSON, gives every pod and pod template in it a sidecar as the webhook would, and
writes the result to stdout; what has no pods passes through. Needs no cluster. Comments are lost. If an object cannot be
injected, stdout stays empty, so that nothing is applied without its sidecar.
What can be set by annotations stands in docs/reference/injection.md.

Exit code 0: fine. 3: an object must not be applied as it is, see stderr. 1: the input could not be read.

Examples:
  weft inject -f deployment.yaml | kubectl apply -f -
  kubectl get deployment web -o yaml | weft inject | kubectl apply -f -
  weft inject --registry registry.example.com/weft -f deployment.yaml";

/// `weft inject`.
#[derive(Clone, Debug, Args)]
#[command(after_help = INJECT_EXAMPLES)]
pub(crate) struct InjectArgs {
    /// Files to read, `-` for stdin
    #[arg(short = 'f', long = "filename", value_name = "FILE", default_value = "-")]
    pub(crate) files: Vec<PathBuf>,
    /// Where the images are
    #[arg(long, value_name = "REGISTRY", default_value = "weft.dev")]
    pub(crate) registry: String,
    /// Image of the sidecar [default: weft-proxy of --registry, in this version]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) proxy_image: Option<String>,
    /// Image of the init container [default: weft-init of --registry, in this version]
    #[arg(long, value_name = "IMAGE")]
    pub(crate) init_image: Option<String>,
}

const UNINJECT_EXAMPLES: &str = "\
The inverse of weft inject: takes the sidecar out of every pod and pod template. What has none passes through.

Examples:
  weft uninject -f deployment.yaml | kubectl apply -f -
  kubectl get deployment web -o yaml | weft uninject | kubectl apply -f -";

/// `weft uninject`.
#[derive(Clone, Debug, Args)]
#[command(after_help = UNINJECT_EXAMPLES)]
pub(crate) struct UninjectArgs {
    /// Files to read, `-` for stdin
    #[arg(short = 'f', long = "filename", value_name = "FILE", default_value = "-")]
    pub(crate) files: Vec<PathBuf>,
}

//! `weft completion`, `weft man` and `weft bug-report`.

use std::path::PathBuf;

use clap::Args;

use super::PlaceArgs;

const COMPLETION_EXAMPLES: &str = "\
Examples:
  source <(weft completion bash)                                   for this shell
  weft completion zsh > \"${fpath[1]}/_weft\"                      for every new one
  weft completion fish > ~/.config/fish/completions/weft.fish";

/// `weft completion`.
#[derive(Clone, Debug, Args)]
#[command(after_help = COMPLETION_EXAMPLES)]
pub(crate) struct CompletionArgs {
    /// The shell
    #[arg(value_enum)]
    pub(crate) shell: clap_complete::Shell,
}

const MAN_EXAMPLES: &str = "\
Example:
  weft man ~/.local/share/man/man1 && man weft-stat";

/// `weft man`.
#[derive(Clone, Debug, Args)]
#[command(after_help = MAN_EXAMPLES)]
pub(crate) struct ManArgs {
    /// Where they are written; made if it is not there
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

const BUG_REPORT_EXAMPLES: &str = "\
It asks every control plane what `weft check`, `stat`, `analyze`, `proxy-status` and `trust status` would ask, and takes logs \
of Weft's own programs along; in a cluster also Weft's pods and Events and the objects that Weft reads. No key, no Secret, no \
request and no header is in it, but names, addresses and paths of your services are: look through it before you send it.

Examples:
  weft bug-report
  weft bug-report --context staging --file report.tar.gz";

/// `weft bug-report`.
#[derive(Clone, Debug, Args)]
#[command(after_help = BUG_REPORT_EXAMPLES)]
pub(crate) struct BugReportArgs {
    /// The archive; a file that is there already is left alone [default: weft-bug-report-TIME.tar.gz]
    #[arg(short, long, value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: PlaceArgs,
}

//! `weft authz`.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

const AUTHZ_EXAMPLES: &str = "\
Without --try and --delete it says, by the policies in force, which identity can reach which port of which workload, and by \
which rule; what is not said of the call (method, path, headers) it may depend on. With --from, --to and --request it answers \
one question.

With --try or --delete nothing is applied: the proposed AccessPolicy, InboundPolicy and MeshConfig objects are put in the place \
of those of their names, and the sidecars concerned tell what their callers asked for in the last minutes (who, from where, \
method, path; never headers), allowed or not. It shows what would become of that. What depends on headers is counted apart.

Exit code 0: allowed, or nothing would newly be denied. 3: with --from, --to and --request the answer is not a plain yes; with \
--try or --delete something would newly be denied, or might be, or a sidecar did not answer, or the files are wrong. 1: it could \
not be found out.

Examples:
  weft authz                                   everything, from everybody
  weft authz --to payment.shop                 who reaches it
  weft authz --from shop/gateway --to product.shop:8080 --request 'GET /carts/7'
  weft authz --try policy.yaml                 what it would have done to the last ten minutes
  weft authz --try policy.yaml --delete AccessPolicy/shop/readers --since 5m -o json";

/// `weft authz`.
#[derive(Clone, Debug, Args)]
#[command(after_help = AUTHZ_EXAMPLES)]
pub(crate) struct AuthzArgs {
    /// Who calls: a service account, a SPIFFE id, or `nobody` (no identity)
    #[arg(long, value_name = "NAMESPACE/ACCOUNT")]
    pub(crate) from: Option<String>,
    /// What is called
    #[arg(long, value_name = "WORKLOAD.NAMESPACE[:PORT]")]
    pub(crate) to: Option<String>,
    /// One request: method and path
    #[arg(long, value_name = "'METHOD /PATH'", value_parser = request)]
    pub(crate) request: Option<AskedRequest>,
    /// Proposed policies: a file, a directory (its .yaml, .yml and .json files), or - for stdin; may be repeated
    #[arg(long = "try", value_name = "FILE", conflicts_with_all = ["from", "to", "request"])]
    pub(crate) tried: Vec<PathBuf>,
    /// A policy that would be deleted; may be repeated
    #[arg(long, value_name = "KIND/NAMESPACE/NAME", conflicts_with_all = ["from", "to", "request"])]
    pub(crate) delete: Vec<String>,
    /// How far back a trial looks, at most 10m
    #[arg(long, value_name = "DURATION", default_value = "10m", value_parser = since)]
    pub(crate) since: Duration,
    /// Namespace of proposed objects that name none [default: that of the context, else `default`]
    #[arg(short, long, value_name = "NAMESPACE")]
    pub(crate) namespace: Option<String>,
    /// Which mesh
    #[command(flatten)]
    pub(crate) place: super::PlaceArgs,
}

impl AuthzArgs {
    /// Is something tried?
    pub(crate) fn is_trial(&self) -> bool {
        !self.tried.is_empty() || !self.delete.is_empty()
    }
}

/// One request.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub(crate) struct AskedRequest {
    /// Upper case.
    pub(crate) method: String,
    /// With or without query.
    pub(crate) path: String,
}

fn request(text: &str) -> Result<AskedRequest, String> {
    let wrong = || format!("`{text}` is not a method and a path, such as 'GET /carts/7'");
    let (method, path) = text.trim().split_once(' ').ok_or_else(wrong)?;
    let (method, path) = (method.to_ascii_uppercase(), path.trim().to_owned());
    if path.starts_with('/') { Ok(AskedRequest { method, path }) } else { Err(wrong()) }
}

fn since(text: &str) -> Result<Duration, String> {
    let since = super::duration(text)?;
    match since.as_secs() {
        1..=600 => Ok(since),
        _ => Err("a trial looks back 1s to 10m".to_owned()),
    }
}

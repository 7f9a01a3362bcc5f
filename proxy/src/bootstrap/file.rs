//! The bootstrap file: made by the control plane (`POST /v1/join-tokens`), read once at start. It holds a secret, so it
//! must be private.

use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use serde::Deserialize;
use weft_certs::{BundleError, IdError, SpiffeId, TrustBundle};

use super::{
    Bootstrap, BootstrapError, ControlPlaneAddress, Roots, ServiceName, Token, host_and_port,
    read_text,
};
use crate::model::Locality;

/// Bound: a bundle of 100 roots is far below this.
const MAX_BYTES: u64 = 1 << 20;

/// Fields that are not known are for a later proxy.
#[derive(Deserialize)]
struct RawBootstrap {
    workload: String,
    identity: String,
    control_plane: RawControlPlane,
    trust_bundle: String,
    join_token: Option<String>,
    #[serde(default)]
    service: ServiceName,
    #[serde(default)]
    locality: Locality,
}

#[derive(Deserialize)]
struct RawControlPlane {
    address: String,
    identity: String,
}

/// Reads and checks the file.
pub(super) fn load(path: &Path) -> Result<Bootstrap, BootstrapError> {
    let io = |source| BootstrapError::Io { path: path.to_owned(), source };
    // Race: the mode is that of the opened file, not of whatever has the name a moment later.
    let file = File::open(path).map_err(io)?;
    let mode = file.metadata().map_err(io)?.mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(BootstrapError::Open { path: path.to_owned(), mode });
    }
    let text = read_text(file, MAX_BYTES).map_err(io)?;
    parse(&text).map_err(|reason| BootstrapError::Malformed { path: path.to_owned(), reason })
}

pub(super) fn parse(text: &str) -> Result<Bootstrap, String> {
    let raw: RawBootstrap = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let identity = id("identity", &raw.identity)?;
    let control_plane = ControlPlaneAddress {
        identity: id("control_plane.identity", &raw.control_plane.identity)?,
        address: host_and_port(&raw.control_plane.address)
            .map_err(|reason| format!("control_plane.address: {reason}"))?,
    };
    if control_plane.identity.trust_domain() != identity.trust_domain() {
        return Err("control_plane.identity: another trust domain than identity".to_owned());
    }
    match weft_proto::names::parse_workload(&raw.workload) {
        Some((_, namespace)) if namespace == identity.namespace() => {}
        Some(_) => return Err("workload: another namespace than identity".to_owned()),
        None => return Err(format!("workload: {:?} is not <name>.<namespace>", raw.workload)),
    }
    let bundle = TrustBundle::from_pem(&raw.trust_bundle)
        .map_err(|error: BundleError| format!("trust_bundle: {error}"))?;
    Ok(Bootstrap {
        workload: raw.workload,
        identity,
        control_plane,
        roots: Roots::given(bundle),
        token: raw.join_token.filter(|token| !token.is_empty()).map(Token::Join),
        service: raw.service,
        locality: raw.locality,
        in_pod: false,
    })
}

fn id(field: &str, text: &str) -> Result<SpiffeId, String> {
    text.parse().map_err(|error: IdError| format!("{field}: {text:?}: {error}"))
}

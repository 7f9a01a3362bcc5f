//! The bootstrap file: all that a proxy must be told before it has talked to anybody. The control plane makes
//! it (`POST /v1/join-tokens`), `app` reads it once at start. It holds a secret, so it must be private.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use weft_certs::{BundleError, IdError, SpiffeId, TrustBundle};

use crate::model::Locality;

/// Bound: a bundle of 100 roots is far below this.
const MAX_BYTES: u64 = 1 << 20;

/// Who this proxy is, whom it asks, and what it believes until it is told better.
#[derive(Clone)]
pub struct Bootstrap {
    /// `product-v1.shop`: the `MeshWorkload` that this proxy serves.
    pub workload: String,
    /// The identity that it is going to prove.
    pub identity: SpiffeId,
    /// Where the control plane is.
    pub control_plane: ControlPlaneAddress,
    /// Roots that the control plane's certificate must lead to.
    pub trust_bundle: TrustBundle,
    /// Proof for the first certificate; works once.
    pub join_token: Option<String>,
    /// What the workload is called in traces.
    pub service: ServiceName,
    /// Where it is; decides which endpoints are near.
    pub locality: Locality,
}

/// `service.name` and `service.version` of a workload.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct ServiceName {
    /// As people call it (`product`); empty: the workload's own name.
    pub name: String,
    /// Empty if it has none.
    pub version: String,
}

/// Where the control plane is and who must answer there.
#[derive(Clone, Debug)]
pub struct ControlPlaneAddress {
    /// `host:port`.
    pub address: String,
    /// Its SPIFFE id.
    pub identity: SpiffeId,
}

/// Why a bootstrap file is refused.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// It cannot be read.
    #[error("bootstrap file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Others could read the join token.
    #[error("bootstrap file {} is open to other users (mode {mode:04o}); chmod 600 it", .path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// It is no bootstrap file.
    #[error("bootstrap file {}: {reason}", .path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Field and reason.
        reason: String,
    },
}

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

impl Bootstrap {
    /// Reads and checks the file.
    ///
    /// # Errors
    /// If it cannot be read, is open to other users, or is malformed; the message names file and field.
    pub fn load(path: &Path) -> Result<Self, BootstrapError> {
        let io = |source| BootstrapError::Io { path: path.to_owned(), source };
        // Race: the mode is that of the opened file, not of whatever has the name a moment later.
        let file = File::open(path).map_err(io)?;
        let mode = file.metadata().map_err(io)?.mode() & 0o777;
        if mode & 0o077 != 0 {
            return Err(BootstrapError::Open { path: path.to_owned(), mode });
        }
        let mut text = String::new();
        file.take(MAX_BYTES).read_to_string(&mut text).map_err(io)?;
        Self::parse(&text)
            .map_err(|reason| BootstrapError::Malformed { path: path.to_owned(), reason })
    }

    fn parse(text: &str) -> Result<Self, String> {
        let raw: RawBootstrap = serde_json::from_str(text).map_err(|error| error.to_string())?;
        let identity = id("identity", &raw.identity)?;
        let control_plane = ControlPlaneAddress {
            identity: id("control_plane.identity", &raw.control_plane.identity)?,
            address: address(raw.control_plane.address)?,
        };
        if control_plane.identity.trust_domain() != identity.trust_domain() {
            return Err("control_plane.identity: another trust domain than identity".to_owned());
        }
        match weft_proto::names::parse_workload(&raw.workload) {
            Some((_, namespace)) if namespace == identity.namespace() => {}
            Some(_) => return Err("workload: another namespace than identity".to_owned()),
            None => return Err(format!("workload: {:?} is not <name>.<namespace>", raw.workload)),
        }
        Ok(Self {
            workload: raw.workload,
            identity,
            control_plane,
            trust_bundle: TrustBundle::from_pem(&raw.trust_bundle)
                .map_err(|error: BundleError| format!("trust_bundle: {error}"))?,
            join_token: raw.join_token.filter(|token| !token.is_empty()),
            service: raw.service,
            locality: raw.locality,
        })
    }
}

fn id(field: &str, text: &str) -> Result<SpiffeId, String> {
    text.parse().map_err(|error: IdError| format!("{field}: {text:?}: {error}"))
}

fn address(address: String) -> Result<String, String> {
    let good = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p != 0))
        && http::uri::Authority::try_from(address.as_str()).is_ok();
    if good {
        Ok(address)
    } else {
        Err(format!("control_plane.address: {address:?} is not <host>:<port>"))
    }
}

/// Without the join token.
impl std::fmt::Debug for Bootstrap {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Bootstrap")
            .field("workload", &self.workload)
            .field("identity", &self.identity)
            .field("control_plane", &self.control_plane)
            .field("join_token", &self.join_token.as_ref().map(|_| "…"))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

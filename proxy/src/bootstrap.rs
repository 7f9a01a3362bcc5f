//! All that a proxy must be told before it has talked to anybody: by the control plane in a [`file`](Source::File), or
//! in a [`pod`](Source::Pod) by flags and environment. Read by `app` at start; only roots and token may change later.

mod file;
mod pod;
mod roots;
mod token;

use std::fs::File;
use std::io::{self, Read};
use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;
use weft_certs::SpiffeId;

use crate::model::Locality;

pub use pod::{Account, Pod};
pub use roots::Roots;
pub use token::Token;

/// How long a pod's roots are waited for; then the process ends, and whoever started it sees why.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where all of it is from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The bootstrap file.
    File(PathBuf),
    /// Flags and environment of a pod's sidecar.
    Pod(Box<Pod>),
}

/// Who this proxy is, whom it asks, and what it believes until it is told better.
#[derive(Clone, Debug)]
pub struct Bootstrap {
    /// `product-v1.shop`: the `MeshWorkload` or the pod that this proxy serves.
    pub workload: String,
    /// The identity that it is going to prove.
    pub identity: SpiffeId,
    /// Where the control plane is.
    pub control_plane: ControlPlaneAddress,
    /// Roots that the control plane's certificate must lead to.
    pub roots: Roots,
    /// Proof where there is no certificate.
    pub token: Option<Token>,
    /// What the workload is called in traces.
    pub service: ServiceName,
    /// Where it is; decides which endpoints are near. The control plane may say better.
    pub locality: Locality,
    /// The workload is a pod.
    pub in_pod: bool,
}

/// `service.name` and `service.version` of a workload.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq)]
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

/// Why a proxy does not know who it is.
#[derive(Debug, thiserror::Error)]
pub enum BootstrapError {
    /// The file cannot be read.
    #[error("bootstrap file {}: {source}", .path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
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
    /// A pod's roots did not come.
    #[error("trust bundle {}: {reason}; waited {patience:?} for it", .path.display())]
    Roots {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
        /// How long it was waited for.
        patience: Duration,
    },
    /// A pod's names make no identity.
    #[error("this pod: {0}")]
    Pod(String),
}

impl Bootstrap {
    /// Reads and checks all of it. In a pod this waits up to 30 s for the roots.
    ///
    /// # Errors
    /// What is missing or malformed; the message names file and field.
    pub fn load(source: &Source) -> Result<Self, BootstrapError> {
        match source {
            Source::File(path) => file::load(path),
            Source::Pod(pod) => pod::load(pod, PATIENCE),
        }
    }
}

/// Checks `host:port`.
pub(crate) fn host_and_port(address: &str) -> Result<String, String> {
    let good = address
        .rsplit_once(':')
        .is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok_and(|p| p != 0))
        && http::uri::Authority::try_from(address).is_ok();
    if good { Ok(address.to_owned()) } else { Err(format!("{address:?} is not <host>:<port>")) }
}

/// Reads a small text whole.
fn read_text(file: File, most: u64) -> io::Result<String> {
    let mut text = String::new();
    if file.take(most + 1).read_to_string(&mut text)? as u64 > most {
        return Err(io::Error::other(format!("more than {most} bytes")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests;

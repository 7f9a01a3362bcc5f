//! What a pod's sidecar is told instead of a bootstrap file: its names, by flags or environment, and two files that
//! the kubelet keeps up to date: the roots and a service-account token. None of it is a secret but the token.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use weft_certs::{SpiffeId, TrustDomain};
use weft_proto::names;

use super::{Bootstrap, BootstrapError, ControlPlaneAddress, Roots, ServiceName, Token};
use crate::model::Locality;

/// How often the roots are looked for that are not there yet.
const LOOK: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pod {
    /// `metadata.name`.
    pub name: String,
    /// `metadata.namespace`.
    pub namespace: String,
    /// `spec.serviceAccountName`.
    pub service_account: String,
    /// `host:port`.
    pub control_plane: String,
    /// Whose certificate the control plane has.
    pub control_plane_account: Account,
    /// PEM of the roots.
    pub trust_bundle: PathBuf,
    /// The token.
    pub identity_token: PathBuf,
    /// What the workload is called in traces.
    pub service: ServiceName,
}

/// A service account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Account {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
}

impl std::str::FromStr for Account {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('/') {
            Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
                Ok(Self { namespace: namespace.to_owned(), name: name.to_owned() })
            }
            _ => Err(format!("`{text}` is no NAMESPACE/NAME")),
        }
    }
}

/// Waits up to `patience` for the roots: a volume may be filled a moment later than the container starts.
pub(super) fn load(pod: &Pod, patience: Duration) -> Result<Bootstrap, BootstrapError> {
    let (roots, domain) = wait_for_roots(&pod.trust_bundle, patience)?;
    let account = |field: &str, namespace: &str, name: &str| {
        SpiffeId::workload(&domain, namespace, name).map_err(|error| {
            BootstrapError::Pod(format!(
                "{field}: there is no identity {namespace}/{name}: {error}"
            ))
        })
    };
    let identity = account("service account", &pod.namespace, &pod.service_account)?;
    let of_control_plane = &pod.control_plane_account;
    let control_plane = account(
        "control plane's service account",
        &of_control_plane.namespace,
        &of_control_plane.name,
    )?;
    let workload = names::workload(&pod.name, &pod.namespace);
    if names::parse_workload(&workload) != Some((&pod.name, &pod.namespace)) {
        return Err(BootstrapError::Pod(format!("{workload:?} is not <pod>.<namespace>")));
    }
    Ok(Bootstrap {
        workload,
        identity,
        control_plane: ControlPlaneAddress {
            address: pod.control_plane.clone(),
            identity: control_plane,
        },
        roots,
        token: Some(Token::ServiceAccount(pod.identity_token.clone())),
        service: pod.service.clone(),
        locality: Locality::default(),
        in_pod: true,
    })
}

#[allow(clippy::disallowed_methods, reason = "before any worker or runtime is started")]
fn wait_for_roots(path: &Path, patience: Duration) -> Result<(Roots, TrustDomain), BootstrapError> {
    let start = Instant::now();
    let mut told = false;
    loop {
        let reason = match Roots::from_file(path) {
            Ok(found) => return Ok(found),
            Err(reason) => reason,
        };
        if start.elapsed() >= patience {
            let path = path.to_owned();
            return Err(BootstrapError::Roots { path, reason, patience });
        }
        if !std::mem::replace(&mut told, true) {
            tracing::warn!(path = %path.display(), reason, ?patience, "waiting for the trust bundle");
        }
        std::thread::sleep(LOOK);
    }
}

#[cfg(test)]
mod tests;

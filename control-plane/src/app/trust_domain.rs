//! Which trust domain this control plane is for. Decided once, at the first start, because every certificate
//! and every id in the mesh hangs on it; recorded beside the CA and never changed by a later configuration.

use anyhow::{Context, Result, bail};
use weft_certs::TrustDomain;

use super::state_dir::StateDir;
use crate::config::Config;
use crate::finding::{Finding, Severity};
use crate::source::DirectorySource;

/// The recorded one; at the first start the flag's, else the `MeshConfig`'s, else the default.
///
/// # Errors
/// If the flag asks for another one than is recorded, or if it would have to be guessed because the
/// `MeshConfig` is broken.
pub(super) fn decide(
    state: &StateDir,
    config: &Config,
    source: &DirectorySource,
) -> Result<TrustDomain> {
    if let Some(recorded) = state.trust_domain()? {
        match &config.trust_domain {
            Some(asked) if *asked != recorded => bail!(
                "the CA in {} is for the trust domain {recorded}, but --trust-domain asks for {asked}; \
                 a mesh with another trust domain needs another state directory",
                state.path().display()
            ),
            _ => return Ok(recorded),
        }
    }
    if let Some(asked) = &config.trust_domain {
        return Ok(asked.clone());
    }
    if let Some(finding) = source.findings().borrow().iter().find(|finding| breaks(finding)) {
        bail!(
            "the trust domain of the new CA is not known, as the MeshConfig cannot be used: {finding}; \
             correct it or pass --trust-domain"
        );
    }
    let named = source.mesh().borrow().config.trust_domain.clone();
    named.parse().with_context(|| format!("spec.trustDomain {named:?} of the MeshConfig"))
}

fn breaks(finding: &Finding) -> bool {
    finding.severity() == Severity::Error && finding.object.starts_with("MeshConfig ")
}

#[cfg(test)]
mod tests;

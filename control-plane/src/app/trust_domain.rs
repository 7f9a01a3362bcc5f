//! Which trust domain this control plane is for. Decided once, at the first start, because every certificate
//! and every id in the mesh hangs on it; recorded beside the CA and never changed by a later configuration.

use anyhow::{Context, Result, bail};
use weft_certs::TrustDomain;

use crate::finding::{Finding, Severity};
use crate::model::Mesh;

/// The `recorded` one; at the first start the one `asked` for by flag, else the `MeshConfig`'s, else the default.
/// `kept` names where it is recorded.
///
/// # Errors
/// If the flag asks for another one than is recorded, or if it would have to be guessed because the
/// `MeshConfig` is broken.
pub(super) fn decide(
    recorded: Option<TrustDomain>,
    asked: Option<&TrustDomain>,
    kept: &str,
    (mesh, findings): (&Mesh, &[Finding]),
) -> Result<TrustDomain> {
    if let Some(recorded) = recorded {
        match asked {
            Some(asked) if *asked != recorded => bail!(
                "the CA in {kept} is for the trust domain {recorded}, but --trust-domain asks for {asked}; \
                 a mesh with another trust domain needs another state"
            ),
            _ => return Ok(recorded),
        }
    }
    if let Some(asked) = asked {
        return Ok(asked.clone());
    }
    if let Some(finding) = findings.iter().find(|finding| breaks(finding)) {
        bail!(
            "the trust domain of the new CA is not known, as the MeshConfig cannot be used: {finding}; \
             correct it or pass --trust-domain"
        );
    }
    let named = &mesh.config.trust_domain;
    named.parse().with_context(|| format!("spec.trustDomain {named:?} of the MeshConfig"))
}

fn breaks(finding: &Finding) -> bool {
    finding.severity() == Severity::Error && finding.object.starts_with("MeshConfig ")
}

#[cfg(test)]
mod tests;

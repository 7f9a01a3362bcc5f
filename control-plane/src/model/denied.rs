//! Who is denied by the mesh's settings, whatever an `AccessPolicy` allows him.

use weft_certs::{Denial, Denied, DenyList, Serial, SpiffeId, TrustDomain};

use super::Mesh;

/// One entry of `denied`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DeniedPeer {
    /// Who.
    pub who: DeniedWho,
    /// Why, for people; may be empty.
    pub reason: String,
}

/// How somebody is named who is denied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DeniedWho {
    /// A workload by its SPIFFE id, with whatever certificate.
    Identity(SpiffeId),
    /// The same by namespace and service account, in the trust domain of the mesh.
    Account(String, String),
    /// A certificate by its serial number.
    Serial(Serial),
}

impl Mesh {
    /// Everybody who is denied.
    #[must_use]
    pub fn deny_list(&self) -> DenyList {
        let mut list = DenyList::default();
        let Some(domain) = self.domain() else { return list };
        for DeniedPeer { who, reason } in &self.config.denied {
            match who {
                DeniedWho::Identity(id) => list.deny_identity(id.clone(), reason),
                DeniedWho::Account(namespace, account) => {
                    // What makes no id is nobody's.
                    if let Ok(id) = SpiffeId::workload(&domain, namespace, account) {
                        list.deny_identity(id, reason);
                    }
                }
                DeniedWho::Serial(serial) => list.deny_serial(serial.clone(), reason),
            }
        }
        list
    }

    /// Is this peer denied? Without a serial number: whatever certificate it will have.
    #[must_use]
    pub fn denial(&self, id: &SpiffeId, serial: Option<&Serial>) -> Option<Denial> {
        let denied = self.config.denied.iter().find(|denied| match &denied.who {
            DeniedWho::Identity(denied) => denied == id,
            DeniedWho::Account(namespace, account) => {
                id.trust_domain().as_str() == self.config.trust_domain
                    && (id.namespace(), id.service_account()) == (namespace, account)
            }
            DeniedWho::Serial(denied) => Some(denied) == serial,
        })?;
        let what = match &denied.who {
            DeniedWho::Serial(serial) => Denied::Serial(serial.clone()),
            DeniedWho::Identity(_) | DeniedWho::Account(..) => Denied::Identity(id.clone()),
        };
        Some(Denial { what, reason: denied.reason.as_str().into() })
    }

    fn domain(&self) -> Option<TrustDomain> {
        self.config.trust_domain.parse().ok()
    }
}

#[cfg(test)]
mod tests;

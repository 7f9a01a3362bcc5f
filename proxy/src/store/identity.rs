//! `identity`: key, chain and trust bundle in one file, so that a crash can never leave a key beside
//! somebody else's certificate.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use weft_certs::{Leaf, TrustBundle};
use zeroize::Zeroizing;

use super::Store;

const FILE: &str = "identity";

/// What identity keeps.
#[derive(Clone, Debug)]
pub(crate) struct StoredIdentity {
    pub(crate) leaf: Leaf,
    pub(crate) bundle: TrustBundle,
    /// When the leaf is to be renewed.
    pub(crate) renew_at: SystemTime,
    /// Digest of the bootstrap's roots under which it was made; another one means that somebody
    /// enrolled this proxy anew.
    pub(crate) enrolment: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    leaf: Zeroizing<String>,
    trust_bundle: String,
    renew_at_ms: u64,
    enrolment: String,
}

impl Store {
    /// The stored identity; a broken one is reported and counts as missing. It may have expired.
    pub(crate) fn identity(&self) -> Option<StoredIdentity> {
        self.read(Path::new(FILE), parse)
    }

    /// Keeps it. A failure is logged and not an error: the proxy goes on, a restart would begin anew.
    pub(crate) fn save_identity(&self, identity: &StoredIdentity) -> bool {
        let since = identity.renew_at.duration_since(UNIX_EPOCH).unwrap_or_default();
        let raw = Raw {
            leaf: identity.leaf.to_pem(),
            trust_bundle: identity.bundle.to_pem(),
            renew_at_ms: u64::try_from(since.as_millis()).unwrap_or(u64::MAX),
            enrolment: identity.enrolment.clone(),
        };
        // Never grown, which would leave a key where it was before: a line end takes two bytes in JSON, little else is longer.
        let mut json = Zeroizing::new(Vec::with_capacity(
            2 * (raw.leaf.len() + raw.trust_bundle.len()) + 1024,
        ));
        serde_json::to_writer(&mut *json, &raw).expect("strings and a number are JSON");
        self.write(Path::new(FILE), &json)
    }
}

fn parse(bytes: &[u8]) -> Result<StoredIdentity, String> {
    let raw: Raw = serde_json::from_slice(bytes).map_err(|error| error.to_string())?;
    let renew_at = UNIX_EPOCH.checked_add(Duration::from_millis(raw.renew_at_ms));
    Ok(StoredIdentity {
        leaf: Leaf::from_pem(&raw.leaf).map_err(|error| error.to_string())?,
        bundle: TrustBundle::from_pem(&raw.trust_bundle).map_err(|error| error.to_string())?,
        renew_at: renew_at.ok_or("renew_at_ms is out of range")?,
        enrolment: raw.enrolment,
    })
}

//! Weft's own `DenyList` → [`DenyList`]. One entry that cannot be read makes the whole list unreadable: the one before
//! stays, and the control plane is told.

use weft_certs::{DenyList, Serial, SpiffeId};
use weft_proto::config;

use super::reject::{Reject, each};

/// Bound: entries of either kind.
const MAX_ENTRIES: usize = 10_000;
/// Bound: letters of a reason that are kept.
const MAX_REASON: usize = 256;

/// Decodes it.
pub(super) fn deny_list(message: config::DenyList) -> Result<DenyList, Reject> {
    let config::DenyList { identities, serials } = message;
    for (field, length) in [("identities", identities.len()), ("serials", serials.len())] {
        if length > MAX_ENTRIES {
            return Err(Reject::new(field, format!("{length} entries, at most {MAX_ENTRIES}")));
        }
    }
    let mut list = DenyList::default();
    each("identities", identities, |config::DeniedIdentity { id, reason }| {
        let id = SpiffeId::parse(&id).map_err(|error| Reject::new("id", error.to_string()))?;
        list.deny_identity(id, &shortened(&reason));
        Ok(())
    })?;
    each("serials", serials, |config::DeniedSerial { serial, reason }| {
        let serial = Serial::new(&serial);
        if serial.bytes().is_empty() || !serial.is_possible() {
            return Err(Reject::new("serial", "not 1 to 20 bytes, the first of them not zero"));
        }
        list.deny_serial(serial, &shortened(&reason));
        Ok(())
    })?;
    Ok(list)
}

fn shortened(reason: &str) -> String {
    reason.chars().take(MAX_REASON).collect()
}

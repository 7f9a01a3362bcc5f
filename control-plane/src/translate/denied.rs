//! The deny list: one small resource that every proxy of ours asks for, and nobody else.

use weft_certs::{DenyList, Serial, SpiffeId};
use weft_proto::config::{self, DeniedIdentity, DeniedSerial};
use weft_proto::names::DENY_LIST;

use super::{Resource, encode::encode};

/// Who is denied.
pub(super) fn deny_list(list: &DenyList) -> Resource {
    let identity = |(id, reason): (&SpiffeId, &str)| DeniedIdentity {
        id: id.to_string(),
        reason: reason.to_owned(),
    };
    let serial = |(serial, reason): (&Serial, &str)| DeniedSerial {
        serial: serial.bytes().to_vec(),
        reason: reason.to_owned(),
    };
    let list = config::DenyList {
        identities: list.identities().map(identity).collect(),
        serials: list.serials().map(serial).collect(),
    };
    encode(DENY_LIST, list)
}

//! `denied` of `MeshConfig`. Where the object as a whole cannot be read, what of this can be read is denied all the same,
//! beside what was denied before: a slip elsewhere must not let somebody in.

use std::sync::Arc;

use serde_json::Value;
use weft_certs::{Serial, SpiffeId};

use super::super::names;
use super::super::object::Object;
use super::super::problem::Problems;
use super::super::schema::mesh::{Denied, DeniedIdentity, DeniedSerial};
use crate::model::{DeniedPeer, DeniedWho, MeshConfig};

/// Bounds, those of the schema.
const MAX_ENTRIES: usize = 1000;
const MAX_REASON: usize = 256;

/// Reads them.
pub(super) fn read(denied: Denied, problems: &mut Problems) -> Vec<DeniedPeer> {
    let Denied { identities, serials } = denied;
    let mut all = Vec::new();
    names::at_most(identities.len(), MAX_ENTRIES, "spec.denied.identities", problems);
    for (index, DeniedIdentity { identity, reason }) in identities.into_iter().enumerate() {
        let field = format!("spec.denied.identities[{index}]");
        let reason = reason_of(reason, &field, problems);
        match who(&identity) {
            Ok(who) => all.push(DeniedPeer { who, reason }),
            Err(problem) => problems.invalid(format!("{field}.identity"), problem),
        }
    }
    names::at_most(serials.len(), MAX_ENTRIES, "spec.denied.serials", problems);
    for (index, DeniedSerial { serial, reason }) in serials.into_iter().enumerate() {
        let field = format!("spec.denied.serials[{index}]");
        let reason = reason_of(reason, &field, problems);
        match number(&serial) {
            Ok(serial) => all.push(DeniedPeer { who: DeniedWho::Serial(serial), reason }),
            Err(problem) => problems.invalid(format!("{field}.serial"), problem),
        }
    }
    all
}

fn reason_of(reason: Option<String>, field: &str, problems: &mut Problems) -> String {
    let reason = reason.unwrap_or_default();
    if reason.chars().count() > MAX_REASON {
        let message = format!("longer than {MAX_REASON} characters");
        problems.invalid(format!("{field}.reason"), message);
    }
    reason
}

fn who(text: &str) -> Result<DeniedWho, String> {
    if text.contains("://") {
        let id = SpiffeId::parse(text);
        let id = id.map_err(|error| format!("{text:?} is no SPIFFE id: {error}"))?;
        return Ok(DeniedWho::Identity(id));
    }
    let account = text.split_once('/');
    match account
        .filter(|(namespace, name)| names::is_label(namespace) && names::is_subdomain(name))
    {
        Some((namespace, name)) => Ok(DeniedWho::Account(namespace.to_owned(), name.to_owned())),
        None => Err(format!("{text:?} is no identity: write a SPIFFE id, or namespace/account")),
    }
}

fn number(text: &str) -> Result<Serial, String> {
    let serial: Result<Serial, _> = text.parse();
    let serial = serial.map_err(|error| format!("{text:?} is no serial number: {error}"))?;
    match serial.bytes().is_empty() {
        true => Err("no certificate has the serial number 0".to_owned()),
        false => Ok(serial),
    }
}

/// What can be read of it in an object that cannot be read. Bound: as many as may be written.
pub(crate) fn readable(value: &Value) -> Vec<DeniedPeer> {
    let denied = &value["spec"]["denied"];
    let entries = |list: &str| denied[list].as_array().cloned().unwrap_or_default();
    let entry = |entry: &Value, field: &str, read: &dyn Fn(&str) -> Result<DeniedWho, String>| {
        let who = read(entry[field].as_str()?).ok()?;
        let reason = entry["reason"].as_str().unwrap_or_default();
        Some(DeniedPeer { who, reason: reason.chars().take(MAX_REASON).collect() })
    };
    let serial = |text: &str| number(text).map(DeniedWho::Serial);
    let identities = entries("identities").into_iter().take(MAX_ENTRIES);
    let serials = entries("serials").into_iter().take(MAX_ENTRIES);
    let identities = identities.filter_map(|one| entry(&one, "identity", &who));
    identities.chain(serials.filter_map(|one| entry(&one, "serial", &serial))).collect()
}

/// What is in force where the newest text cannot be read, `before` being what was: that, and whom the text denies.
/// `None` if nothing changes.
pub(crate) fn with(before: Option<&Object>, denied: &[DeniedPeer]) -> Option<Arc<Object>> {
    let mut config = match before {
        Some(Object::MeshConfig(config)) => config.clone(),
        Some(_) => return None,
        None => MeshConfig::default(),
    };
    let known = config.denied.len();
    for peer in denied {
        let is_known = config.denied.iter().any(|other| other.who == peer.who);
        // Bound: twice what may be written, of what was in force and of what is written now.
        if !is_known && config.denied.len() < 4 * MAX_ENTRIES {
            config.denied.push(peer.clone());
        }
    }
    (config.denied.len() > known).then(|| Arc::new(Object::MeshConfig(config)))
}

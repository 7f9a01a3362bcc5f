//! What stands for an object that decides about access and cannot be read. Nobody knows what it would have forbidden, so
//! what it selects, as far as that can be told, is closed.
//!
//! For an `AccessPolicy` it counts at once, whatever was in force before ([`access`]). For an `InboundPolicy`, a
//! `MeshConfig`, and an `AccessPolicy` of which it is not even sure which one it is, the last good version counts; this
//! does where there is none, as after a restart. Pure; called by `document`, put in force by `store` and `kubernetes`.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::model::{AccessPolicy, InboundPolicy, Key, MeshConfig, Origin};

use super::inbound_policy::InboundDraft;
use super::mesh_config::{default_access, mode};
use super::metadata::namespace_or_default;
use super::names;
use super::object::{Kind, Object, ObjectId};
use super::schema::policy::{DefaultAccessName, MtlsName};

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct StandIn {
    pub(crate) id: ObjectId,
    pub(crate) object: Arc<Object>,
    /// What that means, to stand behind a finding.
    pub(crate) means: &'static str,
}

/// Labels and ports.
type Selected = (BTreeMap<String, String>, Vec<u16>);

/// Whatever is odd about a selection selects more, not less.
fn selected(spec: &Value) -> Selected {
    let texts = |labels: &Map<String, Value>| {
        let text =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        labels.iter().map(text).collect::<Option<BTreeMap<_, _>>>()
    };
    let labels = match spec["selector"].as_object() {
        Some(selector) if selector.keys().all(|name| name == "matchLabels") => {
            spec["selector"]["matchLabels"].as_object().and_then(texts)
        }
        _ => None,
    };
    let number = |port: &Value| u16::try_from(port.as_u64()?).ok().filter(|port| *port > 0);
    let ports = spec["ports"].as_array();
    let ports = ports.and_then(|ports| ports.iter().map(number).collect::<Option<Vec<_>>>());
    (labels.unwrap_or_default(), ports.unwrap_or_default())
}

/// Of an `AccessPolicy`: everything is denied to what it selects. One that would only have told of something denies
/// nothing.
pub(crate) fn access(key: &Key, value: &Value) -> AccessPolicy {
    let spec = &value["spec"];
    let (labels, ports) = selected(spec);
    let mut policy = AccessPolicy::closed(&key.namespace, labels, ports);
    if spec["action"] == "AUDIT" {
        policy.rules.clear();
    }
    policy
}

/// Of an object that is known: its defaults as they are written, or closed where they cannot be read. `None` if it says
/// nothing of access.
pub(crate) fn of(id: &ObjectId, value: &Value) -> Option<StandIn> {
    let object = match id.kind {
        Kind::InboundPolicy => Object::InboundPolicy(inbound(&id.key, value)?),
        Kind::MeshConfig if id.key == Key::new("weft-system", "default") => {
            Object::MeshConfig(mesh(value)?)
        }
        _ => return None,
    };
    let means =
        "its mtls and defaultAccess are in force, as STRICT and deny where they cannot be read";
    Some(StandIn { id: id.clone(), object: Arc::new(object), means })
}

fn inbound(key: &Key, value: &Value) -> Option<InboundDraft> {
    let spec = &value["spec"];
    let (access, mtls) = match spec.is_object() {
        true => defaults(value),
        false => (Some(DefaultAccessName::Deny), None),
    };
    if access.is_none() && mtls.is_none() {
        return None;
    }
    let (selector, ports) = selected(spec);
    let policy = InboundPolicy {
        origin: Origin::default(),
        // The oldest, so that it counts before those that are as narrow.
        created: 0,
        namespace: key.namespace.clone(),
        selector,
        ports,
        mtls: mtls.map(mode),
        default_access: access.map(default_access),
        rate_limits: Vec::new(),
    };
    Some(InboundDraft { key: key.clone(), policy })
}

fn mesh(value: &Value) -> Option<MeshConfig> {
    let (access, mtls) = defaults(value);
    if access.is_none() && mtls.is_none() {
        return None;
    }
    let mut config = MeshConfig::default();
    config.default_access = access.map_or(config.default_access, default_access);
    config.mtls = mtls.map_or(config.mtls, mode);
    Some(config)
}

fn defaults(value: &Value) -> (Option<DefaultAccessName>, Option<MtlsName>) {
    let is_access = |name: &str| name.contains("access") && !name.contains("log");
    let access = said(value, "defaultAccess", &is_access, DefaultAccessName::Deny);
    (access, said(value, "mtls", &|name| name.contains("tls"), MtlsName::Strict))
}

/// What a field says, or `closed` where it cannot be read, or stands there under a similar name or in another place.
fn said<T: DeserializeOwned>(
    value: &Value,
    field: &str,
    is_like: &dyn Fn(&str) -> bool,
    closed: T,
) -> Option<T> {
    if let Some(written) = value["spec"].get(field) {
        return Some(serde_json::from_value(written.clone()).unwrap_or(closed));
    }
    let fields = [value, &value["spec"]].into_iter().filter_map(Value::as_object);
    let mut names = fields.flat_map(Map::keys);
    names.any(|name| is_like(&name.to_ascii_lowercase())).then_some(closed)
}

/// Of a document that says it is an `AccessPolicy`, and which one cannot be told. `place`: what it is called instead.
pub(crate) fn unidentified(value: &Value, place: &str) -> Option<StandIn> {
    if !value["kind"].as_str().is_some_and(is_access_policy) {
        return None;
    }
    let metadata = &value["metadata"];
    let name = metadata["name"].as_str().filter(|name| names::is_subdomain(name)).unwrap_or(place);
    let key = Key::new(namespace_or_default(metadata["namespace"].as_str()), name);
    let policy = access(&key, value);
    Some(closed(key, policy, "until then everything that it selects is denied"))
}

/// The same of one that is no YAML: what it selects cannot be told either, so it is all of its namespace.
pub(crate) fn of_text(text: &str, place: &str) -> Option<StandIn> {
    if !written(text, "kind").is_some_and(is_access_policy) {
        return None;
    }
    let name = written(text, "name").filter(|name| names::is_subdomain(name)).unwrap_or(place);
    let key = Key::new(namespace_or_default(written(text, "namespace")), name);
    let policy = AccessPolicy::closed(&key.namespace, BTreeMap::new(), Vec::new());
    Some(closed(key, policy, "until then everything in its namespace is denied"))
}

/// Whatever its case, and in the plural.
fn is_access_policy(kind: &str) -> bool {
    ["AccessPolicy", "AccessPolicies"].iter().any(|name| kind.eq_ignore_ascii_case(name))
}

fn closed(key: Key, policy: AccessPolicy, means: &'static str) -> StandIn {
    let object = Arc::new(Object::AccessPolicy(policy));
    StandIn { id: ObjectId { kind: Kind::AccessPolicy, key }, object, means }
}

/// The word behind the first `name:` of a text, quoted or not, outside of comments.
fn written<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    let of_word = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '/');
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let value = |line: &'a str| {
        line.match_indices(name).find_map(|(at, _)| {
            if line[..at].ends_with(of_word) {
                return None;
            }
            let rest = line[at + name.len()..].trim_start_matches(['"', '\'']);
            let rest = rest.trim_start().strip_prefix(':')?;
            let rest = rest.trim_start().trim_start_matches(['"', '\'']);
            let end = rest.find(|c| !of_word(c)).unwrap_or(rest.len());
            Some(&rest[..end]).filter(|word| !word.is_empty())
        })
    };
    lines.into_iter().find_map(value)
}

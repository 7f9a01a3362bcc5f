//! `metadata`: who an object is.

use std::collections::BTreeMap;

use crate::model::Key;

use super::annotations::{self, Annotations};
use super::names;
use super::problem::Problems;
use super::schema::Metadata;

/// What the kinds need of it.
#[derive(Debug)]
pub(crate) struct Identity {
    pub(crate) key: Key,
    pub(crate) labels: BTreeMap<String, String>,
    pub(crate) annotations: Annotations,
    /// Seconds since the epoch; 0 where there is none.
    pub(crate) created: i64,
}

/// Checks name, namespace, labels and time.
pub(crate) fn check(metadata: Metadata, problems: &mut Problems) -> Identity {
    for (key, value) in &metadata.labels {
        if !is_label_key(key) || !is_label_value(value) {
            problems.invalid_hint(
                "metadata.labels",
                format!("{key:?}: {value:?} is not a label"),
                "letters, digits, '-', '_' and '.', at most 63 of them, beginning and ending in a letter or digit",
            );
        }
    }
    let created = metadata.creation_timestamp.as_deref().map_or(0, |text| {
        let format = &time::format_description::well_known::Rfc3339;
        let parsed = time::OffsetDateTime::parse(text, format);
        parsed.map(time::OffsetDateTime::unix_timestamp).unwrap_or_else(|_| {
            problems.invalid_hint(
                "metadata.creationTimestamp",
                format!("{text:?} is not a time"),
                "write it like 2026-01-31T12:00:00Z, or leave it out",
            );
            0
        })
    });
    let namespace = namespace_or_default(metadata.namespace.as_deref()).to_owned();
    let annotations = annotations::read(&metadata.annotations, problems);
    let key = Key::new(namespace, metadata.name);
    Identity { key, labels: metadata.labels, annotations, created }
}

/// Absent and empty mean `default`.
pub(crate) fn namespace_or_default(namespace: Option<&str>) -> &str {
    namespace.filter(|name| !name.is_empty()).unwrap_or("default")
}

/// `[prefix/]name`.
fn is_label_key(key: &str) -> bool {
    let (prefix, name) = key.split_once('/').unwrap_or(("a", key));
    names::is_subdomain(prefix) && !name.is_empty() && is_label_value(name)
}

fn is_label_value(value: &str) -> bool {
    let edge = |byte: Option<&u8>| byte.is_none_or(u8::is_ascii_alphanumeric);
    value.len() <= 63
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
        && edge(value.as_bytes().first())
        && edge(value.as_bytes().last())
}

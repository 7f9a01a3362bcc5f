//! The shapes of what users write, as serde types: strict, so that a typing error is told and never ignored.
//!
//! Called by `document`. Only shapes and their defaults stand here; what values mean and which are allowed
//! is decided by the module of each kind. No type knows that it came from YAML.

pub(crate) mod access;
pub(crate) mod balancing;
pub(crate) mod grpc_route;
pub(crate) mod health_check;
pub(crate) mod http_route;
pub(crate) mod mesh;
pub(crate) mod policy;
pub(crate) mod service;
pub(crate) mod telemetry;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{DeserializeOwned, Deserializer, IgnoredAny, Visitor};
use serde_json::Value;

/// A whole object.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Manifest<S> {
    #[serde(rename = "apiVersion")]
    _api_version: IgnoredAny,
    #[serde(rename = "kind")]
    _kind: IgnoredAny,
    /// Name, labels and so on.
    pub(crate) metadata: Metadata,
    /// What the kind adds.
    pub(crate) spec: S,
    #[serde(default, rename = "status")]
    _status: IgnoredAny,
}

/// `ObjectMeta`; fields that Weft does not use are taken and dropped, for servers write them.
#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct Metadata {
    /// Of the object.
    pub(crate) name: String,
    /// Absent means `default`.
    pub(crate) namespace: Option<String>,
    /// For selectors.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) labels: BTreeMap<String, String>,
    /// RFC 3339; decides between objects that conflict.
    pub(crate) creation_timestamp: Option<String>,
    /// Of anybody; `annotations` knows Weft's.
    #[serde(default, deserialize_with = "null_as_default")]
    pub(crate) annotations: BTreeMap<String, String>,
    #[serde(default, rename = "generateName")]
    _generate_name: IgnoredAny,
    #[serde(default, rename = "generation")]
    _generation: IgnoredAny,
    #[serde(default, rename = "uid")]
    _uid: IgnoredAny,
    #[serde(default, rename = "resourceVersion")]
    _resource_version: IgnoredAny,
    #[serde(default, rename = "selfLink")]
    _self_link: IgnoredAny,
    #[serde(default, rename = "ownerReferences")]
    _owner_references: IgnoredAny,
    #[serde(default, rename = "finalizers")]
    _finalizers: IgnoredAny,
    #[serde(default, rename = "managedFields")]
    _managed_fields: IgnoredAny,
    #[serde(default, rename = "deletionTimestamp")]
    _deletion_timestamp: IgnoredAny,
    #[serde(default, rename = "deletionGracePeriodSeconds")]
    _deletion_grace_period: IgnoredAny,
}

/// Why a value does not have its shape.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct ShapeError {
    /// Path of the field.
    pub(crate) field: String,
    /// What is wrong.
    pub(crate) message: String,
    /// How to mend it, where it can be told.
    pub(crate) hint: Option<String>,
}

/// Reads a value into its shape.
///
/// # Errors
/// The first field that does not fit.
pub(crate) fn read<T: DeserializeOwned>(value: Value) -> Result<T, ShapeError> {
    serde_path_to_error::deserialize(value).map_err(|error| {
        let field = error.path().to_string();
        let field = if field == "." { String::new() } else { field };
        explain(field, &error.inner().to_string())
    })
}

/// Turns serde's words into ours: what is wrong in the message, what would be right in the hint.
fn explain(field: String, text: &str) -> ShapeError {
    let words: Vec<&str> = text.split('`').collect();
    let known = words.iter().skip(3).step_by(2).copied().collect::<Vec<_>>();
    let (message, hint) = if text.starts_with("unknown field") && words.len() > 1 {
        (format!("there is no field {}", words[1]), Some(suggest(words[1], &known)))
    } else if text.starts_with("unknown variant") && words.len() > 1 {
        (format!("{:?} is not a value of this field", words[1]), Some(suggest(words[1], &known)))
    } else if text.starts_with("missing field") && words.len() > 1 {
        (format!("{} is missing", words[1]), Some(format!("add {}", words[1])))
    } else if text.starts_with("invalid type: null") {
        let hint = "write a value, or leave the field out";
        ("the field is empty".to_owned(), Some(hint.to_owned()))
    } else if text.ends_with("expected a string") {
        (text.replace('`', ""), Some("put the value in quotes".to_owned()))
    } else {
        (text.replace('`', ""), None)
    };
    ShapeError { field, message, hint }
}

fn suggest(written: &str, known: &[&str]) -> String {
    let near = |name: &&&str| name.eq_ignore_ascii_case(written) || distance(written, name) <= 2;
    match known.iter().find(near) {
        Some(name) => format!("did you mean {name}?"),
        None if known.is_empty() => "remove it".to_owned(),
        None => format!("one of {}", known.join(", ")),
    }
}

/// Letters to insert, delete or replace.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, left) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, right) in b.iter().enumerate() {
            let replaced = diagonal + usize::from(left != *right);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// A number or a string, as `targetPort` is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum NumberOrText {
    /// `8080`.
    Number(i64),
    /// `http`.
    Text(String),
}

impl<'de> Deserialize<'de> for NumberOrText {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Either;
        impl Visitor<'_> for Either {
            type Value = NumberOrText;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a whole number or a name")
            }

            fn visit_i64<E>(self, value: i64) -> Result<NumberOrText, E> {
                Ok(NumberOrText::Number(value))
            }

            fn visit_u64<E>(self, value: u64) -> Result<NumberOrText, E> {
                Ok(NumberOrText::Number(i64::try_from(value).unwrap_or(i64::MAX)))
            }

            fn visit_str<E>(self, value: &str) -> Result<NumberOrText, E> {
                Ok(NumberOrText::Text(value.to_owned()))
            }
        }
        deserializer.deserialize_any(Either)
    }
}

/// For a field that may be left out and must not be empty: what somebody began to write is not what he left out.
///
/// # Errors
/// If it is null.
pub(crate) fn written<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de>,
{
    T::deserialize(deserializer).map(Some)
}

/// `labels:` with nothing behind it is an empty map, as the Kubernetes API takes it.
pub(crate) fn null_as_default<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Deserialize<'de> + Default,
{
    Ok(Option::deserialize(deserializer)?.unwrap_or_default())
}

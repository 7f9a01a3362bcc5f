//! Manifests as text: YAML or JSON in, the same out.
//!
//! Called by `inject`, and by `install` for JSON. YAML is read as kubectl reads it, by the rules of 1.1: `0644` is octal and `yes` is true. It is
//! written so that readers by 1.1 and by 1.2 understand the same. Keys keep their order; comments are lost.

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

/// Bound: nodes of all documents of one input, aliases expanded.
const MAX_NODES: usize = 2_000_000;
/// Bound: nesting, kept low because the parser recurses.
const MAX_DEPTH: usize = 64;
/// Bound: documents of one input.
const MAX_DOCUMENTS: usize = 10_000;

/// Which of the two.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Form {
    Yaml,
    Json,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Text {
    pub(super) form: Form,
    /// Those that hold something.
    pub(crate) documents: Vec<Value>,
}

/// Reads one input.
pub(crate) fn parse(text: &str) -> Result<Text> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let (form, documents) = match text.trim_start().starts_with('{') {
        true => (Form::Json, json(text).or_else(|_| yaml(text))?),
        false => (Form::Yaml, yaml(text)?),
    };
    let documents: Vec<Value> = documents.into_iter().filter(|value| !value.is_null()).collect();
    for document in &documents {
        if !document.is_object() {
            bail!("a document is no object of Kubernetes: {}", shorten(document));
        }
    }
    Ok(Text { form, documents })
}

/// Writes them.
pub(super) fn render(form: Form, documents: &[Value]) -> Result<String> {
    let mut text = String::new();
    for (index, document) in documents.iter().enumerate() {
        match form {
            Form::Json => text += &(serde_json::to_string_pretty(document)? + "\n"),
            Form::Yaml => {
                if index > 0 {
                    text += "---\n";
                }
                // Long lines are not folded: whoever compares wants to see what changed.
                let options = serde_saphyr::ser_options! { folded_wrap_chars: usize::MAX };
                let document = serde_saphyr::to_string_with_options(document, options);
                text += &document.context("cannot write YAML")?;
            }
        }
    }
    Ok(text)
}

/// One JSON value: a List where there are several, as kubectl writes them.
pub(crate) fn list(mut documents: Vec<Value>) -> Value {
    match documents.len() {
        1 => documents.remove(0),
        _ => json!({ "apiVersion": "v1", "kind": "List", "items": documents }),
    }
}

/// One after the other.
fn json(text: &str) -> serde_json::Result<Vec<Value>> {
    serde_json::Deserializer::from_str(text).into_iter().collect()
}

fn yaml(text: &str) -> Result<Vec<Value>> {
    let options = serde_saphyr::options! {
        budget: serde_saphyr::budget! {
            max_nodes: MAX_NODES,
            max_depth: MAX_DEPTH,
            max_documents: MAX_DOCUMENTS,
        },
        legacy_octal_numbers: true,
        with_snippet: false,
    };
    Ok(serde_saphyr::from_multiple_with_options(text, options)?)
}

fn shorten(value: &Value) -> String {
    value.to_string().chars().take(60).collect()
}

#[cfg(test)]
mod tests;

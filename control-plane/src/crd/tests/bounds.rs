//! Each bound of the schemas is the readers': on it an object is taken, one beyond it is refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::examples::examples;
use super::{kinds, walk};
use crate::finding::Code;
use crate::source::analyze;

/// Is the object taken by its reader, whatever else there is to say of it?
fn is_taken(kind: &str, spec: &Value) -> Result<(), String> {
    let (namespace, name) =
        if kind == "MeshConfig" { ("weft-system", "default") } else { ("shop", "it") };
    let object = json!({
        "apiVersion": "weft.dev/v1alpha1",
        "kind": kind,
        "metadata": { "name": name, "namespace": namespace },
        "spec": spec,
    });
    let (_, findings) = analyze(&[("it.yaml", object.to_string())]);
    let refused = |code| matches!(code, Code::InvalidObject | Code::UnsupportedValue);
    match findings.iter().find(|finding| refused(finding.code)) {
        None => Ok(()),
        Some(finding) => Err(format!("{}: {}", finding.field, finding.message)),
    }
}

/// One bound: where, what to put there, and whether that must be taken.
struct Push {
    path: String,
    /// JSON pointer into the spec.
    at: String,
    value: Value,
    taken: bool,
}

/// Goes through a schema and what is written of it at once.
fn pushes(path: &str, at: &str, schema: &Value, written: &Value, found: &mut Vec<Push>) {
    let mut push = |value: Value, taken: bool| {
        found.push(Push { path: path.to_owned(), at: at.to_owned(), value, taken });
    };
    if written.is_number() {
        for (keyword, step) in [("minimum", -1), ("maximum", 1)] {
            if let Some(bound) = schema[keyword].as_f64() {
                #[allow(clippy::cast_possible_truncation, reason = "bounds are whole numbers")]
                let bound = bound as i64;
                push(json!(bound), true);
                push(json!(bound + step), false);
            }
        }
    }
    if let Some(entries) = written.as_array() {
        let many = |count: u64| (1..=count).map(|number| entry(&entries[0], number)).collect();
        if let Some(bound) = schema["maxItems"].as_u64() {
            push(many(bound), true);
            push(many(bound + 1), false);
        }
        if schema["minItems"] == 1 {
            push(json!([]), false);
        }
        pushes(&format!("{path}[]"), &format!("{at}/0"), &schema["items"], &entries[0], found);
    }
    for (name, value) in written.as_object().into_iter().flatten() {
        let (path, at) = (format!("{path}.{name}"), format!("{at}/{name}"));
        pushes(&path, &at, &schema["properties"][name], value, found);
    }
}

/// The first entry again, as another one where two must differ.
fn entry(first: &Value, number: u64) -> Value {
    let mut entry = first.clone();
    if entry.get("port").is_some() {
        entry["port"] = json!(number);
    }
    entry
}

#[test]
fn bounds_are_those_of_the_readers() {
    let kinds = kinds();
    let mut reached = BTreeSet::new();
    for (name, spec) in examples() {
        assert_eq!(is_taken(name, &spec), Ok(()), "{name} {spec}");
        let kind = kinds.iter().find(|kind| kind.name == name).unwrap();
        let mut found = Vec::new();
        pushes(name, "", &kind.schema, &spec, &mut found);
        for Push { path, at, value, taken } in found {
            let mut pushed = spec.clone();
            *pushed.pointer_mut(&at).unwrap() = value.clone();
            let answer = is_taken(name, &pushed);
            assert_eq!(answer.is_ok(), taken, "{path} = {value}: {answer:?}");
            reached.insert(path);
        }
    }
    for kind in &kinds {
        walk(kind.name, &kind.schema, &mut |path, schema| {
            let bounded = ["minimum", "maximum", "minItems", "maxItems"];
            if bounded.iter().any(|keyword| schema.get(keyword).is_some()) {
                assert!(reached.contains(path), "no example writes {path}");
            }
        });
    }
}

#[test]
fn texts_are_bounded_as_the_readers_bound_them() {
    let web = json!([{ "kind": "Service", "name": "web" }]);
    let fallback =
        |length: usize| json!({ "targetRefs": web, "fallback": { "body": "x".repeat(length) } });
    let cookie = |length: usize| {
        let name = "x".repeat(length);
        json!({ "targetRefs": web, "sessionAffinity": { "cookie": { "name": name } } })
    };
    let path = |length: usize| {
        let path = "/".repeat(length);
        json!({ "address": "10.0.0.1", "probes": [{ "port": 1, "path": path }] })
    };
    let trust = |length: usize| json!({ "trustDomain": "x".repeat(length) });
    for (kind, at, most, make) in [
        ("TrafficPolicy", "fallback/body", 16_384, &fallback as &dyn Fn(usize) -> Value),
        ("TrafficPolicy", "sessionAffinity/cookie/name", 256, &cookie),
        ("MeshWorkload", "probes/path", 1024, &path),
        ("MeshConfig", "trustDomain", 255, &trust),
    ] {
        let schema = kinds().into_iter().find(|known| known.name == kind).unwrap().schema;
        let field = at.split('/').fold(&schema, |schema, name| {
            let schema = if schema["items"].is_object() { &schema["items"] } else { schema };
            &schema["properties"][name]
        });
        assert_eq!(field["maxLength"], most, "{at}");
        assert_eq!(is_taken(kind, &make(most)), Ok(()), "{at}");
        assert!(is_taken(kind, &make(most + 1)).is_err(), "{at}");
    }
}

//! The definitions are what an API server takes, what the files say, and what the readers check.

mod bounds;
mod examples;

use std::path::{Path, PathBuf};

use serde_json::Value;

use super::*;

/// What an API server knows of a structural schema, as far as Weft uses it.
const KEYWORDS: [&str; 22] = [
    "additionalProperties",
    "description",
    "enum",
    "format",
    "items",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "nullable",
    "pattern",
    "properties",
    "required",
    "type",
    "x-kubernetes-int-or-string",
    "x-kubernetes-list-map-keys",
    "x-kubernetes-list-type",
    "x-kubernetes-preserve-unknown-fields",
];

/// Calls `visit` with the path of each schema in `schema`, itself included.
pub(super) fn walk(path: &str, schema: &Value, visit: &mut impl FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        walk(&format!("{path}.{name}"), property, visit);
    }
    for (keyword, sign) in [("items", "[]"), ("additionalProperties", "{}")] {
        if schema[keyword].is_object() {
            walk(&format!("{path}{sign}"), &schema[keyword], visit);
        }
    }
}

#[test]
fn nothing_is_left_that_an_api_server_would_not_take() {
    for kind in kinds() {
        let (name, written) = (kind.name, object(kind));
        walk(name, &written, &mut |path, schema| {
            for keyword in schema.as_object().unwrap().keys() {
                let known =
                    KEYWORDS.contains(&keyword.as_str()) || keyword == "x-kubernetes-validations";
                assert!(known, "{path} has {keyword}");
            }
            let open = schema["x-kubernetes-preserve-unknown-fields"] == true
                || schema["x-kubernetes-int-or-string"] == true;
            assert!(open || schema["type"].is_string(), "{path} has no type: {schema}");
        });
        // What the API's own type does not know is lost on the way through it.
        let (mut kept, mut written) =
            (serde_json::to_value(props(written.clone())).unwrap(), written);
        whole_numbers(&mut kept);
        whole_numbers(&mut written);
        assert_eq!(kept, written, "{name}");
    }
}

#[test]
fn every_field_is_explained_and_every_number_has_its_bounds() {
    for kind in kinds() {
        walk("spec", &kind.schema, &mut |path, schema| {
            let entry =
                path.ends_with("[]") || path.ends_with("{}") || path.ends_with("key.header");
            assert!(entry || schema["description"].is_string(), "{}: {path}", kind.name);
            if schema["type"] == "integer" || schema["type"] == "number" {
                assert!(schema["minimum"].is_number(), "{}: {path}", kind.name);
                assert!(schema["maximum"].is_number(), "{}: {path}", kind.name);
            }
        });
    }
}

/// Bounds are floats in the API's type: `1.0` becomes `1`.
fn whole_numbers(value: &mut Value) {
    match value {
        #[allow(clippy::cast_possible_truncation, reason = "it is whole and far within")]
        Value::Number(number) => {
            let whole = number.as_f64().filter(|number| number.fract() == 0.0);
            *value = whole.map_or(Value::Null, |whole| json!(whole as i64));
        }
        Value::Array(values) => values.iter_mut().for_each(whole_numbers),
        Value::Object(object) => object.values_mut().for_each(whole_numbers),
        Value::Null | Value::Bool(_) | Value::String(_) => {}
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/crds")
}

fn file(definition: &CustomResourceDefinition) -> (String, String) {
    let mut value = serde_json::to_value(definition).unwrap();
    whole_numbers(&mut value);
    let note = "# Made from the types in control-plane/src/source/schema; change those and run:\n\
                # UPDATE_DOCS=1 cargo test -p weft-control-plane crd\n";
    let plural = &definition.spec.names.plural;
    (format!("{plural}.yaml"), note.to_owned() + &serde_saphyr::to_string(&value).unwrap())
}

#[test]
fn the_files_are_the_code() {
    for (name, expected) in all().iter().map(file) {
        let path = folder().join(&name);
        if option_env!("UPDATE_DOCS").is_some() {
            std::fs::write(&path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert!(
            found == expected,
            "k8s/crds/{name} is stale; run: UPDATE_DOCS=1 cargo test -p weft-control-plane crd"
        );
    }
}

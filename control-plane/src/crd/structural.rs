//! From the JSON Schema that schemars makes to a structural schema, which is all that an API server takes. Pure.
//!
//! What says nothing to an API server is left out; "this or null" becomes "this", for in Kubernetes a field
//! that is not set is absent. What else it would refuse is not mended here: `tests` lists the keywords that may
//! be left over.

use serde_json::{Map, Value};

/// Keywords without a meaning for an API server. `default` is one of them on purpose: what is not written stays
/// unwritten in the stored object, so that a new version of Weft can have another default.
const DROPPED: [&str; 3] = ["$schema", "title", "default"];

/// Rewrites a schema and all that are in it.
pub(super) fn rewrite(schema: &mut Value) {
    let Some(object) = schema.as_object_mut() else { return };
    for keyword in DROPPED {
        object.remove(keyword);
    }
    without_null(object);
    // An API server has a word for every field that it does not know: it drops it and warns.
    if object.get("additionalProperties") == Some(&Value::Bool(false)) {
        object.remove("additionalProperties");
    }
    one_line(object);
    let properties = object.get_mut("properties").and_then(Value::as_object_mut);
    for property in properties.into_iter().flat_map(Map::values_mut) {
        rewrite(property);
    }
    for keyword in ["items", "additionalProperties"] {
        if let Some(inner) = object.get_mut(keyword) {
            rewrite(inner);
            // What an entry is the list has said.
            inner.as_object_mut().map(|inner| inner.remove("description"));
        }
    }
}

/// Takes `null` out of types, values and alternatives.
fn without_null(object: &mut Map<String, Value>) {
    if let Some(Value::Array(types)) = object.get_mut("type") {
        types.retain(|name| name != "null");
        if let [one] = &types[..] {
            let one = one.clone();
            object.insert("type".to_owned(), one);
        }
    }
    if let Some(Value::Array(values)) = object.get_mut("enum") {
        values.retain(|value| !value.is_null());
    }
    let is_null = |schema: &Value| schema.get("type").is_some_and(|name| name == "null");
    if let Some(Value::Array(mut alternatives)) = object.remove("anyOf") {
        alternatives.retain(|schema| !is_null(schema));
        match &mut alternatives[..] {
            [Value::Object(one)] => {
                // What stands outside, the field's own comment, goes before what stands within.
                let mut one = std::mem::take(one);
                one.append(object);
                *object = one;
            }
            _ => {
                object.insert("anyOf".to_owned(), Value::Array(alternatives));
            }
        }
    }
}

/// Comments are wrapped for the source; whoever shows them wraps them anew.
fn one_line(object: &mut Map<String, Value>) {
    if let Some(Value::String(text)) = object.get_mut("description") {
        *text = text.split_whitespace().collect::<Vec<_>>().join(" ");
    }
}

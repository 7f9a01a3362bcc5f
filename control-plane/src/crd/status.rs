//! `status` of our kinds: the generation that was looked at and the conditions, as everywhere in Kubernetes.
//!
//! Written by the control plane only; the bounds are those of `metav1.Condition`.

use serde_json::{Value, json};

/// Its schema.
pub(super) fn schema() -> Value {
    json!({
        "type": "object",
        "description": "What the control plane says of the object.",
        "properties": {
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "description": "The metadata.generation that was looked at last.",
            },
            "conditions": {
                "type": "array",
                "description": "Accepted, ResolvedRefs, PartiallyInvalid and weft.dev/Programmed.",
                "maxItems": 16,
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
                "items": condition(),
            },
        },
    })
}

fn condition() -> Value {
    json!({
        "type": "object",
        "required": ["type", "status", "lastTransitionTime", "reason", "message"],
        "properties": {
            "type": {
                "type": "string",
                "maxLength": 316,
                "pattern": r"^([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])$",
                "description": "What it is about.",
            },
            "status": {
                "type": "string",
                "enum": ["True", "False", "Unknown"],
                "description": "Is it so?",
            },
            "observedGeneration": {
                "type": "integer",
                "format": "int64",
                "minimum": 0,
                "description": "The metadata.generation that it speaks of.",
            },
            "lastTransitionTime": {
                "type": "string",
                "format": "date-time",
                "description": "When its status changed last.",
            },
            "reason": {
                "type": "string",
                "minLength": 1,
                "maxLength": 1024,
                "pattern": "^[A-Za-z]([A-Za-z0-9_,:]*[A-Za-z0-9_])?$",
                "description": "Why, in one word for programs.",
            },
            "message": {
                "type": "string",
                "maxLength": 32768,
                "description": "Why, for people.",
            },
        },
    })
}

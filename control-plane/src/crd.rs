//! The CustomResourceDefinitions of Weft's own kinds, made from the types that their objects are read into.
//!
//! `k8s/crds` holds them as files (`tests` keeps both in step), `weft check` compares a cluster's with them.
//! Nothing is written by hand that a type can say: fields, bounds and comments stand in `source::schema`, and
//! `structural` brings what schemars makes of them into the form that an API server takes.

mod status;
mod structural;
#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceColumnDefinition, CustomResourceDefinition, CustomResourceDefinitionNames,
    CustomResourceDefinitionSpec, CustomResourceDefinitionVersion, CustomResourceSubresourceStatus,
    CustomResourceSubresources, CustomResourceValidation, JSONSchemaProps,
};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use schemars::JsonSchema;
use serde_json::{Value, json};

use crate::source::schema::access::AccessPolicySpec;
use crate::source::schema::mesh::{MeshConfigSpec, MeshWorkloadSpec};
use crate::source::schema::policy::{InboundPolicySpec, TrafficPolicySpec};
use crate::source::schema::telemetry::TelemetryPolicySpec;

/// Group of all of them.
pub const GROUP: &str = "weft.dev";
/// The one version that is served and stored.
pub const VERSION: &str = "v1alpha1";

/// What a kind has besides its fields.
struct Kind {
    name: &'static str,
    plural: &'static str,
    short: &'static str,
    /// Of `spec`.
    schema: Value,
    /// Columns of `kubectl get`, name and JSONPath, before those of the status.
    columns: &'static [(&'static str, &'static str)],
    /// Do sidecars confirm it one by one? Then there is a column for that.
    confirmed: bool,
    /// Rules over the whole object.
    rules: Value,
}

/// All of them, in the order of their names.
#[must_use]
pub fn all() -> Vec<CustomResourceDefinition> {
    kinds().into_iter().map(definition).collect()
}

fn kinds() -> [Kind; 6] {
    [
        Kind {
            name: "AccessPolicy",
            plural: "accesspolicies",
            short: "apol",
            schema: schema::<AccessPolicySpec>(),
            columns: &[("Action", ".spec.action")],
            confirmed: true,
            rules: Value::Null,
        },
        Kind {
            name: "InboundPolicy",
            plural: "inboundpolicies",
            short: "ipol",
            schema: schema::<InboundPolicySpec>(),
            columns: &[("mTLS", ".spec.mtls")],
            confirmed: true,
            rules: Value::Null,
        },
        Kind {
            name: "MeshConfig",
            plural: "meshconfigs",
            short: "mconf",
            schema: schema::<MeshConfigSpec>(),
            columns: &[("mTLS", ".spec.mtls"), ("Traces", ".spec.tracing.endpoint")],
            confirmed: true,
            rules: json!([{
                "rule": "self.metadata.name == 'default'",
                "message": "only weft-system/default is read: name it default",
            }]),
        },
        Kind {
            name: "MeshWorkload",
            plural: "meshworkloads",
            short: "mwl",
            schema: schema::<MeshWorkloadSpec>(),
            columns: &[("Address", ".spec.address"), ("Account", ".spec.serviceAccount")],
            confirmed: false,
            rules: Value::Null,
        },
        telemetry_policy(),
        Kind {
            name: "TrafficPolicy",
            plural: "trafficpolicies",
            short: "tpol",
            schema: schema::<TrafficPolicySpec>(),
            columns: &[("Targets", ".spec.targetRefs[*].name")],
            confirmed: true,
            rules: Value::Null,
        },
    ]
}

fn telemetry_policy() -> Kind {
    Kind {
        name: "TelemetryPolicy",
        plural: "telemetrypolicies",
        short: "telpol",
        schema: schema::<TelemetryPolicySpec>(),
        columns: &[
            ("Sampling", ".spec.tracing.sampling"),
            ("Successes", ".spec.accessLog.successes"),
        ],
        confirmed: true,
        rules: Value::Null,
    }
}

/// The schema of a type, as an API server takes it.
fn schema<T: JsonSchema>() -> Value {
    let settings = schemars::generate::SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    let mut schema = settings.into_generator().into_root_schema_for::<T>().to_value();
    structural::rewrite(&mut schema);
    schema
}

fn definition(kind: Kind) -> CustomResourceDefinition {
    let columns = columns(&kind);
    CustomResourceDefinition {
        metadata: ObjectMeta {
            name: Some(format!("{}.{GROUP}", kind.plural)),
            labels: Some(
                [("app.kubernetes.io/name", "weft"), ("app.kubernetes.io/part-of", "weft")]
                    .map(|(key, value)| (key.to_owned(), value.to_owned()))
                    .into(),
            ),
            ..ObjectMeta::default()
        },
        spec: CustomResourceDefinitionSpec {
            group: GROUP.to_owned(),
            scope: "Namespaced".to_owned(),
            names: CustomResourceDefinitionNames {
                kind: kind.name.to_owned(),
                list_kind: Some(format!("{}List", kind.name)),
                plural: kind.plural.to_owned(),
                singular: Some(kind.name.to_ascii_lowercase()),
                short_names: Some(vec![kind.short.to_owned()]),
                categories: Some(vec!["weft".to_owned()]),
            },
            versions: vec![CustomResourceDefinitionVersion {
                name: VERSION.to_owned(),
                served: true,
                storage: true,
                schema: Some(CustomResourceValidation {
                    open_api_v3_schema: Some(props(object(kind))),
                }),
                subresources: Some(CustomResourceSubresources {
                    status: Some(CustomResourceSubresourceStatus(json!({}))),
                    scale: None,
                }),
                additional_printer_columns: Some(columns),
                ..CustomResourceDefinitionVersion::default()
            }],
            ..CustomResourceDefinitionSpec::default()
        },
        status: None,
    }
}

/// The schema of the whole object.
fn object(kind: Kind) -> Value {
    let mut object = json!({
        "type": "object",
        "description": kind.schema["description"],
        "required": ["spec"],
        "properties": {
            "apiVersion": { "type": "string" },
            "kind": { "type": "string" },
            "metadata": { "type": "object" },
            "spec": kind.schema,
            "status": status::schema(),
        },
    });
    if !kind.rules.is_null() {
        object["x-kubernetes-validations"] = kind.rules;
    }
    object
}

fn props(schema: Value) -> JSONSchemaProps {
    // What a type says is no schema: nothing but a mistake in `source::schema`, which `tests` would find.
    serde_json::from_value(schema).unwrap_or_default()
}

fn columns(kind: &Kind) -> Vec<CustomResourceColumnDefinition> {
    let column = |name: &str, kind: &str, path: &str| CustomResourceColumnDefinition {
        name: name.to_owned(),
        type_: kind.to_owned(),
        json_path: path.to_owned(),
        ..CustomResourceColumnDefinition::default()
    };
    let condition = |name: &str, of: &str| {
        column(name, "string", &format!(".status.conditions[?(@.type==\"{of}\")].status"))
    };
    let own = kind.columns.iter().map(|(name, path)| column(name, "string", path));
    let mut columns: Vec<_> = own.collect();
    columns.push(condition("Accepted", "Accepted"));
    if kind.confirmed {
        columns.push(condition("Programmed", "weft.dev/Programmed"));
    }
    columns.push(column("Age", "date", ".metadata.creationTimestamp"));
    columns
}

//! What a cluster knows of Weft: its pods with their logs, Events, nodes, and the objects that Weft reads.

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{Event, Node, Pod};
use kube::api::{Api, DynamicObject, ListParams, LogParams};
use kube::core::{ApiResource, GroupVersionKind};
use kube::{Client, ResourceExt};
use serde_json::Value;

use super::Piece;
use crate::args::ClusterArgs;
use crate::cluster::{self, NAMESPACE};
use crate::output::Output;

/// Group, version and kinds of what Weft reads.
const KINDS: [(&str, &str, &[&str]); 3] = [
    (
        "weft.dev",
        "v1alpha1",
        &[
            "MeshConfig",
            "TrafficPolicy",
            "InboundPolicy",
            "AccessPolicy",
            "TelemetryPolicy",
            "MeshWorkload",
        ],
    ),
    ("gateway.networking.k8s.io", "v1", &["HTTPRoute", "GRPCRoute"]),
    ("gateway.networking.k8s.io", "v1alpha2", &["TCPRoute", "TLSRoute"]),
];
/// An annotation of kubectl's.
const LAST_APPLIED: &str = "kubectl.kubernetes.io/last-applied-configuration";
/// Words in the names of variables that hold what nobody else is to read.
const SECRETS: [&str; 7] =
    ["TOKEN", "SECRET", "PASSWORD", "PASSWD", "CREDENTIAL", "KEY", "HEADERS"];
/// Bound: lines of one container's log.
const LOG_LINES: i64 = 5_000;

/// All of it, or why there is none.
pub(super) async fn of(args: &ClusterArgs, output: &Output) -> Vec<Piece> {
    let client = match cluster::connect(args).await {
        Ok(client) => client,
        Err(error) => return vec![Piece::new("cluster", Err(error))],
    };
    output.note("asking the cluster");
    let mut pieces = logs(&client).await;
    pieces.push(Piece::new("cluster/events.txt", events(&client).await));
    pieces.push(Piece::new("cluster/nodes.txt", nodes(&client).await));
    pieces.push(Piece::new("cluster/meshed.txt", meshed(&client).await));
    for (group, version, kinds) in KINDS {
        for kind in kinds {
            let found = objects(&client, (group, version, kind)).await;
            pieces.push(Piece::new(format!("cluster/{kind}.yaml"), found));
        }
    }
    pieces
}

/// Weft's own pods and what each of their containers has said, the one before a restart too.
async fn logs(client: &Client) -> Vec<Piece> {
    let api: Api<Pod> = Api::namespaced(client.clone(), NAMESPACE);
    let pods = match cluster::list(&api, ListParams::default()).await {
        Ok(pods) => pods,
        Err(error) => return vec![Piece::new("cluster/pods", Err(error))],
    };
    let mut pieces = Vec::new();
    for pod in pods {
        let name = pod.name_any();
        pieces.push(Piece::new(format!("cluster/pods/{name}.yaml"), yaml(&pod)));
        let statuses =
            pod.status.iter().flat_map(|status| status.container_statuses.iter().flatten());
        for status in statuses {
            for previous in
                [false, true].into_iter().take(1 + usize::from(status.restart_count > 0))
            {
                let params = LogParams {
                    container: Some(status.name.clone()),
                    tail_lines: Some(LOG_LINES),
                    timestamps: true,
                    previous,
                    ..LogParams::default()
                };
                let before = if previous { ".before" } else { "" };
                let file = format!("cluster/pods/{name}.{}{before}.log", status.name);
                pieces.push(Piece::new(file, api.logs(&name, &params).await));
            }
        }
    }
    pieces
}

async fn events(client: &Client) -> Result<String> {
    let api: Api<Event> = Api::namespaced(client.clone(), NAMESPACE);
    let events = cluster::list(&api, ListParams::default()).await?;
    let lines = events.iter().map(|event| {
        let at = event.event_time.as_ref().map(|at| at.0.to_string());
        let at = at.or_else(|| event.last_timestamp.as_ref().map(|at| at.0.to_string()));
        format!(
            "{} {} {} {} {}: {}\n",
            at.unwrap_or_default(),
            event.type_.as_deref().unwrap_or_default(),
            event.reason.as_deref().unwrap_or_default(),
            event.involved_object.kind.as_deref().unwrap_or_default(),
            event.involved_object.name.as_deref().unwrap_or_default(),
            event.message.as_deref().unwrap_or_default(),
        )
    });
    Ok(lines.collect())
}

/// Names are left out: versions are what matters.
async fn nodes(client: &Client) -> Result<String> {
    let nodes = cluster::list(&Api::<Node>::all(client.clone()), ListParams::default()).await?;
    let infos = nodes.iter().filter_map(|node| node.status.as_ref()?.node_info.as_ref());
    let lines = infos.map(|info| {
        format!(
            "{} {} {} {} {}\n",
            info.kubelet_version,
            info.kernel_version,
            info.os_image,
            info.container_runtime_version,
            info.architecture
        )
    });
    Ok(lines.collect())
}

/// Sidecars by namespace.
async fn meshed(client: &Client) -> Result<String> {
    let counts = cluster::meshed(&cluster::pods(client).await?);
    Ok(counts.iter().map(|(namespace, pods)| format!("{namespace} {pods}\n")).collect())
}

/// All objects of a kind, as one file. What the API server keeps for itself is left out.
async fn objects(client: &Client, (group, version, kind): (&str, &str, &str)) -> Result<String> {
    let resource = ApiResource::from_gvk(&GroupVersionKind::gvk(group, version, kind));
    let api: Api<DynamicObject> = Api::all_with(client.clone(), &resource);
    let mut text = String::new();
    for mut object in cluster::list(&api, ListParams::default()).await? {
        object.metadata.managed_fields = None;
        text.push_str(&yaml(&object)?);
        text.push_str("---\n");
    }
    Ok(text)
}

fn yaml(object: &impl serde::Serialize) -> Result<String> {
    // By way of JSON, whose form the API's types are made for.
    let mut value = serde_json::to_value(object).context("it cannot be shown")?;
    if let Some(metadata) = value.get_mut("metadata").and_then(Value::as_object_mut) {
        metadata.remove("managedFields");
        // It repeats the object as somebody wrote it, whatever is left out of it here.
        if let Some(annotations) = metadata.get_mut("annotations").and_then(Value::as_object_mut) {
            annotations.remove(LAST_APPLIED);
        }
    }
    leave_out_secrets(&mut value);
    serde_saphyr::to_string(&value).context("it cannot be shown")
}

/// What variables hold whose names say that nobody else is to read it.
fn leave_out_secrets(value: &mut Value) {
    match value {
        Value::Array(all) => all.iter_mut().for_each(leave_out_secrets),
        Value::Object(fields) => {
            let name = fields.get("name").and_then(Value::as_str).unwrap_or_default();
            let name = name.to_ascii_uppercase();
            let is_secret = SECRETS.iter().any(|word| name.contains(word));
            if let (true, Some(text @ Value::String(_))) = (is_secret, fields.get_mut("value")) {
                *text = "(left out)".into();
            }
            fields.values_mut().for_each(leave_out_secrets);
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn no_variable_that_is_a_secret_is_told() {
        let variable = |name: &str| json!({ "name": name, "value": "s3cret" });
        let all = ["OTEL_EXPORTER_OTLP_HEADERS", "api_key", "DB_PASSWORD", "TOKEN"].map(variable);
        let pod = json!({
            "metadata": { "annotations": { LAST_APPLIED: "s3cret", "a": "b" }, "managedFields": ["s3cret"] },
            "spec": { "containers": [{ "name": "secret-sauce", "env": all, "args": ["--key"] }, { "env": [{ "name": "LOG", "value": "debug" }] }] },
        });
        let text = yaml(&pod).unwrap();
        assert!(!text.contains("s3cret"), "{text}");
        for kept in ["OTEL_EXPORTER_OTLP_HEADERS", "secret-sauce", "debug", "--key", "a: b"] {
            assert!(text.contains(kept), "{kept}: {text}");
        }
    }
}

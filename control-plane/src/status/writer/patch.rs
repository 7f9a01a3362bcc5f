//! One status to the API server: a merge patch of the version that was read, tried again on what is there if that is
//! another one by now.

use std::sync::Arc;
use std::time::Duration;

use kube::api::{ApiResource, DynamicObject, Patch, PatchParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::model::ObjectKey;
use crate::status::desired::{Verdict, generation, merge};

/// Bound on one request. Less than what a Lease is good for after its holder has given up.
const REQUEST: Duration = Duration::from_secs(4);
/// How often others may come in between.
const TRIES: usize = 3;
/// Field manager.
const MANAGER: &str = "weft-control-plane";

/// How it ended.
#[derive(Debug)]
pub(super) enum Outcome {
    /// The object has the status; this is how it stands now.
    Written(Arc<Value>),
    /// The object, or its kind, is gone, or it has a newer generation: the source will say what is to be said then.
    Overtaken,
    /// The API server does not take it, for this reason.
    Refused(String),
    /// The API server did not answer, or had no time.
    Unanswered(String),
}

/// Writes it.
pub(super) async fn write(
    client: Client,
    key: &ObjectKey,
    mut object: Arc<Value>,
    verdict: &Verdict,
    now: &str,
) -> Outcome {
    let Some(api) = api(client, key) else { return Outcome::Overtaken };
    let said_of = generation(&object);
    for _ in 0..TRIES {
        let Some((status, _)) = merge(&object, verdict, now) else {
            return Outcome::Written(object);
        };
        let patch = patch(key, &object, &status);
        let parameters =
            PatchParams { field_manager: Some(MANAGER.to_owned()), ..PatchParams::default() };
        let writing = api.patch_status(&key.2, &parameters, &patch);
        match timeout(REQUEST, writing).await {
            Ok(Ok(written)) => return Outcome::Written(value(&written)),
            Ok(Err(kube::Error::Api(status))) if status.code == 409 => {}
            Ok(Err(error)) => return failed(&error),
            Err(_elapsed) => return Outcome::Unanswered("no answer in time".to_owned()),
        }
        match timeout(REQUEST, api.get(&key.2)).await {
            Ok(Ok(found)) => object = value(&found),
            Ok(Err(error)) => return failed(&error),
            Err(_elapsed) => return Outcome::Unanswered("no answer in time".to_owned()),
        }
        if generation(&object) != said_of {
            return Outcome::Overtaken;
        }
    }
    Outcome::Unanswered("others write the object all the time".to_owned())
}

/// With the version that was read, so that nothing of others is written over: `parents` of a route is one value to the
/// API server, whoever has an entry in it.
fn patch(key: &ObjectKey, object: &Value, status: &Value) -> Patch<Value> {
    Patch::Merge(json!({
        "apiVersion": api_version(&key.0),
        "kind": key.0,
        "metadata": { "resourceVersion": object["metadata"]["resourceVersion"] },
        "status": status,
    }))
}

fn failed(error: &kube::Error) -> Outcome {
    match error {
        kube::Error::Api(status) if status.code == 404 => Outcome::Overtaken,
        kube::Error::Api(status) if (400..500).contains(&status.code) && status.code != 429 => {
            Outcome::Refused(error.to_string())
        }
        _ => Outcome::Unanswered(error.to_string()),
    }
}

fn value(object: &DynamicObject) -> Arc<Value> {
    Arc::new(serde_json::to_value(object).unwrap_or_default())
}

fn api_version(kind: &str) -> &'static str {
    if kind.ends_with("Route") { "gateway.networking.k8s.io/v1" } else { "weft.dev/v1alpha1" }
}

fn api(client: Client, (kind, namespace, _): &ObjectKey) -> Option<Api<DynamicObject>> {
    let plural = match kind.as_str() {
        "HTTPRoute" => "httproutes",
        "GRPCRoute" => "grpcroutes",
        "TrafficPolicy" => "trafficpolicies",
        "AccessPolicy" => "accesspolicies",
        "InboundPolicy" => "inboundpolicies",
        "TelemetryPolicy" => "telemetrypolicies",
        "MeshConfig" => "meshconfigs",
        "MeshWorkload" => "meshworkloads",
        _ => return None,
    };
    let (group, version) = api_version(kind).split_once('/')?;
    let resource = ApiResource {
        group: group.to_owned(),
        version: version.to_owned(),
        api_version: api_version(kind).to_owned(),
        kind: kind.clone(),
        plural: plural.to_owned(),
    };
    Some(Api::namespaced_with(client, namespace, &resource))
}

//! `/v1/requests…`: which requests failed or were slow, and what the model says of one. `crate::requests` has the answers.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use weft_proto::names;

use super::View;
use super::access::{bad, read};
use super::handlers::Refusal;
use crate::requests::{LookupQuery, RequestQuery, Sidecar, look_up};
use crate::telemetry::ProxyState;
use crate::xds::ProxyStatus;

/// The endpoints.
pub(super) fn routes() -> Router<Arc<View>> {
    Router::new().route("/v1/requests", post(requests)).route("/v1/requests/lookup", post(lookup))
}

async fn requests(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<impl Serialize>, Refusal> {
    let query: RequestQuery = read(body)?;
    let mesh = view.mesh.borrow().clone();
    view.asking.requests.run(mesh, query).await.map(Json).map_err(bad)
}

async fn lookup(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<impl Serialize>, Refusal> {
    let query: LookupQuery = read(body)?;
    let (mesh, findings) = (view.mesh.borrow().clone(), view.findings.borrow().clone());
    // A large mesh takes a while, in which streams are not to wait.
    let found = tokio::task::spawn_blocking(move || {
        let sidecars = sidecars(&view);
        look_up(&mesh, &query, &sidecars, &findings)
    });
    let found = found.await;
    let found = found.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    found.map(Json).map_err(bad)
}

/// As they stand with this replica.
fn sidecars(view: &View) -> BTreeMap<String, Sidecar> {
    let one = |status: ProxyStatus| {
        let name = names::workload(&status.workload.name, &status.workload.namespace);
        let reported = view.telemetry.proxy(&name).unwrap_or_default();
        let refused = status.resources.iter().filter_map(|resource| {
            let rejected = resource.rejected.as_ref()?;
            Some(format!("{}: {}", resource.kind.plural(), rejected.reason))
        });
        let sidecar = Sidecar {
            connected: status.connected,
            stale: reported.stale,
            in_sync: status.resources.iter().all(|one| one.acked.is_some_and(|at| at >= one.sent)),
            rejected: refused.collect(),
            leaf_not_after: reported.leaf_not_after,
            reported: reported.reported,
        };
        (name, sidecar)
    };
    // Their streams are with another replica.
    let elsewhere = view.telemetry.connected().into_iter().filter_map(|name| {
        let ProxyState { stale, leaf_not_after, reported, .. } = view.telemetry.proxy(&name)?;
        let sidecar = Sidecar { stale, leaf_not_after, reported, ..Sidecar::default() };
        Some((name.to_string(), sidecar))
    });
    // Order: of several streams of one workload the youngest is the last.
    elsewhere.chain(view.registry.list().into_iter().map(one)).collect()
}

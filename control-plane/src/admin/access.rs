//! `/v1/access/…`: who can reach what, and what a policy would have done; `/v1/policies`: what is in force at a workload.
//! `crate::access` and `crate::policies` have the answers.

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{DefaultBodyLimit, State};
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::View;
use super::handlers::Refusal;
use crate::access::{ReachQuery, TrialQuery, reached};
use crate::model::Mesh;
use crate::policies::{PolicyQuery, in_force};

/// Bound: manifests that are tried.
const MAX_TRIAL: usize = 1024 * 1024;

/// The endpoints.
pub(super) fn routes() -> Router<Arc<View>> {
    Router::new()
        .route("/v1/access/reach", post(reach))
        .route("/v1/access/trial", post(trial).layer(DefaultBodyLimit::max(MAX_TRIAL)))
        .route("/v1/policies", post(policies))
}

async fn reach(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<impl Serialize>, Refusal> {
    let query: ReachQuery = read(body)?;
    judged(&view, move |mesh| reached(mesh, &query)).await
}

async fn policies(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<impl Serialize>, Refusal> {
    let query: PolicyQuery = read(body)?;
    judged(&view, move |mesh| in_force(mesh, &query)).await
}

/// What is found in the model; a large mesh takes a while, in which streams are not to wait.
async fn judged<T: Send + 'static>(
    view: &View,
    judge: impl FnOnce(&Mesh) -> Result<T, String> + Send + 'static,
) -> Result<Json<T>, Refusal> {
    let mesh = view.mesh.borrow().clone();
    let found = tokio::task::spawn_blocking(move || judge(&mesh)).await;
    let found = found.map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error))?;
    found.map(Json).map_err(bad)
}

async fn trial(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<impl Serialize>, Refusal> {
    let query: TrialQuery = read(body)?;
    let mesh = view.mesh.borrow().clone();
    // What is applied to a cluster is younger than all that is there; files have no age.
    let created = match view.injector {
        Some(_) => i64::MAX,
        None => 0,
    };
    view.asking.trials.run(mesh, query, created).await.map(Json).map_err(bad)
}

pub(super) fn read<T: DeserializeOwned>(body: Result<Bytes, BytesRejection>) -> Result<T, Refusal> {
    let body = body.map_err(|error| Refusal::new(error.status(), error))?;
    serde_json::from_slice(&body).map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))
}

pub(super) fn bad(why: String) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, why)
}

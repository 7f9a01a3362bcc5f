//! `POST /v1/tap`: requests as they end, one line of JSON each, until whoever reads has enough. `crate::tap` has them.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::extract::rejection::BytesRejection;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse, Response};
use axum::routing::post;

use super::View;
use super::access::{bad, read};
use super::handlers::Refusal;
use crate::tap::TapQuery;

/// The endpoint.
pub(super) fn routes() -> Router<Arc<View>> {
    Router::new().route("/v1/tap", post(tap))
}

async fn tap(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Response, Refusal> {
    let query: TapQuery = read(body)?;
    let lines =
        view.asking.tapping.open(view.mesh.clone(), query, view.stopping.clone()).map_err(bad)?;
    Ok(([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(lines)).into_response())
}

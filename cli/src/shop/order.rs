//! order: takes an order: who buys (user), what it costs (product), and the money (payment).

use std::sync::Arc;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::peer::Peer;

/// Whom it calls.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    pub(super) user: Arc<Peer>,
    pub(super) product: Arc<Peer>,
    pub(super) payment: Arc<Peer>,
}

/// Its routes.
pub(super) fn routes(peers: Peers) -> Router {
    Router::new().route("/orders", post(order)).with_state(peers)
}

async fn order(
    State(peers): State<Peers>,
    headers: HeaderMap,
    Json(wish): Json<Value>,
) -> Response {
    let user = peers.user.get("/users/me", &headers).await;
    if !user.is_good() {
        return user.into_response();
    }
    let path = format!("/products/{}", wish["product"].as_u64().unwrap_or(1));
    let product = peers.product.get(&path, &headers).await;
    if !product.is_good() {
        return product.into_response();
    }
    let bill = json!({ "user": user.body["id"], "cents": product.body["cents"] });
    let payment = peers.payment.post("/charge", &headers, &bill).await;
    if !payment.is_good() {
        return payment.into_response();
    }
    let confirmation = json!({
        "order": payment.body["charge"],
        "for": user.body["name"],
        "product": product.body["name"],
        "cents": product.body["cents"],
    });
    (StatusCode::CREATED, Json(confirmation)).into_response()
}

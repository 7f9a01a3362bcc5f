//! gateway: the shop's front for browser (`/`, a page) and curl (the same as JSON).

use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, header};
use axum::response::{Html, IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde_json::{Value, json};

use super::page;
use super::peer::{Answer, Peer};

/// Whom it calls.
#[derive(Clone, Debug)]
pub(super) struct Peers {
    pub(super) user: Arc<Peer>,
    pub(super) product: Arc<Peer>,
    pub(super) order: Arc<Peer>,
}

/// Its routes.
pub(super) fn routes(peers: Peers) -> Router {
    Router::new()
        .route("/", get(front))
        .route("/me", get(me))
        .route("/products", get(products))
        .route("/checkout", post(checkout))
        .with_state(peers)
}

async fn front(State(peers): State<Peers>, headers: HeaderMap) -> Response {
    let (user, shelf) = tokio::join!(
        peers.user.get("/users/me", &headers),
        peers.product.get("/products", &headers)
    );
    if wants_page(&headers) {
        return Html(page::render(&user, &shelf)).into_response();
    }
    Json(json!({
        "shop": "Weft & Warp",
        "customer": user.body,
        "shelf": shelf.body,
        "try": ["GET /products", "GET /me", "POST /checkout {\"product\":1}"],
    }))
    .into_response()
}

async fn me(State(peers): State<Peers>, headers: HeaderMap) -> Answer {
    peers.user.get("/users/me", &headers).await
}

async fn products(State(peers): State<Peers>, headers: HeaderMap) -> Answer {
    peers.product.get("/products", &headers).await
}

/// An empty body buys product 1, so that `curl -X POST` is enough.
async fn checkout(State(peers): State<Peers>, headers: HeaderMap, body: Bytes) -> Answer {
    let wish: Value = serde_json::from_slice(&body).unwrap_or_else(|_| json!({ "product": 1 }));
    peers.order.post("/orders", &headers, &wish).await
}

/// Browsers name text/html; curl does not.
pub(super) fn wants_page(headers: &HeaderMap) -> bool {
    headers
        .get(header::ACCEPT)
        .and_then(|accept| accept.to_str().ok())
        .is_some_and(|accept| accept.contains("text/html"))
}

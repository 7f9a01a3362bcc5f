//! user: who is shopping.

use axum::extract::Path;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Its routes.
pub(super) fn routes() -> Router {
    Router::new().route("/users/{id}", get(user))
}

async fn user(Path(id): Path<String>) -> Json<Value> {
    let name = if id == "me" { "Ada" } else { id.as_str() };
    Json(json!({ "id": id, "name": name, "currency": "EUR" }))
}

//! product: what is sold. Version 2 tells customers' ratings too, so that one sees who has answered.

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::routing::get;
use axum::{Json, Router};
use serde_json::{Value, json};

/// Id, name, price in cents, rating in stars.
const SHELF: [(u64, &str, u64, f64); 4] = [
    (1, "Loom, table-top", 24_900, 4.8),
    (2, "Shuttle, beech", 2_450, 4.5),
    (3, "Yarn, indigo, 100 g", 890, 4.9),
    (4, "Reed, 40/10", 3_990, 4.2),
];

/// Its routes, as `version` has them.
pub(super) fn routes(version: &str) -> Router {
    Router::new()
        .route("/products", get(list))
        .route("/products/{id}", get(one))
        .with_state(version.to_owned())
}

async fn list(State(version): State<String>) -> Json<Value> {
    let products: Vec<Value> = SHELF.iter().map(|product| describe(*product, &version)).collect();
    Json(json!({ "version": version, "products": products }))
}

async fn one(State(version): State<String>, Path(id): Path<u64>) -> (StatusCode, Json<Value>) {
    match SHELF.iter().find(|product| product.0 == id) {
        Some(product) => (StatusCode::OK, Json(describe(*product, &version))),
        None => (StatusCode::NOT_FOUND, Json(json!({ "error": format!("no product {id}") }))),
    }
}

fn describe((id, name, cents, stars): (u64, &str, u64, f64), version: &str) -> Value {
    let mut product = json!({ "id": id, "name": name, "cents": cents });
    if version != "v1" {
        product["stars"] = json!(stars);
    }
    product
}

//! payment: charges cards, and fails on purpose: 15 % of `POST /charge` answer 503 (`fault`).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use serde_json::{Value, json};

use super::fault;

struct Till {
    seed: u64,
    charges: AtomicU64,
}

/// Its routes.
pub(super) fn routes(seed: u64) -> Router {
    let till = Arc::new(Till { seed, charges: AtomicU64::new(0) });
    Router::new().route("/charge", post(charge)).with_state(till)
}

async fn charge(
    State(till): State<Arc<Till>>,
    Json(order): Json<Value>,
) -> (StatusCode, Json<Value>) {
    let number = till.charges.fetch_add(1, Ordering::Relaxed);
    // The card network takes 2 to 9 ms.
    tokio::time::sleep(Duration::from_millis(2 + fault::mix(till.seed ^ number) % 8)).await;
    if fault::fails(till.seed, number) {
        let error = json!({ "error": "the card network is busy, try again" });
        return (StatusCode::SERVICE_UNAVAILABLE, Json(error));
    }
    (StatusCode::OK, Json(json!({ "charge": number, "cents": order["cents"] })))
}

//! What a browser may ask of the dashboard: the page's files, a stream of snapshots, and what is behind a node or an edge.
//!
//! Loopback keeps other machines away, not other pages in the same browser. So a request must name us as we are (Host, which a
//! name that was led to 127.0.0.1 does not), must not come from another site, and reads only; and the page may load and ask
//! nothing but us (CSP), nor be put into another one.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Query, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, HOST, HeaderName, HeaderValue, ORIGIN,
    REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
};
use axum::http::{Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use axum::{Json, Router};
use futures_util::stream::{self, Stream};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Interval, MissedTickBehavior};

use super::Board;
use crate::args::Window;

const PAGE: &str = include_str!("page/index.html");
const STYLE: &str = include_str!("page/style.css");
const SCRIPT: &str = include_str!("page/app.js");
const GRAPH: &str = include_str!("page/graph.js");
const PANEL: &str = include_str!("page/panel.js");
const NOTICES: &str = include_str!("page/notices.js");

/// Bound: pages that are open at once.
const STREAMS: usize = 16;
/// After which a browser comes back that has lost us.
const AGAIN: Duration = Duration::from_secs(1);
/// Everything from us, and nothing from anybody else; no text becomes markup. Widths and colours that come of figures are attributes
/// of SVG.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
                      require-trusted-types-for 'script'; trusted-types 'none'";

#[derive(Debug)]
struct Shared {
    board: Board,
    streams: Arc<Semaphore>,
    /// As browsers may call us.
    hosts: Vec<String>,
}

/// Everything that is served on this port.
pub(super) fn router(board: Board, port: u16) -> Router {
    let streams = Arc::new(Semaphore::new(STREAMS));
    let shared = Arc::new(Shared { board, streams, hosts: hosts(port) });
    Router::new()
        .route("/", get(async || file("text/html", PAGE)))
        .route("/style.css", get(async || file("text/css", STYLE)))
        .route("/app.js", get(async || file("text/javascript", SCRIPT)))
        .route("/graph.js", get(async || file("text/javascript", GRAPH)))
        .route("/panel.js", get(async || file("text/javascript", PANEL)))
        .route("/notices.js", get(async || file("text/javascript", NOTICES)))
        .route("/api/events", get(events))
        .route("/api/requests", get(requests))
        .route("/api/reach", get(reach))
        .route("/api/policies", get(policies))
        .layer(from_fn_with_state(Arc::clone(&shared), guard))
        .with_state(shared)
}

/// What a browser calls this port, whichever name was typed. A port that is http's own goes without saying.
fn hosts(port: u16) -> Vec<String> {
    let names = ["127.0.0.1", "localhost"];
    let with_port = names.map(|name| format!("{name}:{port}"));
    let bare = names.map(str::to_owned).into_iter().filter(|_| port == 80);
    with_port.into_iter().chain(bare).collect()
}

fn file(kind: &'static str, text: &'static str) -> impl IntoResponse {
    ([(CONTENT_TYPE, format!("{kind}; charset=utf-8"))], text)
}

/// See the module.
async fn guard(State(shared): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = match refusal(&shared.hosts, &request) {
        Some(why) => (StatusCode::FORBIDDEN, format!("{why}\n")).into_response(),
        None => next.run(request).await,
    };
    let headers = response.headers_mut();
    for (name, value) in [
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    response
}

/// Why it is not answered. Pure.
fn refusal(hosts: &[String], request: &Request) -> Option<&'static str> {
    let text =
        |name: &HeaderName| request.headers().get(name).and_then(|value| value.to_str().ok());
    let is_ours = |host: &str| hosts.iter().any(|ours| ours.eq_ignore_ascii_case(host));
    let site = text(&HeaderName::from_static("sec-fetch-site"));
    // Two of them are two opinions about who is asked.
    let named = request.headers().get_all(HOST).iter().count() == 1;
    if !named || !text(&HOST).is_some_and(is_ours) {
        return Some("this page is called http://127.0.0.1 or http://localhost, with its port");
    }
    if site.is_some_and(|site| site != "same-origin" && site != "none") {
        return Some("this is not for pages of other sites");
    }
    let origin =
        text(&ORIGIN).map(|origin| origin.strip_prefix("http://").unwrap_or("").to_owned());
    if origin.is_some_and(|origin| !is_ours(&origin)) {
        return Some("this is not for pages of other sites");
    }
    let reads = request.method() == Method::GET || request.method() == Method::HEAD;
    (!reads).then_some("nothing can be changed here")
}

#[derive(Debug, Deserialize)]
struct EventsQuery {
    window: Option<String>,
}

/// A snapshot now and then, for as long as somebody reads.
async fn events(State(shared): State<Arc<Shared>>, Query(query): Query<EventsQuery>) -> Response {
    let window = match Window::parse(query.window.as_deref().unwrap_or("10s")) {
        Ok(window) => window,
        Err(error) => return (StatusCode::BAD_REQUEST, error).into_response(),
    };
    let Ok(permit) = Arc::clone(&shared.streams).try_acquire_owned() else {
        let error = format!("{STREAMS} pages are open already");
        return (StatusCode::SERVICE_UNAVAILABLE, error).into_response();
    };
    Sse::new(snapshots(shared.board.clone(), window, permit)).into_response()
}

fn snapshots(
    board: Board,
    window: Window,
    permit: OwnedSemaphorePermit,
) -> impl Stream<Item = Result<Event, Infallible>> {
    let mut ticks = tokio::time::interval(board.pace());
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    stream::unfold(
        (board, ticks, permit),
        move |(board, mut ticks, permit): (Board, Interval, _)| async move {
            ticks.tick().await;
            let event = match board.snapshot(window).await {
                Ok(snapshot) => Event::default().data(&*snapshot),
                // The page goes on showing the last figures, and says since when.
                Err(error) => {
                    Event::default().event("away").data(json!({ "error": error }).to_string())
                }
            };
            Some((Ok(event.retry(AGAIN)), (board, ticks, permit)))
        },
    )
}

#[derive(Debug, Deserialize)]
struct EdgeQuery {
    from: String,
    to: String,
}

async fn requests(State(shared): State<Arc<Shared>>, Query(query): Query<EdgeQuery>) -> Response {
    answer(Box::pin(shared.board.requests(&query.from, &query.to)).await)
}

#[derive(Debug, Deserialize)]
struct NodeQuery {
    to: String,
}

async fn reach(State(shared): State<Arc<Shared>>, Query(query): Query<NodeQuery>) -> Response {
    answer(Box::pin(shared.board.reach(&query.to)).await)
}

async fn policies(State(shared): State<Arc<Shared>>, Query(query): Query<NodeQuery>) -> Response {
    answer(Box::pin(shared.board.policies(&query.to)).await)
}

fn answer(found: anyhow::Result<impl serde::Serialize>) -> Response {
    match found {
        Ok(found) => Json(found).into_response(),
        Err(error) => {
            let error = json!({ "error": format!("{error:#}") });
            (StatusCode::BAD_GATEWAY, Json(error)).into_response()
        }
    }
}

#[cfg(test)]
mod tests;

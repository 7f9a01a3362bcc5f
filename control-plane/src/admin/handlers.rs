//! The table of paths, and one small function each. A handler reads the [`View`] and shapes an answer; it
//! decides nothing.

use std::collections::BTreeSet;
use std::sync::Arc;

use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, Request, State};
use axum::http::StatusCode;
use axum::http::header::{CONTENT_TYPE, ORIGIN};
use axum::middleware::{Next, from_fn};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::json;
use tower::limit::GlobalConcurrencyLimitLayer;
use weft_proto::names;

use super::json::{
    Bootstrap, ControlPlane, Counts, JoinRequest, Locality, MeshSummary, Proxy, ServiceName,
    Version,
};
use super::{View, access, metrics, requests, tap, trust};
use crate::ca::MintError;
use crate::finding::Finding;
use crate::model::{self, Key};
use crate::telemetry::{BrokenWorkload, Stat, WINDOW_MAX, Window};

// Bound: most bodies name a workload; others have a bound of their own.
const MAX_BODY: usize = 64 * 1024;
// Bound: requests at once; further ones wait.
const MAX_REQUESTS: usize = 64;
/// Seconds that `GET /v1/stat` covers where it is not asked for others.
const DEFAULT_WINDOW: u64 = 10;

/// A refusal: a status, and JSON with `error` in words.
#[derive(Debug)]
pub(super) struct Refusal(pub(super) StatusCode, pub(super) serde_json::Value);

impl Refusal {
    pub(super) fn new(status: StatusCode, error: impl std::fmt::Display) -> Self {
        Self(status, json!({ "error": error.to_string() }))
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0, Json(self.1)).into_response()
    }
}

/// What everybody may see.
pub(super) fn health(view: Arc<View>) -> Router {
    open_to_all()
        .layer(from_fn(not_for_pages))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .with_state(view)
}

/// Refuses what a page of some site asks, in a browser that can reach us (by a name of the site's that now leads here,
/// too). Browsers say so themselves, and pages cannot have it left out.
async fn not_for_pages(request: Request, next: Next) -> Response {
    let headers = request.headers();
    let fetched = headers.get("sec-fetch-site");
    if headers.contains_key(ORIGIN) || fetched.is_some_and(|site| site != "none") {
        return Refusal::new(StatusCode::FORBIDDEN, "this is not for pages in a browser")
            .into_response();
    }
    next.run(request).await
}

fn open_to_all() -> Router<Arc<View>> {
    Router::new()
        .route("/live", get(async || "live\n"))
        .route("/ready", get(ready))
        .route("/metrics", get(metrics_text))
}

/// Every endpoint.
pub(super) fn router(view: Arc<View>) -> Router {
    open_to_all()
        .route("/v1/version", get(version))
        .route("/v1/mesh", get(mesh))
        .route("/v1/join-tokens", post(join_token))
        .route("/v1/stat", get(stat))
        .route("/v1/proxies", get(proxies))
        .route("/v1/analysis", get(analysis))
        .route("/v1/traces/broken", get(broken_traces))
        .route("/v1/trust", get(trust::look))
        .route("/v1/trust/{step}", post(trust::step))
        .merge(access::routes())
        .merge(requests::routes())
        .merge(tap::routes())
        .fallback(async || Refusal::new(StatusCode::NOT_FOUND, "no such endpoint"))
        .method_not_allowed_fallback(async || {
            Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "this endpoint has another method")
        })
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(from_fn(not_for_pages))
        .layer(GlobalConcurrencyLimitLayer::new(MAX_REQUESTS))
        .with_state(view)
}

async fn ready(State(view): State<Arc<View>>) -> Result<&'static str, Refusal> {
    let unavailable = |why: &str| Err(Refusal::new(StatusCode::SERVICE_UNAVAILABLE, why));
    if *view.stopping.borrow() {
        return unavailable("the control plane is stopping");
    }
    if *view.generation.borrow() == 0 {
        return unavailable("the configuration is not translated yet");
    }
    if view.injector.as_ref().is_some_and(|injector| !*injector.ready.borrow()) {
        return unavailable("the API server does not know the injector's certificate yet");
    }
    Ok("ready\n")
}

async fn version() -> Json<Version> {
    Json(Version { name: env!("CARGO_PKG_NAME"), version: env!("CARGO_PKG_VERSION") })
}

async fn mesh(State(view): State<Arc<View>>) -> Json<MeshSummary> {
    let mesh = view.mesh.borrow().clone();
    let connected = view.registry.list().iter().filter(|proxy| proxy.connected).count();
    Json(MeshSummary {
        name: view.mesh_name.clone(),
        trust_domain: mesh.config.trust_domain.clone(),
        grpc_address: view.grpc_address.to_string(),
        advertised_address: view.advertised.clone(),
        identity: view.identity.to_string(),
        counts: Counts {
            services: mesh.services.len(),
            workloads: mesh.workloads.len(),
            meshed: mesh.workloads.values().filter(|workload| workload.meshed).count(),
            routes: mesh.routes.len(),
            traffic_policies: mesh.traffic_policies.len(),
            inbound_policies: mesh.inbound_policies.len(),
            proxies: connected,
            findings: view.findings.borrow().len(),
        },
    })
}

async fn join_token(
    State(view): State<Arc<View>>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Bootstrap>, Refusal> {
    let body = body.map_err(|error| Refusal::new(error.status(), error))?;
    let request: JoinRequest = serde_json::from_slice(&body)
        .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    let Some((name, namespace)) = names::parse_workload(&request.workload) else {
        let error = format!("{:?} is not <name>.<namespace>", request.workload);
        return Err(Refusal::new(StatusCode::BAD_REQUEST, error));
    };
    let key = Key::new(namespace, name);
    let minted = view.ca.mint(&key);
    let (join_token, identity) = minted.map_err(|error| refuse_token(&view, &error))?;
    tracing::info!(workload = request.workload, %identity, "made a join token");
    let about = view.mesh.borrow().workloads.get(&key).map(|found| {
        let model::Locality { region, zone, sub_zone } = found.locality.clone();
        let service = ServiceName {
            name: found.display_name().to_owned(),
            version: found.version().to_owned(),
        };
        (service, Locality { region, zone, sub_zone })
    });
    let (service, locality) = about.unwrap_or_default();
    Ok(Json(Bootstrap {
        workload: request.workload,
        identity: identity.to_string(),
        control_plane: ControlPlane {
            address: view.advertised.clone(),
            identity: view.identity.to_string(),
        },
        trust_bundle: view.ca.bundle_pem().borrow().to_string(),
        join_token,
        service,
        locality,
    }))
}

fn refuse_token(view: &View, error: &MintError) -> Refusal {
    let status = match error {
        MintError::UnknownWorkload(_) => {
            let mesh = view.mesh.borrow();
            let known = mesh.workloads.keys().map(|key| names::workload(&key.name, &key.namespace));
            let known: Vec<_> = known.collect();
            let body = json!({ "error": error.to_string(), "known_workloads": known });
            return Refusal(StatusCode::NOT_FOUND, body);
        }
        MintError::Identity(..) => StatusCode::UNPROCESSABLE_ENTITY,
        MintError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        MintError::Randomness => StatusCode::INTERNAL_SERVER_ERROR,
    };
    Refusal::new(status, error)
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct StatQuery {
    window: Option<String>,
    /// With the buckets of the latency, for whoever adds up what several replicas say.
    #[serde(default)]
    buckets: bool,
}

async fn stat(
    State(view): State<Arc<View>>,
    query: Result<Query<StatQuery>, QueryRejection>,
) -> Result<Json<Stat>, Refusal> {
    let Query(query) = query.map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?;
    let window = window(query.window.as_deref())?;
    // Summing up a large mesh takes milliseconds, in which streams are not to wait.
    let telemetry = view.telemetry.clone();
    let sum = move || {
        let stat = telemetry.stat(window);
        if query.buckets { stat } else { stat.without_buckets() }
    };
    let stat = tokio::task::spawn_blocking(sum).await;
    stat.map(Json).map_err(|error| Refusal::new(StatusCode::INTERNAL_SERVER_ERROR, error))
}

fn window(text: Option<&str>) -> Result<Window, Refusal> {
    let Some(text) = text else { return Ok(Window::Seconds(DEFAULT_WINDOW)) };
    match text.parse() {
        Ok(seconds) if (1..=WINDOW_MAX).contains(&seconds) => Ok(Window::Seconds(seconds)),
        _ if text == "all" => Ok(Window::All),
        _ => {
            let error = format!("window={text} is neither 1 to {WINDOW_MAX} seconds nor all");
            Err(Refusal::new(StatusCode::BAD_REQUEST, error))
        }
    }
}

async fn proxies(State(view): State<Arc<View>>) -> Json<Vec<Proxy>> {
    let list = view.registry.list().into_iter().map(|status| {
        let workload = names::workload(&status.workload.name, &status.workload.namespace);
        let reported = view.telemetry.proxy(&workload);
        Proxy::new(workload, status, reported)
    });
    let mut all: Vec<Proxy> = list.collect();
    let known: BTreeSet<String> = all.iter().map(|proxy| proxy.workload.clone()).collect();
    let mesh = view.mesh.borrow().clone();
    let reporting = view.telemetry.connected().into_iter();
    all.extend(reporting.filter(|workload| !known.contains(&**workload)).filter_map(|workload| {
        let (name, namespace) = names::parse_workload(&workload)?;
        let state = view.telemetry.proxy(&workload)?;
        let identity = crate::requests::identity(&mesh, &workload);
        Some(Proxy::elsewhere(Key::new(namespace, name), workload.to_string(), identity, state))
    }));
    all.sort_by(|one, other| one.workload.cmp(&other.workload));
    Json(all)
}

async fn analysis(State(view): State<Arc<View>>) -> Json<Vec<Finding>> {
    let findings = view.findings.borrow().clone();
    Json(findings.to_vec())
}

async fn broken_traces(State(view): State<Arc<View>>) -> Json<Vec<BrokenWorkload>> {
    Json(view.telemetry.broken_traces())
}

async fn metrics_text(State(view): State<Arc<View>>) -> impl IntoResponse {
    ([(CONTENT_TYPE, metrics::CONTENT_TYPE)], metrics::text(&view))
}

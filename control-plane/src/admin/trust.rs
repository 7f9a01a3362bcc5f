//! `/v1/trust`: how the mesh's roots stand, and the steps of their rotation. The shapes are a contract with `weft` and with
//! scripts, as those of `json`; what is decided is decided by [`crate::trust`].

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::rejection::BytesRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;
use weft_certs::{Root, RootState};

use super::View;
use super::handlers::Refusal;
use crate::trust::{Look, Obstacle, Step, StepError, shown};

/// `GET /v1/trust`.
#[derive(Debug, Serialize)]
pub(super) struct Status {
    trust_domain: String,
    /// `stage`, `issue` or `retire`: the step that comes next.
    next: &'static str,
    /// Who is in the way of it.
    obstacles: Vec<InTheWay>,
    /// In the order in which they came.
    roots: Vec<RootStatus>,
    /// Sidecars that there should be, and of them those connected.
    sidecars: usize,
    connected: usize,
    /// Null where no issuer from outside is there.
    issuer: Option<IssuerStatus>,
}

/// One root. Times are RFC 3339.
#[derive(Debug, Serialize)]
struct RootStatus {
    /// SHA-256, hexadecimal.
    fingerprint: String,
    name: String,
    /// `staged`, `issuing` or `old`.
    state: &'static str,
    not_before: String,
    not_after: String,
    /// Its key is somebody else's.
    external: bool,
    /// Of a staged one: since when it is believed.
    staged_since: Option<String>,
    /// Of an old one: when the last certificate that can lead to it ends.
    last_leaf: Option<String>,
    /// Connected sidecars that believe it, and those whose certificate leads to it.
    believed_by: usize,
    leaves: usize,
}

/// Somebody who is not ready.
#[derive(Debug, Serialize)]
struct InTheWay {
    /// `name.namespace`, or `replica NAME`.
    who: String,
    why: &'static str,
    /// RFC 3339: then it is in nobody's way any more. Null where that is not known.
    until: Option<String>,
}

/// An issuing CA from outside.
#[derive(Debug, Serialize)]
struct IssuerStatus {
    /// `Secret weft-system/weft-issuer`, or a directory.
    source: String,
    /// RFC 3339; null if it cannot be used.
    not_after: Option<String>,
    /// Why not, and how to mend it.
    fault: Option<String>,
    mending: Option<&'static str>,
}

/// Body of `POST /v1/trust/<step>`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct StepRequest {
    /// Whoever is not ready: so be it.
    #[serde(default)]
    force: bool,
}

/// Answer of `POST /v1/trust/<step>`.
#[derive(Debug, Serialize)]
pub(super) struct Stepped {
    /// False where there was nothing to do.
    changed: bool,
    status: Status,
}

pub(super) async fn look(State(view): State<Arc<View>>) -> Json<Status> {
    Json(status(&view).await)
}

pub(super) async fn step(
    State(view): State<Arc<View>>,
    Path(step): Path<String>,
    body: Result<Bytes, BytesRejection>,
) -> Result<Json<Stepped>, Refusal> {
    let step = match step.as_str() {
        "stage" => Step::Stage,
        "issue" => Step::Issue,
        "retire" => Step::Retire,
        _ => return Err(Refusal::new(StatusCode::NOT_FOUND, "no such endpoint")),
    };
    let body = body.map_err(|error| Refusal::new(error.status(), error))?;
    let request = match &body[..] {
        [] => StepRequest::default(),
        body => serde_json::from_slice(body)
            .map_err(|error| Refusal::new(StatusCode::BAD_REQUEST, error))?,
    };
    let changed = view.trust.step(step, request.force).await.map_err(refuse)?;
    Ok(Json(Stepped { changed, status: status(&view).await }))
}

fn refuse(error: StepError) -> Refusal {
    match &error {
        StepError::NotReady(_, obstacles) => {
            let obstacles: Vec<_> = obstacles.iter().cloned().map(in_the_way).collect();
            let body = json!({ "error": error.to_string(), "obstacles": obstacles });
            Refusal(StatusCode::CONFLICT, body)
        }
        StepError::Issuer(_) => Refusal::new(StatusCode::CONFLICT, error),
        StepError::Store(_) => Refusal::new(StatusCode::SERVICE_UNAVAILABLE, error),
    }
}

async fn status(view: &View) -> Status {
    let Look { roots, next, obstacles, counts, known, connected, issuer } = view.trust.look().await;
    let counts = |root: &Root| counts.get(&root.fingerprint).copied().unwrap_or_default();
    let issuer = issuer.present.then(|| IssuerStatus {
        source: issuer.source,
        not_after: issuer.not_after.map(shown),
        mending: issuer.fault.as_ref().map(|fault| fault.mending),
        fault: issuer.fault.map(|fault| fault.to_string()),
    });
    Status {
        trust_domain: view.ca.trust_domain().to_string(),
        next: match next {
            Step::Stage => "stage",
            Step::Issue => "issue",
            Step::Retire => "retire",
        },
        obstacles: obstacles.into_iter().map(in_the_way).collect(),
        roots: roots.iter().map(|found| root(found, counts(found))).collect(),
        sidecars: known,
        connected,
        issuer,
    }
}

fn root(root: &Root, (believed_by, leaves): (usize, usize)) -> RootStatus {
    let (state, staged_since, last_leaf) = match root.state {
        RootState::Staged { since } => ("staged", Some(shown(since)), None),
        RootState::Issuing => ("issuing", None, None),
        RootState::Old { last_leaf } => ("old", None, Some(shown(last_leaf))),
    };
    RootStatus {
        fingerprint: root.fingerprint.clone(),
        name: root.name.clone(),
        state,
        not_before: shown(root.not_before),
        not_after: shown(root.not_after),
        external: root.external,
        staged_since,
        last_leaf,
        believed_by,
        leaves,
    }
}

fn in_the_way(obstacle: Obstacle) -> InTheWay {
    let Obstacle { who, why, until } = obstacle;
    InTheWay { who, why, until: until.map(shown) }
}

//! What is asked of the control plane, of any one replica: each asks the others itself.

use anyhow::{Context, Result, bail};
use http::StatusCode;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::admin::AdminError;
use crate::args::PlaceArgs;
use crate::control_planes;
use crate::environment::Environment;

/// A step of a rotation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Step {
    Stage,
    Issue,
    Retire,
}

impl Step {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Stage => "stage",
            Self::Issue => "issue",
            Self::Retire => "retire",
        }
    }

    /// It was done.
    pub(super) fn done(self) -> &'static str {
        match self {
            Self::Stage => "A new root is staged: it is believed, and signs nothing yet.",
            Self::Issue => "The new root signs; every sidecar renews its certificate now.",
            Self::Retire => "The old root is believed no more.",
        }
    }

    /// There was nothing to do.
    pub(super) fn nothing(self) -> &'static str {
        match self {
            Self::Stage => "A root is staged already.",
            Self::Issue => "No root is staged.",
            Self::Retire => "There is no old root.",
        }
    }
}

/// `GET /v1/trust`.
#[derive(Debug, Deserialize)]
pub(super) struct Status {
    pub(super) next: Step,
    #[serde(default)]
    pub(super) obstacles: Vec<Obstacle>,
    #[serde(default)]
    pub(super) roots: Vec<Root>,
    pub(super) sidecars: usize,
    pub(super) connected: usize,
    pub(super) issuer: Option<Issuer>,
    /// As it came.
    #[serde(skip)]
    pub(super) raw: Value,
}

/// Who is not ready for the next step.
#[derive(Debug, Deserialize)]
pub(super) struct Obstacle {
    pub(super) who: String,
    pub(super) why: String,
    /// RFC 3339.
    pub(super) until: Option<String>,
}

/// One root.
#[derive(Debug, Deserialize)]
pub(super) struct Root {
    pub(super) fingerprint: String,
    pub(super) name: String,
    /// `staged`, `issuing` or `old`.
    pub(super) state: String,
    /// RFC 3339.
    pub(super) not_after: Value,
    #[serde(default)]
    pub(super) external: bool,
    pub(super) believed_by: usize,
    pub(super) leaves: usize,
}

/// An issuing CA from outside.
#[derive(Debug, Deserialize)]
pub(super) struct Issuer {
    pub(super) source: String,
    pub(super) fault: Option<String>,
    pub(super) mending: Option<String>,
}

/// What came of asking for a step.
#[derive(Debug)]
pub(super) enum Answer {
    /// Done, or nothing to do.
    Done { changed: bool, status: Status },
    /// Somebody is not ready, or somebody else makes the roots.
    Refused(String),
}

/// The control plane, looked for anew with each question: replicas come and go.
#[derive(Debug)]
pub(super) struct ControlPlane<'a> {
    place: &'a PlaceArgs,
    mesh: Option<&'a str>,
    environment: &'a Environment,
}

impl<'a> ControlPlane<'a> {
    pub(super) fn new(
        place: &'a PlaceArgs,
        mesh: Option<&'a str>,
        environment: &'a Environment,
    ) -> Self {
        Self { place, mesh, environment }
    }

    /// How everything stands.
    ///
    /// # Errors
    /// No replica answers.
    pub(super) async fn status(&self) -> Result<Status> {
        let mut errors = Vec::new();
        for socket in control_planes::find(self.place, self.mesh, self.environment).await? {
            match socket.get::<Value>("/v1/trust").await {
                Ok(raw) => return read(raw),
                Err(error) => errors.push(error.to_string()),
            }
        }
        bail!("cannot ask for the mesh's roots: {}", errors.join("; "))
    }

    /// Asks for a step.
    ///
    /// # Errors
    /// No replica answers, or the CA cannot be changed.
    pub(super) async fn step(&self, step: Step, force: bool) -> Result<Answer> {
        let target = format!("/v1/trust/{}", step.word());
        let mut errors = Vec::new();
        for socket in control_planes::find(self.place, self.mesh, self.environment).await? {
            match socket.post::<Value>(&target, &json!({ "force": force })).await {
                Ok(mut answer) => {
                    let changed = answer["changed"] == true;
                    return Ok(Answer::Done { changed, status: read(answer["status"].take())? });
                }
                Err(AdminError::Refused { status: StatusCode::CONFLICT, message }) => {
                    return Ok(Answer::Refused(message));
                }
                Err(error) => errors.push(error.to_string()),
            }
        }
        bail!("cannot {} a root: {}", step.word(), errors.join("; "))
    }
}

fn read(raw: Value) -> Result<Status> {
    let status: Status = serde_json::from_value(raw.clone())
        .context("the control plane's answer is not known to this weft")?;
    Ok(Status { raw, ..status })
}

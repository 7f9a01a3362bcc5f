//! One question of the API server's, and the answer.
//!
//! Called by `server` with the body of a request. [`decide`] is pure; [`Reviewer::answer`] does what has to be done before the
//! pod may be made.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use json_patch::Patch;
use k8s_openapi::api::core::v1::Pod;
use kube::core::DynamicObject;
use kube::core::Status;
use kube::core::admission::{AdmissionRequest, AdmissionResponse, AdmissionReview, Operation};
use serde_json::Value;

use super::Counts;
use super::counts::count;
use super::events::Tell;
use super::trust_bundle::Ensure;
use crate::injection::{self, Facts, Injector, Outcome, Owner, Settings, Skip};

/// Bound: letters of one warning; the API server cuts what is longer than 256 anyway, and says so.
const MAX_WARNING: usize = 250;
/// Bound: warnings of one answer.
const MAX_WARNINGS: usize = 16;

/// Answers the API server.
pub(super) struct Reviewer {
    settings: Settings,
    ensure: Ensure,
    tell: Tell,
    counts: Arc<Counts>,
}

/// A body that is no question.
#[derive(Debug, thiserror::Error)]
#[error("not an AdmissionReview of admission.k8s.io/v1: {0}")]
pub(super) struct NotAReview(String);

/// What is to be said of a pod.
#[derive(Debug)]
struct Decision {
    verdict: Verdict,
    warnings: Vec<String>,
}

/// What becomes of a pod.
#[derive(Debug)]
enum Verdict {
    /// It is made with a sidecar.
    Inject(Patch),
    /// It is made as it is.
    Skip(Skip, Option<Owner>),
    /// It is not made.
    Deny(String),
}

impl Reviewer {
    pub(super) fn new(settings: Settings, ensure: Ensure, tell: Tell, counts: Arc<Counts>) -> Self {
        Self { settings, ensure, tell, counts }
    }

    /// The answer to `body`, both JSON.
    ///
    /// # Errors
    /// If it is no question at all.
    pub(super) async fn answer(&self, body: &[u8]) -> Result<Vec<u8>, NotAReview> {
        let answered = self.review(body).await;
        if answered.is_err() {
            count(&self.counts.failed);
        }
        answered
    }

    async fn review(&self, body: &[u8]) -> Result<Vec<u8>, NotAReview> {
        let wrong = |error: &dyn ToString| NotAReview(error.to_string());
        let mut raw: Value = serde_json::from_slice(body).map_err(|error| wrong(&error))?;
        // As it was sent: the patch has to fit it to the letter.
        let object = raw.pointer("/request/object").cloned().unwrap_or_default();
        let review: AdmissionReview<DynamicObject> =
            serde_json::from_value(raw.take()).map_err(|error| wrong(&error))?;
        let request: AdmissionRequest<DynamicObject> =
            review.try_into().map_err(|error| wrong(&error))?;
        let response = match (&request.operation, &*request.kind.group, &*request.kind.kind) {
            (Operation::Create, "", "Pod") => self.pod(&request, &object).await,
            // A configuration that asks about more is not ours.
            _ => AdmissionResponse::from(&request),
        };
        serde_json::to_vec(&response.into_review()).map_err(|error| wrong(&error))
    }

    async fn pod(
        &self,
        request: &AdmissionRequest<DynamicObject>,
        object: &Value,
    ) -> AdmissionResponse {
        let decision = decide(object, &self.settings);
        let namespace = request.namespace.as_deref().unwrap_or("default");
        let mut response = AdmissionResponse::from(request);
        let warnings = clip(decision.warnings);
        self.counts.warnings.fetch_add(warnings.len() as u64, Ordering::Relaxed);
        response.warnings = Some(warnings).filter(|warnings| !warnings.is_empty());
        // Order: the pod mounts it, so it has to be there first. A dry run must change nothing.
        if decision.verdict.is_meshed()
            && !request.dry_run
            && let Err(error) = self.ensure.ensure(namespace).await
        {
            count(&self.counts.failed);
            tracing::warn!(namespace, %error, "a namespace cannot have the trust bundle");
            let bundle = injection::TRUST_BUNDLE;
            return deny(
                response,
                &format!("the ConfigMap {bundle} cannot be written: {error}"),
                503,
            );
        }
        match decision.verdict {
            Verdict::Deny(message) => {
                count(&self.counts.denied);
                tracing::info!(namespace, %message, "refused a pod");
                deny(response, &message, 422)
            }
            Verdict::Skip(skip, owner) => {
                count(&self.counts.skipped);
                // No news when the API server asks a second time about what we did ourselves.
                let again = skip == Skip::AlreadyInjected(Injector::Webhook);
                if let Some(owner) = owner.filter(|_| !request.dry_run && !again) {
                    self.tell.skipped(owner, namespace, skip);
                }
                response
            }
            Verdict::Inject(patch) => self.injected(response, patch),
        }
    }

    fn injected(&self, response: AdmissionResponse, patch: Patch) -> AdmissionResponse {
        let refused = response.clone();
        match response.with_patch(patch) {
            Ok(response) => {
                count(&self.counts.injected);
                response
            }
            Err(error) => {
                count(&self.counts.failed);
                deny(refused, &error.to_string(), 500)
            }
        }
    }
}

impl Verdict {
    /// Has the pod a sidecar, by whomever?
    fn is_meshed(&self) -> bool {
        matches!(self, Self::Inject(_) | Self::Skip(Skip::AlreadyInjected(_), _))
    }
}

/// What becomes of the pod in `object`.
fn decide(object: &Value, settings: &Settings) -> Decision {
    let deny = |message: String| Decision { verdict: Verdict::Deny(message), warnings: Vec::new() };
    let pod: Pod = match serde_json::from_value(object.clone()) {
        Ok(pod) => pod,
        Err(error) => return deny(format!("the pod cannot be read: {error}")),
    };
    let facts = Facts { owner: Owner::of(&pod) };
    let decision = match injection::inject(&pod, settings, &facts) {
        Ok(decision) => decision,
        Err(denial) => return deny(denial.to_string()),
    };
    let verdict = match decision.outcome {
        Outcome::Skipped(skip) => Verdict::Skip(skip, facts.owner),
        Outcome::Injected(addition) => match addition.patch(object, &[]) {
            Ok(patch) => Verdict::Inject(patch),
            Err(error) => return deny(error.to_string()),
        },
    };
    Decision { verdict, warnings: decision.warnings }
}

fn deny(mut response: AdmissionResponse, message: &str, code: u16) -> AdmissionResponse {
    response.allowed = false;
    let reason = if code == 422 { "Invalid" } else { "InternalError" };
    response.result = Status::failure(message, reason).with_code(code);
    response
}

/// As many and as long as the API server passes on.
fn clip(warnings: Vec<String>) -> Vec<String> {
    let cut = |text: String| match text.char_indices().nth(MAX_WARNING) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    warnings.into_iter().take(MAX_WARNINGS).map(cut).collect()
}

#[cfg(test)]
mod tests;

//! Service-account tokens: how a pod's proxy proves who it is. The API server looks at the token, we at its answer.
//!
//! A token counts if the API server vouches for it, it was made for us (audience) and is bound to a pod that is there.
//! The API server itself refuses the token of a pod that was deleted. Tokens are handed on and forgotten.

use std::sync::Arc;
use std::time::Duration;

use k8s_openapi::api::authentication::v1::{TokenReview, TokenReviewSpec, TokenReviewStatus};
use k8s_openapi::api::core::v1::Pod;
use kube::Client;
use kube::api::{Api, PostParams};
use tokio::sync::Semaphore;
use tokio::time::timeout;
use weft_certs::{SpiffeId, TrustDomain};

use crate::injection::TOKEN_AUDIENCE as AUDIENCE;
use crate::model::Key;

const TIMEOUT: Duration = Duration::from_secs(5);
/// Bound: reviews at once; others wait, and the API server has other things to do.
const AT_ONCE: usize = 16;
/// Bound: bytes of a token; those of Kubernetes have about 1,200.
const MAX_TOKEN: usize = 16 * 1024;
const POD_NAME: &str = "authentication.kubernetes.io/pod-name";
const POD_UID: &str = "authentication.kubernetes.io/pod-uid";
const USER_PREFIX: &str = "system:serviceaccount:";

/// Who showed a token.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Reviewed {
    /// The pod that it is bound to, and that pod's uid.
    pod: Key,
    uid: String,
    identity: SpiffeId,
}

/// Why a token proves nothing.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ReviewError {
    /// The API server says no.
    #[error("the API server does not accept the token: {0}")]
    NotAuthenticated(String),
    /// It is good for somebody else.
    #[error("the token is not for the audience {AUDIENCE}")]
    Audience,
    /// It is nobody's who could have a sidecar.
    #[error("the token is of {0}, not of a service account in a pod")]
    NotAPod(String),
    /// The pod is not there any more, or has ended.
    #[error("pod {0} is not running")]
    NotRunning(Key),
    /// The service account makes no SPIFFE id.
    #[error("the service account is no identity: {0}")]
    Identity(String),
    /// The API server could not be asked; the caller may try again.
    #[error("the API server cannot be asked: {0}")]
    Unavailable(String),
}

/// Asks the API server.
#[derive(Clone)]
pub(crate) struct TokenReviewer {
    client: Client,
    at_once: Arc<Semaphore>,
}

impl std::fmt::Debug for TokenReviewer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TokenReviewer").finish_non_exhaustive()
    }
}

impl TokenReviewer {
    /// Over this client.
    pub(crate) fn new(client: Client) -> Self {
        Self { client, at_once: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// Who the token is of.
    ///
    /// # Errors
    /// If it proves nothing, or the API server does not answer in time.
    pub(crate) async fn review(
        &self,
        token: &str,
        trust_domain: &TrustDomain,
    ) -> Result<SpiffeId, ReviewError> {
        if token.len() > MAX_TOKEN {
            return Err(ReviewError::NotAuthenticated("it is too long".to_owned()));
        }
        match timeout(TIMEOUT, self.ask(token, trust_domain)).await {
            Ok(answer) => answer,
            Err(elapsed) => Err(ReviewError::Unavailable(elapsed.to_string())),
        }
    }

    async fn ask(&self, token: &str, trust_domain: &TrustDomain) -> Result<SpiffeId, ReviewError> {
        let closed = |error: tokio::sync::AcquireError| ReviewError::Unavailable(error.to_string());
        let _permit = self.at_once.acquire().await.map_err(closed)?;
        let spec = TokenReviewSpec {
            token: Some(token.to_owned()),
            audiences: Some(vec![AUDIENCE.to_owned()]),
        };
        let review = TokenReview { spec, ..TokenReview::default() };
        let reviews = Api::<TokenReview>::all(self.client.clone());
        let failed = |error: kube::Error| ReviewError::Unavailable(error.to_string());
        let answer = reviews.create(&PostParams::default(), &review).await.map_err(failed)?;
        let Reviewed { pod, uid, identity } =
            judge(&answer.status.unwrap_or_default(), trust_domain)?;
        // Asked and not looked up in what is watched: that may not have heard of a pod so young.
        let pods = Api::<Pod>::namespaced(self.client.clone(), &pod.namespace);
        let found = pods.get_opt(&pod.name).await.map_err(failed)?;
        if found.is_some_and(|found| is_running(&found, &uid)) {
            Ok(identity)
        } else {
            Err(ReviewError::NotRunning(pod))
        }
    }
}

/// Is it the very pod, and has it not ended?
fn is_running(pod: &Pod, uid: &str) -> bool {
    let phase = pod.status.as_ref().and_then(|status| status.phase.as_deref());
    pod.metadata.uid.as_deref() == Some(uid) && !matches!(phase, Some("Succeeded" | "Failed"))
}

/// What the API server's answer means. Pure.
fn judge(status: &TokenReviewStatus, trust_domain: &TrustDomain) -> Result<Reviewed, ReviewError> {
    if status.authenticated != Some(true) {
        let reason = status.error.clone().unwrap_or_else(|| "it is not valid".to_owned());
        return Err(ReviewError::NotAuthenticated(reason));
    }
    // An API server that knows no audiences leaves this empty; then nobody has looked at it.
    if !status.audiences.iter().flatten().any(|audience| audience == AUDIENCE) {
        return Err(ReviewError::Audience);
    }
    let user = status.user.clone().unwrap_or_default();
    let name = user.username.unwrap_or_default();
    let extra = user.extra.unwrap_or_default();
    let one = |name: &str| extra.get(name).and_then(|values| values.first());
    let account = name.strip_prefix(USER_PREFIX).and_then(|account| account.split_once(':'));
    let (Some((namespace, account)), Some(pod), Some(uid)) = (account, one(POD_NAME), one(POD_UID))
    else {
        return Err(ReviewError::NotAPod(name));
    };
    let identity = SpiffeId::workload(trust_domain, namespace, account)
        .map_err(|error| ReviewError::Identity(error.to_string()))?;
    Ok(Reviewed { pod: Key::new(namespace, pod), uid: uid.clone(), identity })
}

#[cfg(test)]
mod tests;

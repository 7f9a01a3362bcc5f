//! This workload's own certificate: had, kept, renewed, and given up when it has expired.
//!
//! [`Identity::run`] runs on the control thread for as long as the proxy does. It publishes [`Credentials`]; `None`
//! means that there are none now, never or no longer, and that the data path must fail closed. The private key
//! is made here, anew for each certificate, and leaves the process only into the state directory.

mod issue;
mod schedule;
mod trouble;

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::Instant;
use weft_certs::{Denial, Leaf, SpiffeId, TrustBundle};

use crate::bootstrap::{Bootstrap, Roots, Token};
use crate::control_channel::{Backoff, ControlPlane, random_unit};
use crate::store::{Store, StoredIdentity};
use issue::{IssueError, Issued, Proof};

/// First wait after a failure.
const FIRST_RETRY: Duration = Duration::from_millis(100);
/// Roots in a file are looked at this often.
const LOOK_AT_ROOTS: Duration = Duration::from_secs(2);
/// Bound: errors that were told and are not told again until it works.
const MAX_TOLD: usize = 8;
/// The wall clock is looked at again at least this often: it may jump, and the machine may have slept.
const LOOK_AGAIN: Duration = Duration::from_secs(30);

/// Over this time renewals that the control plane asks all sidecars for are spread.
const SPREAD: Duration = Duration::from_secs(5);

/// What this workload proves itself with, and whom it believes.
#[derive(Clone, Debug)]
pub struct Credentials {
    /// Certificate and key. Valid when it was published.
    pub leaf: Leaf,
    /// Roots that peers' chains must lead to.
    pub bundle: TrustBundle,
    /// Counts changes of `bundle`: TLS sessions of another epoch must not be resumed.
    pub epoch: u64,
}

/// What others learn and this component has to follow.
#[derive(Debug)]
pub struct Pushed {
    /// Trust bundles that arrive by SDS.
    pub bundles: watch::Receiver<Option<TrustBundle>>,
    /// Whether this workload, or its certificate, is denied.
    pub denied: watch::Receiver<Option<Denial>>,
}

/// How the certificate stands, for readiness and admin.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Renewal {
    /// Last second of the newest certificate, which may be over.
    pub not_after: Option<SystemTime>,
    /// When it is to be renewed.
    pub renew_at: Option<SystemTime>,
    /// First second of the newest certificate.
    pub not_before: Option<SystemTime>,
    /// A quarter of its life is left, or less, and there is no other.
    pub overdue: bool,
    /// Why the last attempt failed; `None` after one that did not.
    pub last_error: Option<String>,
    /// Attempts that failed since the start.
    pub failures: u64,
}

/// The component; see the module.
pub struct Identity {
    id: SpiffeId,
    /// Proof beside the certificate.
    token: Option<Token>,
    /// Where this proxy was enrolled: changed under it, it may be another CA.
    roots: Roots,
    enrolment: String,
    control_plane: ControlPlane,
    store: Arc<Store>,
    pushed: Pushed,
    credentials: watch::Sender<Option<Arc<Credentials>>>,
    renewal: watch::Sender<Renewal>,
    /// The control plane asks for a renewal.
    asked: Arc<Notify>,
    /// The newest identity, which may have expired.
    current: Option<StoredIdentity>,
    epoch: u64,
    /// Attempts that failed since the last that did not.
    failures: u32,
    /// The same since the start.
    failed: u64,
    /// What was told since the last success.
    told: Vec<String>,
    backoff: Backoff,
    /// Not before then; `None`: when `current` is due.
    retry_at: Option<Instant>,
}

/// The component's face to the rest of the proxy.
#[derive(Clone, Debug)]
pub struct Handle {
    /// What to prove oneself with.
    pub credentials: watch::Receiver<Option<Arc<Credentials>>>,
    /// How that stands.
    pub renewal: watch::Receiver<Renewal>,
    /// To ask for a renewal within seconds.
    pub renew: Arc<Notify>,
}

impl Identity {
    /// Loads what is stored: if the leaf is still valid it is published when this returns, before anybody is
    /// asked.
    #[must_use]
    pub fn new(
        bootstrap: &Bootstrap,
        control_plane: ControlPlane,
        store: Arc<Store>,
        pushed: Pushed,
    ) -> (Self, Handle) {
        let (credentials, published) = watch::channel(None);
        let (renewal, standing) = watch::channel(Renewal::default());
        let mut current = store.identity();
        if let Some(other) = current.take_if(|stored| *stored.leaf.id() != bootstrap.identity) {
            let stored = other.leaf.id();
            tracing::warn!(%stored, wanted = %bootstrap.identity, "another identity is stored, ignored");
        }
        let enrolment = schedule::enrolment(&bootstrap.roots.now());
        if let Some(stored) = current.as_mut().filter(|stored| stored.enrolment != enrolment) {
            // Somebody enrolled this proxy anew, perhaps under another CA. What is stored may still be good, so
            // it is used, but asked about at once.
            stored.renew_at = SystemTime::UNIX_EPOCH;
        }
        let now = SystemTime::now();
        let valid = current.as_ref().filter(|stored| stored.leaf.is_valid_at(now));
        let longest = valid.map_or(schedule::LONGEST_UNENROLLED, |stored| {
            schedule::longest_retry(now, stored.leaf.not_after())
        });
        let mut identity = Self {
            id: bootstrap.identity.clone(),
            token: bootstrap.token.clone(),
            roots: bootstrap.roots.clone(),
            enrolment,
            control_plane,
            store,
            pushed,
            credentials,
            renewal,
            asked: Arc::default(),
            current,
            epoch: 1,
            failures: 0,
            failed: 0,
            told: Vec::new(),
            backoff: Backoff::new(FIRST_RETRY, longest),
            retry_at: None,
        };
        identity.publish(None);
        let renew = Arc::clone(&identity.asked);
        (identity, Handle { credentials: published, renewal: standing, renew })
    }

    /// Keeps a certificate, for ever.
    pub async fn run(mut self) {
        if self.credentials.borrow().is_none() {
            tracing::info!(
                id = %self.id, control_plane = self.control_plane.address(),
                "no certificate yet, waiting for the control plane to issue one"
            );
        }
        loop {
            self.expire();
            self.alarm();
            self.look_at_roots();
            if self.is_due() {
                self.renew().await;
                continue;
            }
            let (wait, asked) = (self.wait(), Arc::clone(&self.asked));
            tokio::select! {
                () = asked.notified() => self.renew_soon(),
                Ok(()) = self.pushed.bundles.changed() => self.adopt_pushed(),
                Ok(()) = self.pushed.denied.changed() => self.look_at_denial(),
                () = tokio::time::sleep(wait) => {}
            }
        }
    }

    fn is_due(&self) -> bool {
        match (&self.retry_at, &self.current) {
            (Some(at), _) => Instant::now() >= *at,
            (None, Some(current)) => SystemTime::now() >= current.renew_at,
            (None, None) => true,
        }
    }

    /// Until the next attempt or the end of the leaf, whichever is first.
    fn wait(&self) -> Duration {
        let now = SystemTime::now();
        let attempt = match (&self.retry_at, &self.current) {
            (Some(at), _) => at.saturating_duration_since(Instant::now()),
            (None, Some(current)) => schedule::until(current.renew_at, now),
            (None, None) => Duration::ZERO,
        };
        let look = if self.roots.may_change() { LOOK_AT_ROOTS } else { LOOK_AGAIN };
        attempt.min(self.until_expiry(now)).min(self.until_overdue(now)).min(look)
    }

    /// Everybody is asked at once: each takes a moment of its own.
    fn renew_soon(&mut self) {
        let now = SystemTime::now();
        // One that is due by then need not be drawn again.
        if let Some(current) = self.current.as_mut().filter(|own| own.renew_at > now + SPREAD) {
            current.renew_at = now + SPREAD.mul_f64(random_unit());
            let at = Some(current.renew_at);
            self.renewal.send_modify(|renewal| renewal.renew_at = at);
        }
    }

    /// Roots that are replaced may be those of another CA: what is had may still be good, so it is used, but asked
    /// about at once.
    fn look_at_roots(&mut self) {
        let enrolment = schedule::enrolment(&self.roots.now());
        if enrolment == self.enrolment {
            return;
        }
        tracing::info!(id = %self.id, "other roots than at the start, asking for a new certificate");
        self.enrolment = enrolment;
        if let Some(current) = &mut self.current {
            current.renew_at = SystemTime::UNIX_EPOCH;
        }
        self.backoff.reset();
        self.retry_at = None;
    }

    /// How long what is published stays valid; nothing published never expires.
    fn until_expiry(&self, now: SystemTime) -> Duration {
        let published = self.credentials.borrow();
        published.as_ref().map_or(Duration::MAX, |own| schedule::until_expiry(&own.leaf, now))
    }

    /// Takes an expired leaf back.
    fn expire(&mut self) {
        let now = SystemTime::now();
        let expired = |own: &Arc<Credentials>| !own.leaf.is_valid_at(now);
        let taken = self.credentials.send_if_modified(|own| own.take_if(|o| expired(o)).is_some());
        if taken {
            tracing::error!(id = %self.id, "certificate expired: mesh traffic is refused until it is renewed");
        }
    }

    /// One attempt. The old certificate stays in use meanwhile, to its last second.
    async fn renew(&mut self) {
        let proof = self.proof();
        let attempt = {
            let (control_plane, id) = (self.control_plane.clone(), self.id.clone());
            async move { issue::issue(&control_plane, &id, proof?).await }
        };
        let mut attempt = pin!(attempt);
        let outcome = loop {
            let now = SystemTime::now();
            let left = self.until_expiry(now).min(self.until_overdue(now)).min(LOOK_AGAIN);
            tokio::select! {
                outcome = &mut attempt => break outcome,
                () = tokio::time::sleep(left) => {
                    self.expire();
                    self.alarm();
                }
            }
        };
        match outcome {
            Ok(issued) => self.adopt(issued),
            Err(error) => self.fail(&error),
        }
    }

    /// The certificate, even expired, before the token. If the certificate fails both are tried in turn: the control
    /// plane may have a new CA, which only the bootstrap knows.
    fn proof(&self) -> Result<Proof, IssueError> {
        let now = SystemTime::now();
        let renewable = self.current.as_ref().filter(|own| schedule::is_renewable(&own.leaf, now));
        match (renewable, &self.token) {
            (Some(_), Some(token)) if self.failures % 2 == 1 || self.is_certificate_denied() => {
                Ok(Proof::Token(token.clone()))
            }
            (Some(own), _) => Ok(Proof::Certificate(own.leaf.clone(), own.bundle.clone())),
            (None, Some(token)) => Ok(Proof::Token(token.clone())),
            (None, None) => Err(IssueError::NoProof),
        }
    }

    fn adopt(&mut self, issued: Issued) {
        let Issued { leaf, bundle, renew_after } = issued;
        let now = SystemTime::now();
        let renew_at = schedule::renewal(now, leaf.not_after(), renew_after, random_unit());
        self.backoff = Backoff::new(FIRST_RETRY, schedule::longest_retry(now, leaf.not_after()));
        self.failures = 0;
        self.told.clear();
        self.retry_at = None;
        let renew_in = schedule::until(renew_at, now);
        tracing::info!(id = %self.id, ?renew_in, "certificate issued");
        self.replace(StoredIdentity { leaf, bundle, renew_at, enrolment: self.enrolment.clone() });
    }

    fn adopt_pushed(&mut self) {
        let pushed = self.pushed.bundles.borrow_and_update().clone();
        let (Some(bundle), Some(current)) = (pushed, self.current.clone()) else { return };
        if bundle != current.bundle {
            tracing::info!("trust bundle replaced");
            self.replace(StoredIdentity { bundle, ..current });
        }
    }

    fn replace(&mut self, identity: StoredIdentity) {
        let before = self.current.replace(identity);
        if let Some(current) = &self.current {
            self.epoch += u64::from(before.is_some_and(|b| b.bundle != current.bundle));
            self.store.save_identity(current);
        }
        self.publish(None);
    }

    fn fail(&mut self, error: &IssueError) {
        // A join token that was refused stays refused; with a certificate there is no need to ask again. One in a file
        // is another one the next time.
        let is_given_once = matches!(self.token, Some(Token::Join(_)));
        if is_given_once && self.current.is_some() && error.refuses_token() {
            self.token = None;
        }
        self.failures = self.failures.wrapping_add(1);
        self.failed += 1;
        let wait = self.backoff.next(random_unit());
        self.retry_at = Some(Instant::now() + wait);
        let error = error.to_string();
        // The same lines again and again of a long outage would drown the others.
        if self.told.contains(&error) {
            tracing::debug!(id = %self.id, error, "still no new certificate");
        } else {
            tracing::warn!(id = %self.id, error, "no new certificate");
            self.told.truncate(MAX_TOLD - 1);
            self.told.push(error.clone());
        }
        self.publish(Some(error));
    }

    /// Shows what is current, if it is valid now.
    fn publish(&mut self, last_error: Option<String>) {
        let now = SystemTime::now();
        let (current, epoch) = (self.current.as_ref(), self.epoch);
        let valid = current.filter(|own| own.leaf.is_valid_at(now)).map(|own| {
            Arc::new(Credentials { leaf: own.leaf.clone(), bundle: own.bundle.clone(), epoch })
        });
        self.credentials.send_if_modified(|published| {
            let same = match (&*published, &valid) {
                (Some(old), Some(new)) => {
                    old.leaf.chain() == new.leaf.chain() && old.epoch == new.epoch
                }
                (None, None) => true,
                (Some(_), None) | (None, Some(_)) => false,
            };
            if !same {
                *published = valid;
            }
            !same
        });
        let overdue = self.renewal.borrow().overdue;
        self.renewal.send_replace(Renewal {
            not_after: current.map(|own| own.leaf.not_after()),
            not_before: current.map(|own| own.leaf.not_before()),
            overdue,
            renew_at: current.map(|own| own.renew_at),
            last_error,
            failures: self.failed,
        });
    }
}

impl std::fmt::Debug for Identity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Identity").field("id", &self.id).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

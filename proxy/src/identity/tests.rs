//! A certificate's life against an identity service in the same process: what is waited for is always the certificate,
//! never a time. A life that is to end is short and begins in the state directory: one that the service issues might be
//! over when it arrives on a slow machine, and the token spent.

use std::sync::Arc;
use std::sync::atomic::Ordering::SeqCst;
use std::time::{Duration, SystemTime};

use tempfile::TempDir;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use weft_certs::TrustBundle;

use super::{Credentials, Handle, Identity, Pushed, schedule};
use crate::bootstrap::{Bootstrap, Token};
use crate::control_channel::ControlPlane;
use crate::control_channel::fixture::{FakeControlPlane, Proven, id, within};
use crate::store::{Store, StoredIdentity};

/// Bundles, and nobody who denies anything.
fn only(bundles: watch::Receiver<Option<TrustBundle>>) -> Pushed {
    Pushed { bundles, denied: watch::channel(None).1 }
}

/// A proxy's identity component on a state directory that outlives it.
struct Proxy {
    handle: Handle,
    pushed: watch::Sender<Option<TrustBundle>>,
    task: JoinHandle<()>,
}

impl Proxy {
    fn start(bootstrap: &Bootstrap, directory: &TempDir) -> Self {
        let (pushed, bundles) = watch::channel(None);
        let store = Arc::new(Store::open(directory.path()).unwrap());
        let control_plane = ControlPlane::new(bootstrap);
        let (identity, handle) = Identity::new(bootstrap, control_plane, store, only(bundles));
        Self { handle, pushed, task: tokio::spawn(identity.run()) }
    }

    async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }

    /// Credentials that fulfil something.
    async fn until(&mut self, what: &str, good: impl Fn(&Credentials) -> bool) -> Arc<Credentials> {
        let found = self.handle.credentials.wait_for(|own| own.as_deref().is_some_and(&good));
        let found = within(what, found).await.unwrap();
        Arc::clone(found.as_ref().unwrap())
    }

    async fn first(&mut self) -> Arc<Credentials> {
        self.until("a certificate", |_| true).await
    }

    async fn next_after(&mut self, old: &Credentials) -> Arc<Credentials> {
        self.until("a new certificate", |own| own.leaf.chain() != old.leaf.chain()).await
    }

    async fn none(&mut self) {
        let none = self.handle.credentials.wait_for(Option::is_none);
        within("the certificate to be given up", none).await.unwrap();
    }

    async fn error(&mut self) -> String {
        self.error_that(|_| true).await
    }

    async fn error_that(&mut self, good: impl Fn(&str) -> bool) -> String {
        let failed = self.handle.renewal.wait_for(|r| r.last_error.as_deref().is_some_and(&good));
        let failed = within("a failure", failed).await.unwrap();
        failed.last_error.clone().unwrap()
    }
}

fn directory() -> TempDir {
    tempfile::tempdir().unwrap()
}

/// A state directory as somebody leaves it who has joined: the certificate is due for renewal, and over after `life`,
/// from `ago`.
fn joined(fake: &FakeControlPlane, ago: Duration, life: Duration) -> TempDir {
    fake.issuing.spend_token();
    let directory = directory();
    let leaf = fake.authority.leaf_for(&id(), life, SystemTime::now() - ago).unwrap();
    Store::open(directory.path()).unwrap().save_identity(&StoredIdentity {
        leaf,
        enrolment: schedule::enrolment(&fake.bundle()),
        bundle: fake.bundle(),
        renew_at: SystemTime::UNIX_EPOCH,
    });
    directory
}

#[tokio::test]
async fn joins_with_the_token_then_renews_over_the_certificate_with_a_new_key() {
    let fake = FakeControlPlane::start();
    let (directory, begun, hour) = (directory(), SystemTime::now(), 3600.0);
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    let first = proxy.first().await;
    assert_eq!((&first.bundle, first.epoch), (&fake.bundle(), 1));
    let renew_at = proxy.handle.renewal.borrow().renew_at.unwrap();
    let (from, to) = (Duration::from_secs_f64(hour * 0.49), Duration::from_secs_f64(hour * 0.7));
    assert!((begun + from..=SystemTime::now() + to).contains(&renew_at), "{renew_at:?}");
    proxy.handle.renew.notify_one();
    let second = proxy.next_after(&first).await;
    assert_ne!(first.leaf.key().to_pem(), second.leaf.key().to_pem());
    assert_eq!(second.epoch, 1, "the roots are the same");
    proxy.handle.renew.notify_one();
    proxy.next_after(&second).await;
    assert_eq!(fake.issuing.seen(), [Proven::Token, Proven::Certificate, Proven::Certificate]);
}

#[tokio::test]
async fn a_failed_renewal_keeps_the_old_certificate_and_is_tried_again() {
    let fake = FakeControlPlane::start();
    let directory = directory();
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    let first = proxy.first().await;
    fake.issuing.refuse.store(true, SeqCst);
    proxy.handle.renew.notify_one();
    let error = proxy.error().await;
    assert_eq!(error, "control plane, asked with the certificate: Unavailable: no signer");
    let kept = proxy.handle.credentials.borrow().clone().unwrap();
    assert_eq!(kept.leaf.chain(), first.leaf.chain());
    fake.issuing.refuse.store(false, SeqCst);
    proxy.next_after(&first).await;
    assert_eq!(proxy.handle.renewal.borrow().last_error, None);
}

#[tokio::test]
async fn an_expired_certificate_is_given_up_and_renewed_by_itself_when_the_control_plane_is_back() {
    let mut fake = FakeControlPlane::start();
    fake.stop().await;
    let directory = joined(&fake, Duration::ZERO, Duration::from_secs(1));
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    proxy.none().await;
    proxy.error().await;
    fake.restart();
    let second = proxy.first().await;
    assert!(second.leaf.is_valid_at(SystemTime::now()));
    assert_eq!(fake.issuing.seen(), [Proven::ExpiredCertificate]);
}

#[tokio::test]
async fn a_certificate_that_expires_during_an_attempt_is_given_up_in_time() {
    let fake = FakeControlPlane::start();
    fake.issuing.hang.store(true, SeqCst);
    let directory = joined(&fake, Duration::ZERO, Duration::from_secs(1));
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    proxy.none().await;
    assert_eq!(proxy.handle.renewal.borrow().last_error, None, "the attempt is still under way");
}

#[tokio::test]
async fn a_restarted_proxy_has_its_certificate_before_it_asks_anybody() {
    let mut fake = FakeControlPlane::start();
    let directory = directory();
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    let first = proxy.first().await;
    proxy.stop().await;
    fake.stop().await;

    let (_, bundles) = watch::channel(None);
    let store = Arc::new(Store::open(directory.path()).unwrap());
    let bootstrap = fake.bootstrap();
    let (_, handle) =
        Identity::new(&bootstrap, ControlPlane::new(&bootstrap), store, only(bundles));
    let own = handle.credentials.borrow().clone().unwrap();
    assert_eq!(own.leaf.to_pem(), first.leaf.to_pem());
    assert_eq!(own.bundle, first.bundle);
    assert!(handle.renewal.borrow().renew_at.unwrap() > SystemTime::now());
}

#[tokio::test]
async fn a_proxy_restarted_with_an_expired_certificate_recovers_over_it() {
    let mut fake = FakeControlPlane::start();
    fake.stop().await;
    let directory = joined(&fake, Duration::from_secs(30), Duration::from_secs(1));
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    assert!(proxy.handle.credentials.borrow().is_none(), "fails closed");
    proxy.error().await;
    fake.restart();
    proxy.first().await;
    assert_eq!(fake.issuing.seen(), [Proven::ExpiredCertificate]);
}

#[tokio::test]
async fn a_certificate_for_somebody_else_is_not_believed() {
    let fake = FakeControlPlane::start();
    fake.issuing.betray.store(true, SeqCst);
    let directory = directory();
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    let error = proxy.error().await;
    assert!(error.starts_with("the certificate that was issued is of no use: "), "{error}");
    assert!(proxy.handle.credentials.borrow().is_none());
}

#[tokio::test]
async fn without_token_and_certificate_it_says_what_to_do() {
    let fake = FakeControlPlane::start();
    let mut bootstrap = fake.bootstrap();
    bootstrap.token = None;
    let directory = directory();
    let mut proxy = Proxy::start(&bootstrap, &directory);
    let error = proxy.error().await;
    assert!(error.contains("get a new bootstrap file"), "{error}");
}

#[tokio::test]
async fn a_wrong_token_is_an_error_that_names_it() {
    let fake = FakeControlPlane::start();
    let mut bootstrap = fake.bootstrap();
    bootstrap.token = Some(Token::Join("wrong".to_owned()));
    let directory = directory();
    let mut proxy = Proxy::start(&bootstrap, &directory);
    assert_eq!(
        proxy.error().await,
        "control plane, asked with the join token: Unauthenticated: unknown join token"
    );
}

#[tokio::test]
async fn a_pushed_trust_bundle_is_a_new_epoch_and_is_kept() {
    let fake = FakeControlPlane::start();
    let directory = directory();
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    let first = proxy.first().await;
    let other = crate::xds::fixture::authority();
    let roots =
        fake.bundle().ders().iter().chain(other.bundle().ders()).cloned().collect::<Vec<_>>();
    let both = TrustBundle::from_der(roots).unwrap();
    proxy.pushed.send_replace(Some(both.clone()));
    let second = proxy.until("the new bundle", |own| own.bundle == both).await;
    assert_eq!((first.epoch, second.epoch), (1, 2));
    assert_eq!(first.leaf.chain(), second.leaf.chain(), "same certificate");
    proxy.pushed.send_replace(Some(both.clone()));
    proxy.stop().await;
    let store = Store::open(directory.path()).unwrap();
    assert_eq!(store.identity().unwrap().bundle, both);
}

#[tokio::test]
async fn a_new_bootstrap_file_under_a_new_ca_enrols_a_proxy_that_has_old_state() {
    let mut fake = FakeControlPlane::start();
    let directory = directory();
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    let first = proxy.first().await;
    proxy.stop().await;
    fake.stop().await;
    fake.replace_authority();
    fake.issuing.renew_token();
    fake.restart();

    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    assert!(proxy.handle.credentials.borrow().is_some(), "what is stored is used meanwhile");
    let second = proxy.next_after(&first).await;
    assert_eq!((&second.bundle, second.epoch), (&fake.bundle(), 2));
    assert_eq!(fake.issuing.seen(), [Proven::Token, Proven::Token]);
}

#[tokio::test]
async fn a_token_in_a_file_is_read_anew_for_every_attempt() {
    let fake = FakeControlPlane::start();
    fake.issuing.take_service_account_token("second");
    let (directory, files) = (directory(), directory());
    let mut proxy = Proxy::start(&fake.bootstrap_in_pod(files.path()), &directory);
    let missing = proxy.error().await;
    assert!(missing.starts_with("service-account token "), "{missing}");
    let token = files.path().join("token");
    std::fs::write(&token, "first\n").unwrap();
    let refused = "control plane, asked with the service-account token: Unauthenticated: the token has expired";
    proxy.error_that(|error| error == refused).await;
    assert!(proxy.handle.credentials.borrow().is_none());
    std::fs::write(&token, "second\n").unwrap();
    proxy.first().await;
    assert_eq!(fake.issuing.seen(), [Proven::Token]);
}

/// The control plane has lost its CA and made another one: what the file says is believed, without a restart.
#[tokio::test]
async fn roots_that_are_replaced_in_their_file_enrol_a_running_proxy_anew() {
    let mut fake = FakeControlPlane::start();
    fake.issuing.take_service_account_token("good");
    let (directory, files) = (directory(), directory());
    std::fs::write(files.path().join("token"), "good").unwrap();
    let mut proxy = Proxy::start(&fake.bootstrap_in_pod(files.path()), &directory);
    let first = proxy.first().await;
    fake.stop().await;
    fake.replace_authority();
    fake.restart();
    std::fs::write(files.path().join("root.pem"), fake.bundle().to_pem()).unwrap();
    let second = proxy.next_after(&first).await;
    assert_eq!((&second.bundle, second.epoch), (&fake.bundle(), 2));
    assert_eq!(fake.issuing.seen(), [Proven::Token, Proven::Token]);
}

/// A token that was refused once is no reason to give up the next one.
#[tokio::test]
async fn a_refused_renewal_goes_on_with_the_token_of_the_file() {
    let mut fake = FakeControlPlane::start();
    fake.issuing.take_service_account_token("later");
    fake.issuing.set_life(Duration::from_secs(4));
    let (directory, files) = (directory(), directory());
    std::fs::write(files.path().join("token"), "later").unwrap();
    let mut proxy = Proxy::start(&fake.bootstrap_in_pod(files.path()), &directory);
    let first = proxy.first().await;
    // Another CA under the same roots' file: neither the certificate nor the roots are of use until the file follows.
    fake.stop().await;
    fake.replace_authority();
    fake.issuing.take_service_account_token("latest");
    fake.restart();
    std::fs::write(files.path().join("root.pem"), fake.bundle().to_pem()).unwrap();
    proxy.error_that(|error| error.contains("the token has expired")).await;
    std::fs::write(files.path().join("token"), "latest").unwrap();
    let second = proxy.next_after(&first).await;
    assert_eq!(second.bundle, fake.bundle());
}

#[tokio::test]
async fn an_identity_stored_for_another_workload_is_ignored() {
    let fake = FakeControlPlane::start();
    let directory = directory();
    let mut proxy = Proxy::start(&fake.bootstrap(), &directory);
    proxy.first().await;
    proxy.stop().await;
    let mut bootstrap = fake.bootstrap();
    bootstrap.identity = "spiffe://demo.local/ns/shop/sa/order".parse().unwrap();
    let proxy = Proxy::start(&bootstrap, &directory);
    assert!(proxy.handle.credentials.borrow().is_none());
}

//! An issuing CA from outside: a Secret of type `kubernetes.io/tls` that cert-manager keeps, or three files in a directory.
//!
//! Looked at when it changes, and now and then, because certificates end. What is good is taken up by the CA, which keeps a
//! copy: a Secret that is broken later, or gone, takes nothing back. What is not good is a finding that names the place,
//! the field and the mending, and changes nothing.

use std::io::{ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::api::core::v1::{ObjectReference, Secret};
use kube::Client;
use kube::api::Api;
use kube::runtime::events::{Event as KubernetesEvent, EventType, Recorder, Reporter};
use kube::runtime::watcher::{self, Event};
use kube::runtime::{WatchStreamExt, watcher as watch_objects};
use tokio::sync::watch;
use tokio_stream::StreamExt;
use weft_certs::{Change, ExternalIssuer, IssuerFault, RootState};
use zeroize::Zeroizing;

use super::CertificateAuthority;
use crate::finding::{Code, Finding};
use crate::outage::Pace;

const FIELDS: [&str; 3] = ["tls.crt", "tls.key", "ca.crt"];
/// How often files are looked at.
const LOOK: Duration = Duration::from_secs(2);
/// How often a Secret is looked at that nobody says has changed: certificates end, and writes of the CA fail.
const LOOK_AGAIN: Duration = Duration::from_secs(60);
// Bound: bytes of one of the three.
const MAX_TEXT: usize = 256 * 1024;

/// Where it is.
#[derive(Clone)]
pub(crate) enum Source {
    /// Three files of these names in a directory.
    Directory(PathBuf),
    /// A Secret of this name.
    Secret { client: Client, namespace: String, name: String },
}

impl Source {
    /// The Secret `name`.
    pub(crate) fn secret(client: Client, namespace: &str, name: &str) -> Self {
        Self::Secret { client, namespace: namespace.to_owned(), name: name.to_owned() }
    }

    /// How often it has to be found faulty before that is said: three files are not replaced at once.
    fn patience(&self) -> u32 {
        match self {
            Self::Directory(_) => 2,
            Self::Secret { .. } => 1,
        }
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Directory(dir) => dir.display().fmt(f),
            Self::Secret { namespace, name, .. } => write!(f, "Secret {namespace}/{name}"),
        }
    }
}

/// Takes it up, for ever.
pub(crate) struct Issuer {
    ca: Arc<CertificateAuthority>,
    source: Source,
    view: watch::Sender<IssuerView>,
    /// As it was when it was last looked at, and how often it was so.
    last: Option<(Texts, u32)>,
    /// That was taken up, while the mesh had the roots that it has now.
    taken: bool,
}

/// How it stands, for people.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct IssuerView {
    /// `Secret weft-system/weft-issuer`, or a directory; empty where none is looked for.
    pub(crate) source: String,
    /// It is there.
    pub(crate) present: bool,
    /// When what it holds ends; `None` if that is of no use.
    pub(crate) not_after: Option<SystemTime>,
    /// Why it is of no use.
    pub(crate) fault: Option<IssuerFault>,
}

/// The three texts, one of which is a key.
type Texts = [Zeroizing<String>; 3];

impl Issuer {
    /// Of `source`; `view` is told how it stands.
    pub(crate) fn new(
        ca: Arc<CertificateAuthority>,
        source: Source,
        view: watch::Sender<IssuerView>,
    ) -> Self {
        let source_name = source.to_string();
        view.send_replace(IssuerView { source: source_name, ..IssuerView::default() });
        Self { ca, source, view, last: None, taken: false }
    }

    /// For ever.
    pub(crate) async fn run(mut self) {
        let Source::Secret { client, namespace, name } = self.source.clone() else {
            loop {
                self.look().await;
                tokio::time::sleep(LOOK).await;
            }
        };
        let api: Api<Secret> = Api::namespaced(client, &namespace);
        let config = watcher::Config::default().fields(&format!("metadata.name={name}"));
        let events = watch_objects(api, config).backoff(Pace::default());
        let mut events = std::pin::pin!(events);
        loop {
            self.look().await;
            let changed = async {
                // While nobody can be asked nothing is known to have changed.
                while let Some(event) = events.next().await {
                    if let Ok(Event::Apply(_) | Event::Delete(_) | Event::InitDone) = event {
                        return;
                    }
                }
            };
            let _ = tokio::time::timeout(LOOK_AGAIN, changed).await;
        }
    }

    async fn look(&mut self) {
        let texts = match self.read().await {
            Ok(texts) => texts,
            Err(error) => return tracing::debug!(%error, "cannot look at the issuer"),
        };
        let Some(texts) = texts else {
            if self.last.take().is_some() {
                let source = self.source.to_string();
                tracing::warn!(source, "the issuer is gone; the CA goes on with its last good one");
            }
            return self.show(false, None, None);
        };
        let [certificate, key, root] = &texts;
        let read = ExternalIssuer::from_pem(
            (certificate, key, root),
            &self.ca.trust_domain(),
            self.ca.now(),
        );
        let times = match self.last.take() {
            Some((last, times)) if last == texts => times.saturating_add(1),
            _ => {
                self.taken = false;
                1
            }
        };
        self.last = Some((texts, times));
        match read {
            Ok(issuer) => {
                self.show(true, Some(issuer.not_after()), None);
                self.take(issuer).await;
            }
            Err(fault) if times >= self.source.patience() => {
                if times == self.source.patience() {
                    let (source, mending) = (self.source.to_string(), fault.mending);
                    tracing::error!(source, %fault, mending, "the issuer cannot be used; the CA stays as it is");
                    self.tell(&fault).await;
                }
                self.show(true, None, Some(fault));
            }
            Err(_) => {}
        }
    }

    /// Again whenever the mesh has other roots: somebody may have put this one aside.
    async fn take(&mut self, issuer: ExternalIssuer) {
        let mut roots = self.ca.roots();
        let known = issuer.root();
        let has =
            roots.borrow_and_update().0.iter().any(|root| {
                root.fingerprint == known && !matches!(root.state, RootState::Old { .. })
            });
        if self.taken && has {
            return;
        }
        match self.ca.change(Change::Issuer(Arc::new(issuer))).await {
            Ok(changed) => {
                if changed {
                    tracing::info!(root = known, "took up the issuer");
                }
                self.taken = true;
            }
            Err(error) => tracing::error!(%error, "cannot take up the issuer yet"),
        }
    }

    /// Whoever looks at the Secret sees why it is not used.
    async fn tell(&self, fault: &IssuerFault) {
        let Source::Secret { client, namespace, name } = &self.source else { return };
        let reporter = Reporter { controller: "weft-control-plane".to_owned(), instance: None };
        let about = ObjectReference {
            api_version: Some("v1".to_owned()),
            kind: Some("Secret".to_owned()),
            namespace: Some(namespace.clone()),
            name: Some(name.clone()),
            ..ObjectReference::default()
        };
        let event = KubernetesEvent {
            type_: EventType::Warning,
            reason: "IssuerUnusable".to_owned(),
            note: Some(format!("{fault}; {}", fault.mending)),
            action: "TakeUp".to_owned(),
            secondary: None,
        };
        let recorder = Recorder::new(client.clone(), reporter);
        if let Err(error) = recorder.publish(&event, &about).await {
            tracing::debug!(%error, "cannot write an Event about the issuer");
        }
    }

    fn show(&self, present: bool, not_after: Option<SystemTime>, fault: Option<IssuerFault>) {
        self.view.send_if_modified(|view| {
            let new = IssuerView { source: view.source.clone(), present, not_after, fault };
            let changed = *view != new;
            *view = new;
            changed
        });
    }

    /// `None` if it is not there.
    async fn read(&self) -> Result<Option<Texts>, String> {
        match &self.source {
            Source::Directory(dir) => {
                let dir = dir.clone();
                let read = tokio::task::spawn_blocking(move || read_files(&dir)).await;
                read.map_err(|error| error.to_string())?
            }
            Source::Secret { client, namespace, name } => {
                let api: Api<Secret> = Api::namespaced(client.clone(), namespace);
                let found = api.get_opt(name).await.map_err(|error| error.to_string())?;
                Ok(found.map(read_secret))
            }
        }
    }
}

/// A file that is missing is empty, so that what is missing is named; with all of them missing there is no issuer.
fn read_files(dir: &Path) -> Result<Option<Texts>, String> {
    let mut texts = Texts::default();
    let mut any = false;
    for (field, text) in FIELDS.iter().zip(&mut texts) {
        match std::fs::File::open(dir.join(field)) {
            Ok(file) => {
                any = true;
                // Room for all of it at once: growing would leave copies behind.
                let mut bytes = Zeroizing::new(Vec::with_capacity(MAX_TEXT + 1));
                file.take(MAX_TEXT as u64)
                    .read_to_end(&mut bytes)
                    .map_err(|error| error.to_string())?;
                *text = String::from_utf8_lossy(&bytes).into_owned().into();
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(format!("{}: {error}", dir.join(field).display())),
        }
    }
    Ok(any.then_some(texts))
}

fn read_secret(mut secret: Secret) -> Texts {
    FIELDS.map(|field| {
        let bytes = secret.data.as_mut().and_then(|data| data.remove(field));
        let bytes = Zeroizing::new(bytes.map(|bytes| bytes.0).unwrap_or_default());
        String::from_utf8_lossy(&bytes).into_owned().into()
    })
}

impl IssuerView {
    /// What there is to say about it.
    pub(crate) fn finding(&self) -> Option<Finding> {
        let fault = self.fault.as_ref()?;
        let message = format!("{}; it is not used, and the CA stays as it is", fault.reason);
        let finding = Finding::new(Code::IssuerUnusable, message);
        Some(finding.about(&*self.source).field(fault.field).hint(fault.mending))
    }
}

impl std::fmt::Debug for Issuer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Issuer").field("view", &*self.view.borrow()).finish_non_exhaustive()
    }
}

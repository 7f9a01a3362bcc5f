//! A cluster with namespaces, the control plane's account in it, and replicas of the webhook.

use std::net::SocketAddr;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use weft_control_plane::clock::Clock;
use weft_control_plane::injection::{Injector, Settings};
use weft_control_plane::webhook::{Counts, Inputs, Numbers, Options, Webhook, service_names};

use crate::harness::kubernetes::{Api, ApiServer};
use crate::harness::{eventually, within};

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
pub(super) const DAY: Duration = Duration::from_secs(24 * 3600);

/// The rights that the control plane needs for its webhook, and no others.
const ACCOUNT: &str = include_str!("account.yaml");

/// An API server, and what replicas share.
pub(super) struct Scene {
    server: ApiServer,
    /// The API as the control plane's own account sees it.
    account: Api,
    clock: Arc<AtomicU64>,
    roots: watch::Sender<Arc<str>>,
    leader: watch::Sender<bool>,
    stopping: watch::Sender<bool>,
}

/// One webhook; it ends with the value.
pub(super) struct Replica {
    address: SocketAddr,
    ready: watch::Receiver<bool>,
    counts: Arc<Counts>,
    /// Pods that nobody asked for but [`Scene::is_called`].
    uncounted: u64,
    task: JoinHandle<()>,
}

impl Scene {
    pub(super) async fn start(test: &str) -> Option<Self> {
        let server = ApiServer::start(test).await?;
        server.apply(ACCOUNT).await;
        let account = server.asked_by("weft-system", "weft-control-plane").await;
        let scene = Self {
            server,
            account,
            clock: Arc::default(),
            roots: watch::Sender::new("first root".into()),
            leader: watch::Sender::new(true),
            stopping: watch::Sender::new(false),
        };
        scene.set_clock(SystemTime::now());
        Some(scene)
    }

    /// A replica that answers; the last one is the one that the API server calls.
    pub(super) async fn replica(&self) -> Replica {
        let mut replica = self.spawn().await;
        self.configure(&replica).await;
        replica.is_ready().await;
        self.is_called(&mut replica).await;
        replica
    }

    /// Waits until the API server calls this replica, and believes it: it learns of its configuration a moment after that
    /// was written. What it asks meanwhile is not counted.
    pub(super) async fn is_called(&self, replica: &mut Replica) {
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": {"name": "asked"},
            "spec": {"serviceAccountName": "default", "containers": [{"name": "app", "image": "shop"}]},
        });
        eventually("the API server calls this replica", SOON, async || {
            let before = replica.counts.numbers().injected;
            self.create("meshed", "?dryRun=All", &pod).await?;
            ensure!(replica.counts.numbers().injected > before, "it calls another one");
            Ok(())
        })
        .await;
        replica.uncounted = replica.counts.numbers().injected;
    }

    /// A replica that nobody calls and that is not ready yet.
    pub(super) async fn spawn(&self) -> Replica {
        let mut names = service_names("weft-system");
        names.push("localhost".to_owned());
        let options = Options {
            listen: ([127, 0, 0, 1], 0).into(),
            namespace: "weft-system".to_owned(),
            names,
            settings: Settings::from_registry("weft.dev", Injector::Webhook),
        };
        let inputs = Inputs {
            bundle: self.roots.subscribe(),
            leader: self.leader.subscribe(),
            stopping: self.stopping.subscribe(),
        };
        let clock = self.clock.clone();
        let clock = Clock::from_fn(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(clock.load(Ordering::Relaxed))
        });
        let client = self.account.client().await;
        let webhook = Webhook::bind(options, client, inputs, clock).expect("a port is free");
        Replica {
            address: webhook.address(),
            ready: webhook.ready(),
            counts: webhook.counts(),
            uncounted: 0,
            task: tokio::spawn(webhook.run()),
        }
    }

    /// Applies the configuration as it is in the manifest, without a caBundle, for this replica.
    pub(super) async fn configure(&self, replica: &Replica) {
        let url = format!("https://localhost:{}/inject", replica.address.port());
        let manifest = include_str!("configuration.yaml").replace("URL", &url);
        let file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file can be made");
        std::fs::write(file.path(), manifest).expect("it can be written");
        let path = file.path().to_string_lossy();
        // As one that was there before: what is not in the file goes.
        if self.server.try_kubectl(&["replace", "-f", &path]).await.code != Some(0) {
            self.server.kubectl(&["create", "-f", &path]).await;
        }
    }

    pub(super) async fn create(&self, namespace: &str, query: &str, pod: &Value) -> Result<Value> {
        self.server.post(&format!("/api/v1/namespaces/{namespace}/pods{query}"), pod).await
    }

    /// What kubectl says when it makes this pod.
    pub(super) async fn kubectl_create(&self, namespace: &str, pod: &Value) -> String {
        let file = tempfile::NamedTempFile::with_suffix(".json").expect("a file can be made");
        std::fs::write(file.path(), pod.to_string()).expect("it can be written");
        let path = file.path().to_string_lossy();
        let output = self.server.try_kubectl(&["create", "-n", namespace, "-f", &path]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
        output.stderr
    }

    /// The roots that pods of a namespace are given.
    pub(super) async fn bundle(&self, namespace: &str) -> Result<String> {
        let path = format!("/api/v1/namespaces/{namespace}/configmaps/weft-trust-bundle");
        let map = self.server.get(&path).await?;
        Ok(map["data"]["root.pem"].as_str().context("it has no root.pem")?.to_owned())
    }

    pub(super) async fn secret(&self) -> Result<Value> {
        self.server.get("/api/v1/namespaces/weft-system/secrets/weft-webhook").await
    }

    /// The caBundle of each webhook in the configuration.
    pub(super) async fn bundles(&self) -> Result<Vec<Value>> {
        let path =
            "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-injector";
        let found = self.server.get(path).await?;
        let webhooks = found["webhooks"].as_array().context("it has webhooks")?;
        Ok(webhooks.iter().map(|webhook| webhook["clientConfig"]["caBundle"].clone()).collect())
    }

    pub(super) fn set_clock(&self, to: SystemTime) {
        let since = to.duration_since(SystemTime::UNIX_EPOCH).expect("it is after 1970");
        self.clock.store(since.as_secs(), Ordering::Relaxed);
    }

    /// The CA has other roots now.
    pub(super) fn rotate_roots(&self, roots: &str) {
        self.roots.send_replace(roots.into());
    }
}

impl Deref for Scene {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.server
    }
}

impl Replica {
    pub(super) async fn is_ready(&self) {
        let mut ready = self.ready.clone();
        let ready = ready.wait_for(|ready| *ready);
        within("the webhook is ready", Duration::from_secs(30), ready).await.expect("it runs");
    }

    pub(super) fn numbers(&self) -> Numbers {
        let numbers = self.counts.numbers();
        Numbers { injected: numbers.injected - self.uncounted, ..numbers }
    }

    /// The certificate that it shows.
    pub(super) async fn leaf(&self) -> Vec<u8> {
        let tcp = TcpStream::connect(self.address).await.expect("it listens");
        let name = ServerName::try_from("localhost").expect("it is a name");
        let tls = TlsConnector::from(Arc::new(curious())).connect(name, tcp).await;
        let tls = tls.expect("it shakes hands");
        let chain = tls.get_ref().1.peer_certificates().expect("a server shows a certificate");
        chain[0].to_vec()
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Text in base64.
pub(super) fn decoded(value: &Value) -> String {
    let bytes: k8s_openapi::ByteString =
        serde_json::from_value(value.clone()).expect("data of a Secret is base64");
    String::from_utf8(bytes.0).expect("PEM is text")
}

/// A client that takes any certificate: it wants to see it.
fn curious() -> ClientConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .expect("the provider has suites for them")
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(Curious))
        .with_no_client_auth()
}

#[derive(Debug)]
struct Curious;

impl ServerCertVerifier for Curious {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn verify_tls13_signature(
        &self,
        _message: &[u8],
        _cert: &CertificateDer<'_>,
        _dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        Ok(HandshakeSignatureValid::assertion())
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        vec![SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

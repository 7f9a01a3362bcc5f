//! The port itself: what it answers, what it refuses, and whom it lets in.

use std::time::SystemTime;

use kube::{Client, Config};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};
use weft_certs::ServingCertificate;

use super::super::Counts;
use super::super::events::Events;
use super::super::trust_bundle::TrustBundles;
use super::*;
use crate::injection::{Injector, Settings};
use crate::testing::own_address;

const DEADLINE: Duration = Duration::from_secs(60);

struct Scene {
    address: SocketAddr,
    connector: TlsConnector,
    stopping: watch::Sender<bool>,
    ready: watch::Receiver<bool>,
    counts: Arc<Counts>,
    _leader: watch::Sender<bool>,
    _bundle: watch::Sender<Arc<str>>,
}

impl Scene {
    /// A port before an API server that is not there.
    async fn start() -> Self {
        Self::that_ends(Duration::ZERO).await
    }

    /// The same; from the signal to stop it goes on for so long.
    async fn that_ends(lame_duck: Duration) -> Self {
        let names = ["webhook.test".to_owned()];
        let made = ServingCertificate::create(&names, Duration::from_secs(3600), SystemTime::now());
        let (certificate, authority) = made.unwrap();
        let (serving, configs) = watch::channel(None);
        let (stopping, stopped) = watch::channel(false);
        let server = Server::bind(own_address(), configs, stopped, lame_duck).unwrap();
        let (address, mut ready) = (server.address(), server.ready());
        let client = Client::try_from(Config::new("http://127.0.0.1:1".parse().unwrap())).unwrap();
        let counts = Arc::<Counts>::default();
        let (bundle, roots) = watch::channel("roots".into());
        let (leader, leads) = watch::channel(false);
        let (_, ensure) = TrustBundles::new(client.clone(), roots, leads, counts.clone());
        let (_, tell) = Events::new(client, counts.clone());
        let settings = Settings::from_registry("weft.dev", Injector::Webhook);
        let reviewer = Reviewer::new(settings, ensure, tell, counts.clone());
        tokio::spawn(server.run(reviewer.into()));
        assert!(!*ready.borrow(), "without a certificate it is not ready");
        serving.send_replace(Some(Arc::new(certificate.server_config().unwrap())));
        timeout(DEADLINE, ready.wait_for(|ready| *ready)).await.unwrap().unwrap();
        let mut roots = RootCertStore::empty();
        for der in CertificateDer::pem_slice_iter(authority.to_pem().as_bytes()) {
            roots.add(der.unwrap()).unwrap();
        }
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let connector = TlsConnector::from(Arc::new(config));
        Self { address, connector, stopping, ready, counts, _leader: leader, _bundle: bundle }
    }

    async fn connect(&self) -> io::Result<TlsStream<TcpStream>> {
        let tcp = TcpStream::connect(self.address).await?;
        self.connector.connect(ServerName::try_from("webhook.test").unwrap(), tcp).await
    }

    /// The status and body of the answer to `request`.
    async fn ask(&self, request: &str) -> (u16, String) {
        let mut tls = self.connect().await.unwrap();
        tls.write_all(request.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        // A server that ends without close_notify has answered nevertheless.
        let _ = timeout(DEADLINE, tls.read_to_end(&mut answer)).await.unwrap();
        let answer = String::from_utf8(answer).unwrap();
        let status = answer.split(' ').nth(1).unwrap().parse().unwrap();
        (status, answer.split_once("\r\n\r\n").unwrap().1.to_owned())
    }

    async fn review(&self, request: &Value) -> Value {
        let review = json!({"apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview", "request": request});
        let (status, body) = self.ask(&post(&review.to_string())).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str::<Value>(&body).unwrap()["response"].clone()
    }
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /inject?timeout=10s HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn request(kind: &str, dry_run: bool) -> Value {
    json!({
        "uid": "7", "operation": "CREATE", "namespace": "shop", "dryRun": dry_run, "userInfo": {},
        "kind": {"group": "", "version": "v1", "kind": kind},
        "resource": {"group": "", "version": "v1", "resource": "things"},
        "object": {"apiVersion": "v1", "kind": kind, "metadata": {"name": "web"}, "spec": {"containers": []}},
    })
}

#[tokio::test]
async fn it_answers_what_it_is_asked_and_refuses_the_rest() {
    let scene = Scene::start().await;
    let answer = scene.review(&request("Pod", true)).await;
    assert_eq!((&answer["uid"], &answer["allowed"]), (&json!("7"), &json!(true)));
    assert_eq!(answer["patchType"], "JSONPatch");
    let answer = scene.review(&request("Service", false)).await;
    assert_eq!((&answer["allowed"], answer.get("patch")), (&json!(true), None));
    let answer = scene.review(&request("Pod", false)).await;
    let status = &answer["status"];
    assert_eq!(
        (&answer["allowed"], &status["code"]),
        (&json!(false), &json!(503)),
        "no ConfigMap, no pod"
    );
    assert!(status["message"].as_str().unwrap().contains("weft-trust-bundle"), "{status}");

    let head = "HTTP/1.1\r\nhost: x\r\nconnection: close";
    for (text, status) in [
        (format!("POST / {head}\r\ncontent-length: 0\r\n\r\n"), 404),
        (format!("GET /inject {head}\r\n\r\n"), 405),
        (format!("POST /inject {head}\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n"), 411),
        (format!("POST /inject {head}\r\ncontent-length: {}\r\n\r\n", MAX_BODY + 1), 413),
        (post("nonsense"), 400),
        (post("{}"), 400),
    ] {
        assert_eq!(scene.ask(&text).await.0, status, "{text}");
    }
    let numbers = scene.counts.numbers();
    assert_eq!((numbers.injected, numbers.failed), (1, 3));
}

#[tokio::test]
async fn one_address_cannot_take_all_the_room() {
    let scene = Scene::start().await;
    let mut held = Vec::new();
    for _ in 0..MAX_OF_ONE_ADDRESS {
        held.push(TcpStream::connect(scene.address).await.unwrap());
    }
    // It may be over before connect has returned.
    let refused = async { TcpStream::connect(scene.address).await?.read(&mut [0]).await };
    let refused = timeout(DEADLINE, refused).await.unwrap();
    assert!(refused.is_err() || refused.is_ok_and(|read| read == 0), "it was closed at once");
    drop(held);
    let again = async { while scene.connect().await.is_err() {} };
    timeout(DEADLINE, again).await.expect("places are free again");
}

/// For an hour here: what is asked on a connection that was open, and on a new one, is answered and ends it.
#[tokio::test]
async fn when_it_is_to_stop_it_answers_for_a_while_and_ends_what_it_answered() {
    let mut scene = Scene::that_ends(Duration::from_secs(3600)).await;
    let mut open = scene.connect().await.unwrap();
    let kept = post("{}").replace("connection: close\r\n", "");
    open.write_all(kept.as_bytes()).await.unwrap();
    let mut some = [0; 4096];
    let read = timeout(DEADLINE, open.read(&mut some)).await.unwrap().unwrap();
    assert!(read > 0 && !String::from_utf8_lossy(&some[..read]).contains("close"));
    scene.stopping.send_replace(true);
    timeout(DEADLINE, scene.ready.wait_for(|ready| !ready)).await.unwrap().unwrap();
    let new = scene.connect().await.expect("it still listens");
    for mut tls in [open, new] {
        tls.write_all(kept.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = timeout(DEADLINE, tls.read_to_end(&mut answer)).await.expect("it ends");
        let answer = String::from_utf8(answer).unwrap().to_ascii_lowercase();
        assert!(
            answer.starts_with("http/1.1 400") && answer.contains("connection: close"),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn when_it_stops_it_takes_no_more_and_ends_what_is_idle() {
    let mut scene = Scene::start().await;
    let mut idle = scene.connect().await.unwrap();
    scene.stopping.send_replace(true);
    let end = timeout(DEADLINE, idle.read(&mut [0])).await.expect("an idle connection ends");
    assert!(!end.is_ok_and(|read| read > 0));
    timeout(DEADLINE, scene.ready.wait_for(|ready| !ready)).await.unwrap().unwrap();
    assert!(scene.connect().await.is_err());
}

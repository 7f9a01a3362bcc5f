//! The whole control plane in this process, met only on its sockets: start, join, renew, subscribe, restart.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use serde_json::Value;
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use weft_certs::{Authority, Leaf, PrivateKey, SpiffeId, TrustBundle, csr};
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use weft_proto::identity::IssueRequest;
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::names::type_url;

use super::App;
use crate::clock::Clock;
use crate::config::Config;
use crate::testing::{Client, http, own_address};

const SHOP: &str = "
apiVersion: v1
kind: Service
metadata: {name: product, namespace: shop}
spec: {selector: {app: product}, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: product-v1, namespace: shop, labels: {app: product}}
spec: {address: 127.66.0.4, serviceAccount: product, meshed: true, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: gateway, namespace: shop, labels: {app: gateway}}
spec: {address: 127.66.0.2, serviceAccount: gateway, meshed: true, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: weft-system}
spec: {trustDomain: demo.local}
";

/// Far above what any of this takes, so that a slow machine does not fail it.
const DEADLINE: Duration = Duration::from_secs(60);

/// Directories that outlive a control plane.
struct Home {
    root: TempDir,
}

/// A control plane that runs.
struct Running {
    admin: PathBuf,
    address: std::net::SocketAddr,
    stop: oneshot::Sender<()>,
    run: JoinHandle<Result<()>>,
}

/// What a proxy holds after it joined.
struct Joined {
    client: Client,
    leaf: Leaf,
    bundle: TrustBundle,
}

impl Home {
    fn new() -> Self {
        let root = tempfile::tempdir().unwrap();
        std::fs::create_dir(root.path().join("config")).unwrap();
        let home = Self { root };
        home.write(SHOP);
        home
    }

    fn write(&self, yaml: &str) {
        std::fs::write(self.root.path().join("config/shop.yaml"), yaml).unwrap();
    }

    fn config(&self) -> Config {
        let (config, state) = (self.root.path().join("config"), self.root.path().join("state"));
        let arguments: [OsString; 6] = [
            "--config-dir".into(),
            config.into(),
            "--state-dir".into(),
            state.into(),
            "--listen".into(),
            own_address().to_string().into(),
        ];
        Config::from_arguments(arguments).unwrap()
    }

    async fn start(&self) -> Running {
        let app = App::build(&self.config(), Clock::system()).await.unwrap();
        let (admin, address) = (app.admin_socket().to_owned(), app.grpc_address());
        let (stop, stopped) = oneshot::channel();
        let run = tokio::spawn(app.run(async {
            let _ = stopped.await;
        }));
        eventually(async || http(&admin, "GET /ready", b"").await.0 == 200).await;
        Running { admin, address, stop, run }
    }
}

/// Asks again until the answer is yes.
async fn eventually(condition: impl AsyncFn() -> bool) {
    let asking = async {
        while !condition().await {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(DEADLINE, asking).await.expect("the condition holds in time");
}

impl Running {
    async fn get(&self, target: &str) -> Value {
        let (status, body) = http(&self.admin, &format!("GET {target}"), b"").await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn bootstrap(&self, workload: &str) -> Value {
        let body = format!(r#"{{"workload":"{workload}"}}"#);
        let (status, body) = http(&self.admin, "POST /v1/join-tokens", body.as_bytes()).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    /// From nothing to a certificate, with what the bootstrap file says and nothing else.
    async fn join(&self, workload: &str) -> Joined {
        let bootstrap = self.bootstrap(workload).await;
        let text = |value: &Value| value.as_str().unwrap().to_owned();
        let id: SpiffeId = text(&bootstrap["identity"]).parse().unwrap();
        let server = text(&bootstrap["control_plane"]["identity"]).parse().unwrap();
        let address = text(&bootstrap["control_plane"]["address"]).parse().unwrap();
        let bundle = TrustBundle::from_pem(&text(&bootstrap["trust_bundle"])).unwrap();
        let client = Client::new(address, server, bundle.clone());

        let key = PrivateKey::generate().unwrap();
        let mut request = Request::new(IssueRequest { csr: csr::create(&key, &id).unwrap() });
        let bearer = format!("Bearer {}", text(&bootstrap["join_token"]));
        request.metadata_mut().insert("authorization", bearer.parse().unwrap());
        let channel = client.connect(None).await.unwrap();
        let answer = IdentityClient::new(channel).issue(request).await.unwrap().into_inner();
        let chain = answer.chain.into_iter().map(Into::into).collect();
        Joined { client, leaf: Leaf::new(chain, key).unwrap(), bundle }
    }

    /// Ends it; everything is free again.
    async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(DEADLINE, self.run).await.expect("it stops").unwrap().unwrap();
        assert!(!self.admin.exists());
        std::net::TcpListener::bind(self.address).unwrap();
    }
}

/// Subscribes to all listeners as `node` and returns the first answer.
async fn listeners(channel: Channel, node: &str) -> Result<DeltaDiscoveryResponse, Status> {
    let request = DeltaDiscoveryRequest {
        node: Some(Node { id: node.to_owned(), ..Node::default() }),
        type_url: type_url::LISTENER.to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let requests = tokio_stream::once(request).chain(tokio_stream::pending());
    let mut client = AggregatedDiscoveryServiceClient::new(channel);
    let mut answers = client.delta_aggregated_resources(requests).await?.into_inner();
    answers.next().await.expect("an answer")
}

fn names(answer: &DeltaDiscoveryResponse) -> Vec<&str> {
    let mut names: Vec<_> = answer.resources.iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    names
}

#[tokio::test]
async fn a_proxy_joins_and_gets_its_listeners() {
    let home = Home::new();
    let running = home.start().await;
    let product = running.join("product-v1.shop").await;
    assert_eq!(product.leaf.id().as_str(), "spiffe://demo.local/ns/shop/sa/product");
    let channel = product.client.connect(Some(&product.leaf)).await.unwrap();
    let answer = listeners(channel, "product-v1.shop").await.unwrap();
    assert_eq!(names(&answer), ["inbound/shop/product-v1", "product.shop:8080"]);
    running.stop().await;
}

#[tokio::test]
async fn ads_is_closed_to_strangers_and_to_the_wrong_node() {
    let home = Home::new();
    let running = home.start().await;
    let product = running.join("product-v1.shop").await;
    let stranger = product.client.connect(None).await.unwrap();
    let status = listeners(stranger, "product-v1.shop").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    for node in ["gateway.shop", "nobody.shop", ""] {
        let channel = product.client.connect(Some(&product.leaf)).await.unwrap();
        let status = listeners(channel, node).await.unwrap_err();
        assert_eq!(status.code(), Code::PermissionDenied, "{node}: {status}");
    }
    running.stop().await;
}

#[tokio::test]
async fn an_expired_leaf_renews_and_is_refused_by_ads() {
    let home = Home::new();
    let running = home.start().await;
    let product = running.join("product-v1.shop").await;
    let id = product.leaf.id().clone();
    let ca = home.root.path().join("state/ca");
    let ca = Authority::load_or_create(&ca, id.trust_domain(), SystemTime::now()).unwrap();
    let past = SystemTime::now() - Duration::from_secs(30);
    let expired = ca.leaf_for(&id, Duration::from_secs(1), past).unwrap();

    let channel = product.client.connect(Some(&expired)).await.unwrap();
    let status = listeners(channel.clone(), "product-v1.shop").await.unwrap_err();
    assert_eq!(status.code(), Code::Unauthenticated, "{status}");
    let key = PrivateKey::generate().unwrap();
    let request = IssueRequest { csr: csr::create(&key, &id).unwrap() };
    let answer = IdentityClient::new(channel).issue(request).await.unwrap().into_inner();
    let chain = answer.chain.into_iter().map(Into::into).collect();
    let renewed = Leaf::new(chain, key).unwrap();
    let channel = product.client.connect(Some(&renewed)).await.unwrap();
    listeners(channel, "product-v1.shop").await.unwrap();
    running.stop().await;
}

#[tokio::test]
async fn the_admin_shows_who_is_connected_and_what_it_has() {
    let home = Home::new();
    let running = home.start().await;
    assert_eq!(running.get("/v1/mesh").await["grpc_address"], running.address.to_string());
    let product = running.join("product-v1.shop").await;
    let channel = product.client.connect(Some(&product.leaf)).await.unwrap();
    listeners(channel, "product-v1.shop").await.unwrap();
    let proxies = running.get("/v1/proxies").await;
    assert_eq!(proxies[0]["workload"], "product-v1.shop");
    assert_eq!(proxies[0]["resources"]["listeners"]["acked"], Value::Null);
    assert!(proxies[0]["resources"]["listeners"]["sent"].is_u64(), "{proxies}");
    running.stop().await;
}

#[tokio::test]
async fn certificates_and_trust_survive_a_restart() {
    let home = Home::new();
    let first = home.start().await;
    let before = first.join("product-v1.shop").await;
    first.stop().await;

    let second = home.start().await;
    let after = second.join("gateway.shop").await;
    assert_eq!(before.bundle, after.bundle);
    let channel = after.client.connect(Some(&before.leaf)).await.unwrap();
    listeners(channel, "product-v1.shop").await.unwrap();
    second.stop().await;
}

#[tokio::test]
async fn another_trust_domain_later_is_a_finding_and_changes_nothing() {
    let home = Home::new();
    home.start().await.stop().await;
    home.write(&SHOP.replace("demo.local", "other.local"));
    let running = home.start().await;
    assert_eq!(running.get("/v1/mesh").await["trust_domain"], "demo.local");
    let findings = running.get("/v1/analysis").await;
    let found = findings.as_array().unwrap().iter().any(|finding| {
        finding["object"] == "MeshConfig weft-system/default"
            && finding["message"].as_str().unwrap().contains("other.local")
    });
    assert!(found, "{findings}");
    let product = running.join("product-v1.shop").await;
    assert_eq!(product.leaf.id().trust_domain().as_str(), "demo.local");
    running.stop().await;
}

#[tokio::test]
async fn a_change_of_the_files_is_live() {
    let home = Home::new();
    let running = home.start().await;
    home.write(&SHOP.replace("name: gateway,", "name: gateway-2,"));
    eventually(async || {
        let mesh = running.get("/v1/stat").await;
        mesh["workloads"][0]["workload"] == "gateway-2.shop"
    })
    .await;
    running.join("gateway-2.shop").await;
    running.stop().await;
}

#[tokio::test]
async fn two_of_them_do_not_share_a_state_directory() {
    let home = Home::new();
    let running = home.start().await;
    let error = App::build(&home.config(), Clock::system()).await.unwrap_err();
    assert!(error.to_string().contains("in use"), "{error:#}");
    assert!(Path::exists(&running.admin));
    running.stop().await;
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let home = Home::new();
    std::fs::remove_dir_all(home.root.path().join("config")).unwrap();
    let error = App::build(&home.config(), Clock::system()).await.unwrap_err();
    assert!(format!("{error:#}").contains("config"), "{error:#}");
}

//! The injector with the rights that it has in a cluster: what it writes before it answers, and beside. The test asks as
//! the API server does, which cannot reach Services here.

use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use http::Method;
use hyper_util::rt::TokioIo;
use rustls::pki_types::{CertificateDer, ServerName, pem::PemObject};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::scene::{Replica, SOON, Scene, text};
use crate::harness::{Answer, eventually, request};

pub(super) const WEBHOOK_SECRET: &str = "/api/v1/namespaces/weft-system/secrets/weft-webhook";
const BUNDLE: &str = "/api/v1/namespaces/shop/configmaps/weft-trust-bundle";

/// Connects to the injector of a replica, which must show a certificate of `ca`.
pub(super) async fn call(replica: &Replica, ca: &str) -> Result<TlsStream<TcpStream>> {
    let mut roots = rustls::RootCertStore::empty();
    for root in CertificateDer::pem_slice_iter(ca.as_bytes()) {
        roots.add(root?)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let stream = TcpStream::connect(replica.webhook).await?;
    let name = ServerName::try_from("weft-control-plane.weft-system.svc")?;
    Ok(TlsConnector::from(Arc::new(config)).connect(name, stream).await?)
}

/// What the injector answers to a pod in namespace `shop`.
async fn review(replica: &Replica, ca: &str, pod: &Value) -> Result<Value> {
    let pods = json!({ "group": "", "version": "v1", "resource": "pods" });
    let kind = json!({ "group": "", "version": "v1", "kind": "Pod" });
    let review = json!({
        "apiVersion": "admission.k8s.io/v1", "kind": "AdmissionReview",
        "request": { "uid": "of-this-test", "kind": kind, "resource": pods, "operation": "CREATE",
            "namespace": "shop", "userInfo": {}, "object": pod, "dryRun": false },
    });
    let stream = TokioIo::new(call(replica, ca).await?);
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await?;
    let connection = tokio::spawn(connection);
    let headers = [("host", "injector"), ("content-type", "application/json")];
    let asked = request(Method::POST, "/inject", &headers, &review.to_string());
    let answer = Answer::read(sender.send_request(asked).await?).await?;
    connection.abort();
    ensure!(answer.status.is_success(), "{answer:?}");
    let answer: Value = serde_json::from_slice(&answer.body)?;
    Ok(answer["response"].clone())
}

fn pod(spec: &Value) -> Value {
    let owner = json!({ "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "order", "uid": "7",
        "controller": true });
    let mut spec = spec.clone();
    spec["containers"] = json!([{ "name": "app", "image": "app" }]);
    json!({ "apiVersion": "v1", "kind": "Pod", "spec": spec,
        "metadata": { "generateName": "order-", "namespace": "shop", "ownerReferences": [owner] } })
}

#[tokio::test]
async fn roots_are_there_before_the_pod_and_stay_what_they_are() {
    let Some(scene) = Scene::start("injection").await else { return };
    let replica = scene.replica("one").await;
    let ca = text(&scene.server.get(WEBHOOK_SECRET).await.unwrap(), "ca.crt");
    assert!(scene.server.get(BUNDLE).await.is_err(), "nobody has needed it yet");
    let answer = review(&replica, &ca, &pod(&json!({}))).await.unwrap();
    assert_eq!(answer["allowed"], true, "{answer}");
    assert!(!answer["patch"].is_null(), "{answer}");
    let roots = scene.authority().await.bundle().to_pem();
    assert_eq!(scene.server.get(BUNDLE).await.unwrap()["data"]["root.pem"], roots);

    let spoilt = json!({ "data": { "root.pem": "somebody's own" } });
    scene.server.merge(BUNDLE, &spoilt).await.unwrap();
    eventually("the leader puts it right", SOON, async || {
        let found = scene.server.get(BUNDLE).await?;
        ensure!(found["data"]["root.pem"] == roots, "{found}");
        Ok(())
    })
    .await;

    // One that it cannot do anything for is said to its owner.
    let answer = review(&replica, &ca, &pod(&json!({ "hostNetwork": true }))).await.unwrap();
    assert_eq!(answer["allowed"], true, "{answer}");
    assert!(answer["patch"].is_null() && answer["warnings"].is_array(), "{answer}");
    eventually("an Event on its owner", SOON, async || {
        let events = scene.server.get("/apis/events.k8s.io/v1/namespaces/shop/events").await?;
        let items = events["items"].as_array().context("a list has items")?;
        let found = items.iter().find(|event| event["reason"] == "WeftInjectionSkipped");
        let found = found.context("there is none")?;
        ensure!(found["regarding"]["name"] == "order", "{found}");
        Ok(())
    })
    .await;
    scene.assert_nothing_was_forbidden(&[&replica]);
}

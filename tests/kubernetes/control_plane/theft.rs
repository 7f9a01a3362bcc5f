//! Identity theft where the API server says who somebody is: tokens that are good for something, and not for this.

use anyhow::ensure;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rcgen::KeyPair;
use serde_json::{Value, json};
use tonic::Code;
use weft_certs::Authority;

use super::identity::token;
use super::proxy::issue;
use super::scene::{AUDIENCE, Replica, SOON, Scene, id, pod_path};
use crate::harness::eventually;

/// The token with other claims, signed with this key.
fn resigned(token: &str, key: &KeyPair, change: impl FnOnce(&mut Value)) -> String {
    let mut parts = token.split('.');
    let (header, claims) = (parts.next().unwrap(), parts.next().unwrap());
    let mut claims: Value =
        serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).unwrap()).unwrap();
    change(&mut claims);
    let signed = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims.to_string()));
    let der = key.serialize_der();
    let key = EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &der).unwrap();
    let signature = key.sign(&SystemRandom::new(), signed.as_bytes()).unwrap();
    format!("{signed}.{}", URL_SAFE_NO_PAD.encode(signature.as_ref()))
}

/// A token of `order` that is bound to no pod but to this node.
async fn of_node(scene: &Scene, node: &str) -> String {
    let made = json!({ "apiVersion": "v1", "kind": "Node", "metadata": { "name": node } });
    let made = scene.server.post("/api/v1/nodes", &made).await.expect("it is taken");
    let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "audiences": [AUDIENCE], "expirationSeconds": 3600,
            "boundObjectRef": { "apiVersion": "v1", "kind": "Node", "name": node,
                "uid": made["metadata"]["uid"] } } });
    let path = "/api/v1/namespaces/shop/serviceaccounts/order/token";
    let answer = scene.server.post(path, &asked).await.expect("account and node are there");
    answer["status"]["token"].as_str().expect("an answer holds a token").to_owned()
}

async fn issued(replica: &Replica) -> f64 {
    let name = "weft_control_plane_certificate_requests_total";
    replica.metric(name, "result=\"issued\"").await.expect("it is counted")
}

async fn refuses(
    (replica, authority): (&Replica, &Authority),
    what: &str,
    code: Code,
    token: Option<&str>,
) {
    let asked = issue(replica, authority, &id("order"), (token, None)).await;
    let status = asked.map(|_| ()).expect_err(what);
    assert_eq!(status.code(), code, "{what}: {status}");
    eprintln!("{what:<52} {:?}", status.code());
}

#[tokio::test]
async fn no_token_buys_the_certificate_of_somebody_else() {
    let Some(scene) = Scene::start("theft").await else { return };
    let replica = scene.replica("one").await;
    let authority = scene.authority().await;
    let desk = (&replica, &authority);
    let uid = scene.running("order-1", "order", "10.1.0.5").await;
    let good = token(&scene, "order", ("order-1", &uid), AUDIENCE).await;
    let thief_uid = scene.running("web-1", "web", "10.1.0.6").await;
    let thief = token(&scene, "web", ("web-1", &thief_uid), AUDIENCE).await;
    let accounts = KeyPair::from_pem(&scene.server.accounts_key()).unwrap();
    let nobody = Code::Unauthenticated;

    refuses(desk, "another account's token", Code::PermissionDenied, Some(&thief)).await;
    refuses(desk, "no token", nobody, None).await;
    let other = token(&scene, "order", ("order-1", &uid), "https://kubernetes.default.svc").await;
    refuses(desk, "a token for another audience", nobody, Some(&other)).await;
    let hours_ago = |claims: &mut Value| {
        for claim in ["exp", "iat", "nbf"] {
            claims[claim] = json!(claims[claim].as_i64().unwrap() - 7200);
        }
    };
    let expired = resigned(&good, &accounts, hours_ago);
    refuses(desk, "an expired token", nobody, Some(&expired)).await;
    let forged = resigned(&good, &KeyPair::generate().unwrap(), |_| {});
    refuses(desk, "a token that another key has signed", nobody, Some(&forged)).await;
    let loose = scene.server.token("shop", "order", &[AUDIENCE]).await;
    refuses(desk, "a token of no pod", nobody, Some(&loose)).await;
    let of_node = of_node(&scene, "node-9").await;
    refuses(desk, "a token of a node", nobody, Some(&of_node)).await;

    let uid = scene.running("order-2", "order", "10.1.0.7").await;
    let ended = token(&scene, "order", ("order-2", &uid), AUDIENCE).await;
    scene.phase("order-2", "Succeeded", "10.1.0.7").await;
    refuses(desk, "a token of a pod that has ended", nobody, Some(&ended)).await;
    let uid = scene.running("order-3", "order", "10.1.0.8").await;
    let gone = token(&scene, "order", ("order-3", &uid), AUDIENCE).await;
    scene.server.delete(&pod_path("order-3")).await.unwrap();
    refuses(desk, "a token of a deleted pod", nobody, Some(&gone)).await;
    scene.running("order-3", "order", "10.1.0.9").await;
    refuses(desk, "the same, with another pod of its name", nobody, Some(&gone)).await;
    assert!(issued(&replica).await < 0.5, "nothing was issued");

    // Who signs like the API server is believed like it, so that it was the claims that were refused.
    let same = resigned(&good, &accounts, |_| {});
    issue(&replica, &authority, &id("order"), (Some(&same), None)).await.unwrap();
    deny(&scene).await;
    eventually("a denied account gets none either", SOON, async || {
        let asked = issue(&replica, &authority, &id("order"), (Some(&good), None)).await;
        let status = asked.map(|_| ()).err();
        let told = status.as_ref().is_some_and(|status| status.message().starts_with("denied: "));
        ensure!(told, "{status:?}");
        Ok(())
    })
    .await;
}

async fn deny(scene: &Scene) {
    let config = "apiVersion: weft.dev/v1alpha1\nkind: MeshConfig\n\
                  metadata: {name: default, namespace: weft-system}\n\
                  spec: {denied: {identities: [{identity: shop/order, reason: taken over}]}}\n";
    scene.server.apply(config).await;
}

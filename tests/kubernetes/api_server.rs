//! The fast tier itself: what the control plane's tests rest on is there, and is the real thing.

use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::harness::kubernetes::{Api, ApiServer};
use crate::harness::{eventually, tool};

const AUDIENCE: &str = "identity.weft.dev";

const ACCOUNT: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: order, namespace: shop}
";

const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: order, namespace: default}
spec:
  parentRefs: [{group: '', kind: Service, name: order, port: 8080}]
  rules: [{backendRefs: [{name: order, port: 8080}]}]
";

/// Gateway API's definitions come after the server, as they do for users.
#[tokio::test]
async fn definitions_of_gateway_api_are_served_once_they_are_applied() {
    let Some(server) = ApiServer::start("definitions").await else { return };
    let routes = "/apis/gateway.networking.k8s.io/v1/httproutes";
    assert!(server.get(routes).await.is_err(), "they are not there from the beginning");
    server.apply_file(&tool("gateway-api.yaml")).await;
    let definition = "customresourcedefinition/httproutes.gateway.networking.k8s.io";
    server.kubectl(&["wait", "--for=condition=Established", "--timeout=180s", definition]).await;
    server.apply(ROUTE).await;
    let found = server.get(routes).await.unwrap();
    assert_eq!(found["items"][0]["metadata"]["name"], "order");
    assert_eq!(found["items"][0]["metadata"]["generation"], 1);
    // Whatever is killed, what was stored stays.
    server.kill();
    server.start_again().await;
    assert_eq!(server.get(routes).await.unwrap()["items"], found["items"]);
}

async fn review(api: &Api, token: &str, audience: &str) -> Value {
    let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview",
        "spec": {"token": token, "audiences": [audience]}});
    let answer = api.post("/apis/authentication.k8s.io/v1/tokenreviews", &asked).await;
    answer.unwrap()["status"].clone()
}

#[tokio::test]
async fn tokens_are_issued_and_reviewed_for_an_audience() {
    let Some(server) = ApiServer::start("tokens").await else { return };
    server.apply(ACCOUNT).await;
    let token = server.token("shop", "order", &[AUDIENCE]).await;
    let found = review(&server, &token, AUDIENCE).await;
    assert_eq!(found["authenticated"], true, "{found}");
    assert_eq!(found["user"]["username"], "system:serviceaccount:shop:order");
    assert_eq!(found["audiences"], json!([AUDIENCE]));
    let found = review(&server, &token, "https://kubernetes.default.svc").await;
    assert_ne!(found["authenticated"], true, "another audience: {found}");
    server.kubectl(&["delete", "serviceaccount", "-n", "shop", "order"]).await;
    // kube-apiserver remembers for 10 s what it has found of a token.
    eventually("a token ends with its account", Duration::from_secs(30), async || {
        let found = review(&server, &token, AUDIENCE).await;
        ensure!(found["authenticated"] != true, "{found}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn roles_are_in_force() {
    let Some(server) = ApiServer::start("roles").await else { return };
    server.apply(ACCOUNT).await;
    let order = server.asked_by("shop", "order").await;
    let refused = order.get("/api/v1/namespaces/shop/secrets").await.unwrap_err().to_string();
    assert!(refused.contains("forbidden"), "{refused}");
    assert!(refused.contains("system:serviceaccount:shop:order"), "{refused}");
}

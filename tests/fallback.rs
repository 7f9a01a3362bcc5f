//! The answer that a policy has for where nothing can serve.

use std::time::Duration;

use anyhow::ensure;
use http::Method;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Mesh, eventually, http1, http2, request};

#[tokio::test]
async fn where_nothing_can_serve_the_policys_own_answer_does() {
    let policy =
        "  fallback: {status: 203, headers: [{name: x-degraded, value: 'yes'}], body: later}
  outlierDetection: {consecutiveFailures: 0}\n";
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("policy.yaml", &traffic_policy("product", policy))
        .start()
        .await;
    let (entry, app) = (mesh.entry("gateway", "product"), mesh.app("product-v1"));
    let post = || request(Method::POST, "/", &[], "x");

    // What the application says stays what it says.
    app.script(|_| Act::Status(503));
    assert_eq!(http1(entry, post()).await.unwrap().status, 503);
    app.script(|_| Act::Close);
    assert_eq!(http1(entry, post()).await.unwrap().status, 503, "it may have seen the request");

    app.stop();
    for answer in [http1(entry, post()).await.unwrap(), http2(entry, post()).await.unwrap()] {
        assert_eq!(answer.status, 203, "{answer:?}");
        assert_eq!((answer.header("x-degraded"), &answer.body[..]), ("yes", &b"later"[..]));
        assert!(answer.header("proxy-status").contains("application_unreachable"), "{answer:?}");
    }
    let headers = [("content-type", "application/grpc")];
    let call = http2(entry, request(Method::POST, "/a.B/C", &headers, "")).await.unwrap();
    assert_eq!(call.header("grpc-status"), "14", "a call gets an error of gRPC");
    mesh.proxy("product-v1").process().kill();
    // A connection whose end is not known yet may have taken the request along.
    eventually("nobody at all", Duration::from_secs(5), async || {
        let answer = http1(entry, post()).await?;
        ensure!(answer.status == 203, "{answer:?}");
        Ok(())
    })
    .await;
    eventually("fallbacks are counted", Duration::from_secs(5), async || {
        let count = mesh.proxy("gateway").metric("weft_request_fallbacks_total", &[]).await?;
        ensure!(count == 3.0, "{count}");
        Ok(())
    })
    .await;
}

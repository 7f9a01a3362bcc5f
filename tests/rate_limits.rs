//! Rate limits of an InboundPolicy: enforced by the receiving sidecar, told to the caller, counted.

use std::time::Duration;

use anyhow::ensure;
use tonic::Code;

use crate::harness::{Answer, Grpc, Kept, Mesh, eventually, get, request};

fn policy(limits: &str) -> String {
    format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {{name: limits, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: product}}}}
  rateLimits: [{limits}]
"
    )
}

fn shop(limits: &str) -> crate::harness::Builder {
    Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .caller("till")
        .file("limits.yaml", &policy(limits))
}

/// Answers to as many requests of one caller with this `x-tenant`.
async fn ask(mesh: &Mesh, caller: &str, tenant: &str, count: usize) -> Vec<Answer> {
    let mut client = Kept::http1(mesh.entry(caller, "product")).await.unwrap();
    let mut answers = Vec::new();
    for _ in 0..count {
        let request = request(http::Method::GET, "/", &[("x-tenant", tenant)], "");
        answers.push(client.send(request).await.unwrap());
    }
    answers
}

fn served(answers: &[Answer]) -> usize {
    answers.iter().filter(|answer| answer.status == 200).count()
}

#[tokio::test]
async fn a_limit_of_the_port_is_shared_by_all_and_says_when_to_come_again() {
    let mesh = shop("{requests: 3, per: 1h, burst: 2}").start().await;
    let first = ask(&mesh, "gateway", "a", 4).await;
    let second = ask(&mesh, "till", "b", 4).await;
    assert_eq!((served(&first), served(&second)), (4, 1));
    assert_eq!(mesh.app("product-v1").count(), 5, "what is refused never reaches the application");

    let refused = &second[3];
    assert_eq!(refused.status, 429);
    assert_eq!(refused.header("ratelimit-policy"), "\"limits.0\";q=3;w=3600");
    let seconds: u64 = refused.header("retry-after").parse().unwrap();
    assert!((1100..=1200).contains(&seconds), "one in twenty minutes: {seconds}");
    assert_eq!(refused.header("ratelimit"), format!("\"limits.0\";r=0;t={seconds}"));
    let why = refused.header("proxy-status");
    assert!(why.contains("rate_limited") && why.contains("InboundPolicy/shop/limits"), "{why}");
    eventually("they are counted", Duration::from_secs(5), async || {
        let counted = mesh.proxy("product-v1").metric("weft_rate_limited_total", &[]).await?;
        ensure!((counted - 3.0).abs() < 0.1, "{counted}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn callers_are_counted_apart_by_their_certificates() {
    let mesh = shop("{requests: 2, per: 1h, key: CallerIdentity}").start().await;
    // What a caller says of itself changes nothing.
    let gateway = ask(&mesh, "gateway", "till", 5).await;
    let till = ask(&mesh, "till", "till", 5).await;
    assert_eq!((served(&gateway), served(&till)), (2, 2));
}

#[tokio::test]
async fn tenants_are_counted_apart_whoever_calls_and_every_limit_must_be_passed() {
    let limits = "{requests: 2, per: 1h, key: {header: X-Tenant}}, {requests: 5, per: 1h}";
    let mesh = shop(limits).start().await;
    assert_eq!(served(&ask(&mesh, "gateway", "a", 3).await), 2);
    assert_eq!(served(&ask(&mesh, "till", "a", 2).await), 0);
    assert_eq!(served(&ask(&mesh, "till", "b", 3).await), 2);
    let last = ask(&mesh, "till", "c", 2).await;
    assert_eq!(served(&last), 1, "five in all");
    assert!(last[1].header("ratelimit-policy").starts_with("\"limits.1\""), "{last:?}");
}

#[tokio::test]
async fn a_limit_is_refilled_and_an_edit_is_live_on_open_connections() {
    let mesh = shop("{requests: 1, per: 200ms}").start().await;
    let mut client = Kept::http1(mesh.entry("gateway", "product")).await.unwrap();
    for _ in 0..3 {
        eventually("another token", Duration::from_secs(1), async || {
            let answer = get(mesh.entry("gateway", "product"), "/").await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await;
    }
    mesh.write("limits.yaml", &policy("{requests: 1, per: 1h}"));
    eventually("the edit is live", Duration::from_secs(1), async || {
        let answer = client.get("/").await?;
        ensure!(answer.header("ratelimit-policy").ends_with("w=3600"), "{answer:?}");
        Ok(())
    })
    .await;
    mesh.remove("limits.yaml");
    eventually("the limit is gone", Duration::from_secs(1), async || {
        ensure!(client.get("/").await?.status == 200);
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn grpc_is_told_resource_exhausted() {
    let mesh = shop("{requests: 1, per: 1h}").start().await;
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    client.call("/a.B/Get", &[], "").await.unwrap();
    let status = client.call("/a.B/Get", &[], "").await.unwrap_err();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.metadata().get("retry-after").is_some());
}

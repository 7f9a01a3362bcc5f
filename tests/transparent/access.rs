//! AccessPolicy and short-lived certificates in pods: callers by their account and by their own address, opaque connections
//! that end when they are no longer allowed, and all of it while leaves of a few seconds come and go.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::{WEB, call, serve, web};
use crate::harness::{Load, PodNetwork, TcpApp, eventually, within};

const SOON: Duration = Duration::from_secs(20);

fn policy(name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: {name}, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: web}}}}, {spec}}}
"
    )
}

#[tokio::test]
async fn callers_are_told_apart_by_account_and_address() {
    let builder = web("http").pod("other");
    let Some(mesh) = builder.start("access").await else { return };
    let (client, other, outside) = (mesh.pod("client"), mesh.pod("other"), mesh.outside());
    let web = mesh.pod("web");
    let app = serve(web, 8080).await.unwrap();
    let service = PodNetwork::service_v4(WEB, 80);
    let address = other.v4(0).ip();
    let by_account = "action: ALLOW, rules: [{from: [{serviceAccounts: [client]}]}]".to_owned();
    let by_address = format!("action: ALLOW, rules: [{{from: [{{cidrs: [{address}/32]}}]}}]");
    // Nobody is restarted in between.
    for (rules, expected) in [(by_account, [200, 403, 403]), (by_address, [403, 200, 403])] {
        mesh.write("access.yaml", &policy("callers", &rules));
        eventually("the policy is enforced", SOON, async || {
            for (pod, expected) in [client, other, outside].into_iter().zip(expected) {
                // By the Service, and by the pod itself, which is all that is there for who is outside.
                let ways = if pod.name() == outside.name() { 1 } else { 2 };
                for to in [web.v4(8080), service].into_iter().take(ways) {
                    let answer = call(pod, to).await?;
                    let name = pod.name();
                    ensure!(answer.status == expected, "{name} {to}: {answer:?}");
                }
            }
            Ok(())
        })
        .await;
    }
    let before = app.count();
    assert_eq!(call(client, service).await.unwrap().status, 403);
    assert_eq!(app.count(), before, "the application hears nothing of it");
    let denied = mesh.metric("web", "weft_access_denied_total", &[]).await.unwrap();
    assert!(denied >= 4.0, "{denied}");
}

/// A connection that has said something.
async fn begun(to: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(b"ab").await.unwrap();
    stream
}

#[tokio::test]
async fn an_opaque_connection_ends_when_its_caller_may_no_longer() {
    let Some(mesh) = web("tcp").pod("other").start("opaque access").await else { return };
    let web = mesh.pod("web");
    let _app = web.on(TcpApp::reversing(web.v4(8080))).await.unwrap();
    let to = PodNetwork::service_v4(WEB, 80);
    let mut held = mesh.pod("client").on(begun(to)).await;
    let mut kept = mesh.pod("other").on(begun(to)).await;
    let open = async || {
        let name = "weft_tcp_connections_opened_total";
        let open = mesh.metric("web", name, &["inbound"]).await?;
        ensure!(open >= 2.0, "{open} connections are open");
        Ok(())
    };
    eventually("both are through", SOON, open).await;
    let rules = "ports: [8080], action: DENY, rules: [{from: [{serviceAccounts: [client]}]}]";
    mesh.write("access.yaml", &policy("no-client", rules));
    let end = within("it is cut", SOON, held.read(&mut [0; 8])).await;
    assert!(matches!(end, Ok(0) | Err(_)), "{end:?}");
    // The other one is as alive as before: it is answered when it has said all.
    kept.shutdown().await.unwrap();
    let mut answer = Vec::new();
    within("it is answered", SOON, kept.read_to_end(&mut answer)).await.unwrap();
    assert_eq!(answer, b"ba");
}

#[tokio::test]
async fn leaves_of_seconds_follow_each_other_under_load() {
    let builder = web("http").setting("leafLifetime: 15s").setting("mtls: STRICT");
    let Some(mesh) = builder.start("short leaves").await else { return };
    let (client, web) = (mesh.pod("client"), mesh.pod("web"));
    let _app = serve(web, 8080).await.unwrap();
    let load = client.on(async { Load::start_at(PodNetwork::service_v4(WEB, 80), 50, "/") }).await;
    let mut ends = [BTreeSet::new(), BTreeSet::new()];
    eventually("each sidecar has had three certificates", Duration::from_secs(120), async || {
        for (pod, ends) in ["client", "web"].into_iter().zip(&mut ends) {
            let certificate = mesh.admin(pod).get("/v1/config/certificate").await?;
            ends.insert(certificate["not_after"].as_u64());
        }
        ensure!(ends.iter().all(|ends| ends.len() >= 3), "{ends:?}");
        Ok(())
    })
    .await;
    let tally = client.on(load.stop()).await;
    eprintln!(
        "leaves of 15 s in pods: {} requests, {} failed",
        tally.count(),
        tally.failures().len()
    );
    tally.assert_no_failures();
}

//! What a port takes: mutual TLS, plaintext, or both; and the application's own TLS.

use std::time::Duration;

use anyhow::ensure;

use super::{CLIENT, WEB, call, caller, serve, web};
use crate::harness::{PodNetwork, TcpApp, eventually, exchange};

/// A policy for one port of `web`.
fn policy(port: u16, mode: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {{name: port-{port}, namespace: shop}}
spec:
  selector: {{matchLabels: {{app: web}}}}
  ports: [{port}]
  mtls: {mode}
"
    )
}

#[tokio::test]
async fn each_port_of_a_workload_has_its_own_mode() {
    let ports =
        ["{name: strict, port: 91, targetPort: 9001}", "{name: open, port: 92, targetPort: 9002}"];
    let builder = web("http")
        .service("more", "web", 2, &ports)
        .file("strict.yaml", &policy(9001, "STRICT"))
        .file("disable.yaml", &policy(9002, "DISABLE"));
    let Some(mesh) = builder.start("modes").await else { return };
    let (client, outside, web) = (mesh.pod("client"), mesh.outside(), mesh.pod("web"));
    let app = serve(web, 8080).await.unwrap();
    let strict = serve(web, 9001).await.unwrap();
    let open = serve(web, 9002).await.unwrap();
    let undeclared = serve(web, 9003).await.unwrap();
    // PERMISSIVE, declared and not: who comes in plaintext has no name.
    for (port, app) in [(8080, &app), (9003, &undeclared)] {
        for to in web.both(port) {
            assert_eq!(call(outside, to).await.unwrap().status, 200);
            assert_eq!(caller(app), "");
        }
    }
    assert_eq!(call(client, PodNetwork::service_v4(WEB, 80)).await.unwrap().status, 200);
    assert_eq!(caller(&app), CLIENT);
    assert!(call(outside, web.v4(9001)).await.is_err());
    assert_eq!(strict.count(), 0);
    assert_eq!(call(client, PodNetwork::service_v4(2, 91)).await.unwrap().status, 200);
    assert_eq!(caller(&strict), CLIENT);
    // Who calls a port that takes plaintext only calls it in plaintext, sidecar or not.
    assert_eq!(call(client, PodNetwork::service_v4(2, 92)).await.unwrap().status, 200);
    assert_eq!(caller(&open), "");
    assert_eq!(call(outside, web.v4(9002)).await.unwrap().status, 200);
    assert_eq!(open.count(), 2);
}

#[tokio::test]
async fn a_mode_changes_while_the_application_runs() {
    let Some(mesh) = web("http").start("a new mode").await else { return };
    let (outside, web) = (mesh.outside(), mesh.pod("web"));
    let _app = serve(web, 8080).await.unwrap();
    assert_eq!(call(outside, web.v4(8080)).await.unwrap().status, 200);
    mesh.write("strict.yaml", &policy(8080, "STRICT"));
    eventually("plaintext is refused", Duration::from_secs(5), async || {
        ensure!(call(outside, web.v4(8080)).await.is_err(), "still let in");
        Ok(())
    })
    .await;
    let to = PodNetwork::service_v4(WEB, 80);
    assert_eq!(call(mesh.pod("client"), to).await.unwrap().status, 200);
}

#[tokio::test]
async fn an_application_that_listens_on_loopback_only_stays_private() {
    let Some(mesh) = web("http").start("private").await else { return };
    let web = mesh.pod("web");
    let private = "127.0.0.1:9100".parse().unwrap();
    let _app = web.on(TcpApp::greeting(private)).await.unwrap();
    let ended = mesh.outside().on(exchange(web.v4(9100), b"x")).await;
    assert!(ended.is_err() || ended.unwrap().is_empty());
    assert!(!web.on(exchange(private, b"x")).await.unwrap().is_empty());
}

/// The first bytes of the application's own TLS, as any client of it sends them.
fn hello() -> Vec<u8> {
    let provider = std::sync::Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(rustls::RootCertStore::empty())
        .with_no_client_auth();
    let name = rustls::pki_types::ServerName::try_from("web.shop").unwrap();
    let mut client = rustls::ClientConnection::new(std::sync::Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

/// The application here sends back what it got, backwards: that it got the handshake is all that matters.
#[tokio::test]
async fn the_applications_own_tls_comes_wrapped_and_unwrapped_only_where_plaintext_does() {
    for (mode, unwrapped) in [("PERMISSIVE", true), ("STRICT", false)] {
        let builder = web("").file("mode.yaml", &policy(8080, mode));
        let Some(mesh) = builder.start("own tls").await else { return };
        let web = mesh.pod("web");
        let _app = web.on(TcpApp::reversing(web.v4(8080))).await.unwrap();
        let hello = hello();
        let backwards: Vec<u8> = hello.iter().rev().copied().collect();
        let sent = hello.clone();
        let to = PodNetwork::service_v4(WEB, 80);
        let wrapped = mesh.pod("client").on(async move { exchange(to, &sent).await }).await;
        assert_eq!(wrapped.unwrap(), backwards, "{mode}");
        let to = web.v4(8080);
        let plain = mesh.outside().on(async move { exchange(to, &hello).await }).await;
        assert_eq!(plain.is_ok_and(|back| back == backwards), unwrapped, "{mode}");
    }
}

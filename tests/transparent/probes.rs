//! Probes of a port that takes mutual TLS only.

use std::time::Duration;

use super::{CLIENT, WEB, call, caller, serve, web};
use crate::harness::{PodNetwork, exchange, get, within};

#[tokio::test]
async fn a_listed_path_is_answered_and_nothing_else_opens() {
    let builder = web("http").probe("{port: 8080, path: /healthz}").setting("mtls: STRICT");
    let Some(mesh) = builder.start("probes").await else { return };
    let (outside, web) = (mesh.outside(), mesh.pod("web"));
    let app = serve(web, 8080).await.unwrap();
    for to in web.both(8080) {
        let answer = outside.on(get(to, "/healthz")).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(outside.on(get(to, "/")).await.unwrap().status, 403);
        assert_eq!(outside.on(get(to, "/healthz/..")).await.unwrap().status, 403);
    }
    assert!(app.seen().iter().all(|seen| seen.path == "/healthz"), "{:?}", app.seen());
    let garbage = outside.on(exchange(web.v4(8080), b"\x00\x01 no probe\n")).await;
    assert!(garbage.is_err() || garbage.unwrap().is_empty());
    // The mesh comes in as ever.
    assert_eq!(
        call(mesh.pod("client"), PodNetwork::service_v4(WEB, 80)).await.unwrap().status,
        200
    );
    assert_eq!(caller(&app), CLIENT);
}

#[tokio::test]
async fn a_probe_of_tcp_is_answered_only_while_the_application_listens() {
    let builder = web("tcp").probe("{port: 8080}").setting("mtls: STRICT");
    let Some(mesh) = builder.start("tcp probe").await else { return };
    let (outside, web) = (mesh.outside(), mesh.pod("web"));
    let to = web.v4(8080);
    let probe = || {
        let connect = outside.on(tokio::net::TcpStream::connect(to));
        within("the probe", Duration::from_secs(5), connect)
    };
    let early = probe().await;
    assert!(early.is_err(), "nobody listens yet: {early:?}");
    let app = serve(web, 8080).await.unwrap();
    assert!(probe().await.is_ok());
    app.stop();
    crate::harness::eventually("nobody listens any more", Duration::from_secs(5), async || {
        anyhow::ensure!(probe().await.is_err(), "still answered");
        Ok(())
    })
    .await;
}

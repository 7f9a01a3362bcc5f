//! Connections outlive what is not needed to carry them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{WEB, call, serve, web};
use crate::harness::{PodNetwork, TcpApp, loud, within};

#[tokio::test]
async fn neither_a_control_plane_that_restarts_nor_new_certificates_end_a_connection() {
    let builder = web("tcp").setting("leafLifetime: 10s");
    let Some(mesh) = builder.start("kept").await else { return };
    let web = mesh.pod("web");
    let _app = web.on(TcpApp::greeting(web.v4(8080))).await.unwrap();
    let to = PodNetwork::service_v4(WEB, 80);
    let (words, mut echoes) = tokio::sync::mpsc::channel::<u8>(1);
    let (asks, mut asked) = tokio::sync::mpsc::channel::<u8>(1);
    let client = mesh.pod("client").on(async move {
        let mut stream = TcpStream::connect(to).await?;
        let mut greeting = vec![0; TcpApp::GREETING.len()];
        stream.read_exact(&mut greeting).await?;
        while let Some(byte) = asked.recv().await {
            stream.write_all(&[byte]).await?;
            words.send(stream.read_u8().await?).await?;
        }
        anyhow::Ok(())
    });
    let drive = async {
        let mut number = 0;
        let mut echo = async || {
            number += 1;
            asks.send(number).await.unwrap();
            let back = within("an echo", Duration::from_secs(5), echoes.recv()).await;
            assert_eq!(back, Some(number));
        };
        echo().await;
        mesh.control_plane().process().kill();
        echo().await;
        mesh.control_plane().restart().await;
        echo().await;
        let leaf = || async { mesh.admin("client").get("/v1/config/certificate").await };
        let first = leaf().await.unwrap()["not_after"].clone();
        crate::harness::eventually("a new certificate", Duration::from_secs(20), async || {
            anyhow::ensure!(leaf().await?["not_after"] != first, "still the old one");
            Ok(())
        })
        .await;
        echo().await;
        drop(asks);
    };
    let (client, ()) = tokio::join!(client, drive);
    client.unwrap();
}

#[tokio::test]
async fn a_sidecar_that_restarts_while_the_control_plane_is_away_still_knows_where_to_go() {
    let Some(mesh) = web("http").start("away").await else { return };
    let _app = serve(mesh.pod("web"), 8080).await.unwrap();
    let (client, to) = (mesh.pod("client"), PodNetwork::service_v4(WEB, 80));
    assert_eq!(call(client, to).await.unwrap().status, 200);
    mesh.control_plane().process().kill();
    let sidecar = mesh.sidecar("client");
    sidecar.kill();
    sidecar.start_again().unwrap();
    mesh.ready("client").await;
    assert_eq!(call(client, to).await.unwrap().status, 200);
}

/// Nothing is under way on either connection when the other pod is gone; nobody tells it.
#[tokio::test]
async fn a_peer_that_is_gone_without_a_word_is_found() {
    let Some(mesh) = web("tcp").start("half open").await else { return };
    let web = mesh.pod("web");
    let _app = web.on(TcpApp::greeting(web.v4(8080))).await.unwrap();
    let to = PodNetwork::service_v4(WEB, 80);
    let (greeted, is_greeted) = tokio::sync::oneshot::channel();
    let client = mesh.pod("client").on(async move {
        let mut stream = TcpStream::connect(to).await?;
        let mut greeting = vec![0; TcpApp::GREETING.len()];
        stream.read_exact(&mut greeting).await?;
        let _ = greeted.send(());
        let gone = std::time::Instant::now();
        let end = stream.read(&mut [0]).await;
        anyhow::Ok((gone.elapsed(), end))
    });
    let cut = async {
        is_greeted.await.unwrap();
        let output = web.run("ip".as_ref(), &["link", "set", "eth0", "down"]).await;
        assert_eq!(output.code, Some(0), "{output:?}");
    };
    let both = Box::pin(async { tokio::join!(client, cut) });
    let (found, ()) = within("the end", Duration::from_secs(40), both).await;
    let (after, end) = found.unwrap();
    // An end in order would say that the server had nothing more to say.
    assert!(end.is_err(), "{end:?}");
    loud(&format!("a peer that is gone is found after {after:?}"));
}

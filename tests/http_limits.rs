//! Limits of HTTP from the mesh's configuration to the wire: they are said to clients and kept, change for the next
//! connection without a restart, and a sidecar's own flag counts first.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;

use crate::harness::frames::{Raw, SETTINGS};
use crate::harness::manifests::mesh_config;
use crate::harness::{Mesh, eventually, http2, request};

/// RFC 9113 §6.5.2.
const MAX_CONCURRENT_STREAMS: u16 = 3;
const DOMAIN: &str = "mesh.test";

fn both(mesh: &Mesh) -> [SocketAddr; 2] {
    [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()]
}

/// What a new connection is told.
async fn streams(to: SocketAddr) -> Result<u32> {
    let mut raw = Raw::connect(to, &[]).await?;
    let is_settings = |frame: &crate::harness::frames::Frame| frame.kind == SETTINGS;
    let frames = raw.until(Duration::from_secs(60), is_settings).await;
    let settings = frames.last().filter(|frame| is_settings(frame)).context("no settings")?;
    let found = settings
        .payload
        .chunks_exact(6)
        .find(|setting| u16::from_be_bytes([setting[0], setting[1]]) == MAX_CONCURRENT_STREAMS);
    let found = found.context("no limit of streams")?;
    Ok(u32::from_be_bytes([found[2], found[3], found[4], found[5]]))
}

async fn status(to: SocketAddr, fields: usize) -> Result<u16> {
    let names: Vec<_> = (0..fields).map(|number| format!("x-{number}")).collect();
    let headers: Vec<_> = names.iter().map(|name| (name.as_str(), "y")).collect();
    Ok(http2(to, request(Method::GET, "/", &headers, "")).await?.status.as_u16())
}

#[tokio::test]
async fn the_mesh_sets_limits_and_changes_them_under_traffic() {
    let limits = "limits: {http: {http2Streams: 3, headerFields: 20}}";
    let mesh =
        Mesh::builder().service("product", &["v1"]).caller("gateway").setting(limits).start().await;
    for to in both(&mesh) {
        assert_eq!(streams(to).await.unwrap(), 3);
        assert_eq!(status(to, 10).await.unwrap(), 200);
        assert_eq!(status(to, 25).await.unwrap(), 431, "more fields than the mesh allows");
    }
    let limits = "  limits: {http: {http2Streams: 7, headerFields: 60}}\n";
    mesh.write("mesh.yaml", &mesh_config(DOMAIN, limits));
    for to in both(&mesh) {
        eventually("the next connection has the new limits", Duration::from_secs(10), async || {
            let streams = streams(to).await?;
            ensure!(streams == 7, "{streams} streams");
            Ok(())
        })
        .await;
    }
    // From the gateway it is still 431: the connection between the sidecars is an old one.
    assert_eq!(status(mesh.proxy("product-v1").inbound(), 25).await.unwrap(), 200);
    mesh.write("mesh.yaml", &mesh_config(DOMAIN, ""));
    for to in both(&mesh) {
        eventually("the defaults are back", Duration::from_secs(10), async || {
            let streams = streams(to).await?;
            ensure!(streams == 100, "{streams} streams");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_sidecars_own_flag_counts_first() {
    let limits = "limits: {http: {http2Streams: 3, headerFields: 20}}";
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .setting(limits)
        .proxy_args(&["--http2-streams", "5"])
        .start()
        .await;
    for to in both(&mesh) {
        assert_eq!(streams(to).await.unwrap(), 5);
        assert_eq!(status(to, 25).await.unwrap(), 431, "what no flag sets is the mesh's");
    }
}

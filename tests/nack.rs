//! A sidecar that is sent something it cannot do says which field and why, keeps what it had, and the control plane
//! tells it to whoever asks.

use std::time::Duration;

use anyhow::ensure;
use prost::Message;
use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::discovery::Resource;
use weft_proto::google;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Meddler, Mesh, eventually, get};

const SOON: Duration = Duration::from_secs(5);

/// A cluster that no sidecar of ours can honour.
fn spoil(resource: &mut Resource) {
    if resource.name != "product.shop:8080" {
        return;
    }
    if let Some(any) = &mut resource.resource
        && any.type_url.ends_with(".Cluster")
    {
        let mut cluster = Cluster::decode(&*any.value).expect("the control plane's own");
        cluster.connect_timeout = Some(google::Duration { seconds: 0, nanos: 0 });
        any.value = cluster.encode_to_vec();
    }
}

#[tokio::test]
async fn a_rejected_resource_is_shown_and_the_last_good_one_stays() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .service("user", &["v1"])
        .absent_caller("gateway")
        .start()
        .await;
    let address = mesh.spare_address(21011);
    let meddler = Meddler::start(&mesh, "gateway", address).await.unwrap();
    let mut bootstrap = mesh.control_plane().join("gateway.shop").await.unwrap();
    bootstrap["control_plane"]["address"] = address.to_string().into();
    let gateway = mesh.start_sidecar_with("gateway", false, bootstrap).unwrap();
    gateway.ready().await;
    assert_eq!(get(gateway.entry("product"), "/").await.unwrap().status, 200);

    meddler.spoil(spoil);
    mesh.write("product.yaml", &traffic_policy("product", "  connectTimeout: 3s\n"));
    mesh.write("user.yaml", &traffic_policy("user", "  connectTimeout: 3s\n"));
    let rejected = eventually("the rejection is shown", SOON, async || {
        let proxy = mesh.control_plane().proxy("gateway.shop").await?;
        let rejected = proxy["resources"]["clusters"]["rejected"].clone();
        ensure!(rejected.is_object(), "{proxy}");
        Ok(rejected)
    })
    .await;
    let reason = rejected["reason"].as_str().unwrap();
    assert!(reason.contains("product.shop:8080"), "it names the resource: {reason}");
    assert!(reason.contains("connect_timeout"), "it names the field: {reason}");

    let table = mesh.weft(&["proxy-status"]).await;
    assert!(table.stdout.contains("connect_timeout"), "{table:?}");
    let json = mesh.weft(&["proxy-status", "-o", "json"]).await;
    assert!(json.stdout.contains("connect_timeout"), "{json:?}");
    assert_eq!((table.code, json.code), (Some(0), Some(0)), "it could be shown");
    assert_eq!(mesh.weft(&["check"]).await.code, Some(3), "it is not as it should be");

    // Its sibling in the same response applies, and the last good one of its own is in force.
    eventually("the sibling applies", SOON, async || {
        let clusters = gateway.admin().get("/v1/config/clusters").await?;
        let timeout = |name: &str| {
            let mut all = clusters.as_array().into_iter().flatten();
            let found = all.find(|cluster| cluster["cluster"] == name);
            found.map(|cluster| cluster["connect_timeout_ms"].clone()).unwrap_or_default()
        };
        ensure!(timeout("user.shop:8080") == 3000, "{clusters}");
        ensure!(timeout("product.shop:8080") == 5000, "{clusters}");
        Ok(())
    })
    .await;
    assert_eq!(get(gateway.entry("product"), "/").await.unwrap().status, 200);

    meddler.behave();
    mesh.write("product.yaml", &traffic_policy("product", "  connectTimeout: 4s\n"));
    eventually("the next good one heals it", SOON, async || {
        let proxy = mesh.control_plane().proxy("gateway.shop").await?;
        ensure!(proxy["resources"]["clusters"]["rejected"].is_null(), "{proxy}");
        Ok(())
    })
    .await;
    let table = mesh.weft(&["proxy-status"]).await;
    assert!(!table.stdout.contains("reject") && !table.stdout.contains("REJECT"), "{table:?}");
}

//! What sidecars and control plane tell of themselves: configuration, limits, refusals, and a rotation of the roots.

use std::time::Duration;

use anyhow::{Result, ensure};
use prost::Message;
use weft_proto::envoy::cluster::Cluster;
use weft_proto::google;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Meddler, Mesh, Sidecar, eventually, get};

/// A sidecar that lost its control plane asks again within ten seconds, and a busy machine takes longer.
const SOON: Duration = Duration::from_secs(40);
/// Until sidecars that are asked to have another certificate, on a busy machine.
const RENEWED: Duration = Duration::from_secs(60);

/// The value of a sample in a page of metrics; 0 if it is not there.
fn value(page: &str, name: &str, labels: &[&str]) -> f64 {
    let samples = page.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| {
        rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
    });
    samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum()
}

async fn page(mesh: &Mesh) -> Result<String> {
    let answer = get(mesh.control_plane_health(), "/metrics").await?;
    Ok(String::from_utf8_lossy(&answer.body).into_owned())
}

async fn says(mesh: &Mesh, what: &str, is_so: impl Fn(&str) -> bool) -> String {
    eventually(what, RENEWED, async || {
        let page = page(mesh).await?;
        ensure!(is_so(&page), "{page}");
        Ok(page)
    })
    .await
}

async fn tells(sidecar: &Sidecar, what: &str, is_so: impl Fn(&str) -> bool) -> String {
    eventually(what, SOON, async || {
        let page = sidecar.metrics().await?;
        ensure!(is_so(&page), "{page}");
        Ok(page)
    })
    .await
}

#[tokio::test]
async fn a_sidecar_tells_its_configuration_and_for_how_long_nobody_confirmed_it() {
    let mesh =
        Mesh::builder().service("product", &["v1"]).caller("gateway").scraped().start().await;
    let gateway = mesh.proxy("gateway");
    let generation = |page: &str| value(page, "weft_config_generation", &[]);
    let before = tells(&gateway, "it has a generation", |page| generation(page) > 0.0).await;
    assert!(value(&before, "weft_config_accepted_timestamp_seconds", &[]) > 1_700_000_000.0);
    mesh.write("policy.yaml", &traffic_policy("product", "  limits: {requests: 7, retries: 3}\n"));
    let after =
        tells(&gateway, "the next one", |page| generation(page) > generation(&before)).await;
    assert_eq!(value(&after, "weft_config_unconfirmed_seconds", &[]), 0.0, "{after}");
    let limit = |page: &str, name: &str, limit: &str| {
        value(page, name, &["backend=\"product.shop:8080\"", &format!("limit=\"{limit}\"")])
    };
    tells(&gateway, "its limits", |page| {
        (limit(page, "weft_limit_max", "requests"), limit(page, "weft_limit_max", "retries"))
            == (7.0, 3.0)
    })
    .await;
    // What the control plane has counts the same.
    let own = |page: &str| value(page, "weft_control_plane_config_generation", &[]);
    says(&mesh, "both have the same", |page| own(page) >= generation(&after)).await;
    eventually("it has said so itself", SOON, async || {
        let proxy = mesh.control_plane().proxy("gateway.shop").await?;
        ensure!(proxy["config_accepted"].is_string(), "{proxy}");
        Ok(())
    })
    .await;

    mesh.control_plane().process().kill();
    tells(&gateway, "the control plane is away", |page| {
        value(page, "weft_config_unconfirmed_seconds", &[]) >= 1.0
            && value(page, "weft_xds_connected", &[]) == 0.0
    })
    .await;
    mesh.control_plane().restart().await;
    tells(&gateway, "it is there again", |page| {
        value(page, "weft_config_unconfirmed_seconds", &[]) == 0.0
            && value(page, "weft_xds_connected", &[]) == 1.0
    })
    .await;
}

#[tokio::test]
async fn the_control_plane_tells_how_a_rotation_stands() {
    let mesh =
        Mesh::builder().service("product", &["v1"]).caller("gateway").scraped().start().await;
    let stage = |page: &str| value(page, "weft_control_plane_trust_stage", &[]);
    let sidecars = |page: &str, state: &str, does: &str| {
        let labels = [format!("state=\"{state}\""), format!("does=\"{does}\"")];
        let name = "weft_control_plane_trust_root_sidecars";
        value(page, name, &[&labels[0], &labels[1]])
    };
    says(&mesh, "no rotation", |page| {
        stage(page) == 0.0
            && sidecars(page, "issuing", "use") == 2.0
            && sidecars(page, "issuing", "believe") == 2.0
    })
    .await;
    let staged = mesh.weft(&["trust", "stage"]).await;
    assert_eq!(staged.code, Some(0), "{staged:?}");
    let page = says(&mesh, "one is staged", |page| {
        stage(page) == 1.0 && sidecars(page, "staged", "believe") == 2.0
    })
    .await;
    assert_eq!(sidecars(&page, "staged", "use"), 0.0, "{page}");
    assert!(
        value(&page, "weft_control_plane_trust_root_not_after_seconds", &["state=\"staged\""])
            > 1e9
    );
    let issued = mesh.weft(&["trust", "issue"]).await;
    assert_eq!(issued.code, Some(0), "{issued:?}");
    says(&mesh, "it issues", |page| {
        stage(page) == 2.0
            && sidecars(page, "issuing", "use") == 2.0
            && sidecars(page, "old", "use") == 0.0
    })
    .await;
}

#[tokio::test]
async fn the_control_plane_counts_what_was_sent_and_refused() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .absent_caller("gateway")
        .scraped()
        .start()
        .await;
    let address = mesh.spare_address(21011);
    let meddler = Meddler::start(&mesh, "gateway", address).await.unwrap();
    let mut bootstrap = mesh.control_plane().join("gateway.shop").await.unwrap();
    bootstrap["control_plane"]["address"] = address.to_string().into();
    mesh.start_sidecar_with("gateway", false, bootstrap).unwrap().ready().await;
    let routes = ["type=\"clusters\""];
    let page = says(&mesh, "responses are counted", |page| {
        value(page, "weft_control_plane_responses_total", &routes) > 0.0
            && value(page, "weft_control_plane_answer_seconds_count", &[]) > 0.0
    })
    .await;
    assert_eq!(value(&page, "weft_control_plane_nacks_total", &[]), 0.0, "{page}");
    meddler.spoil(|resource| {
        if let Some(any) = &mut resource.resource
            && any.type_url.ends_with(".Cluster")
        {
            let mut cluster = Cluster::decode(&*any.value).expect("the control plane's own");
            cluster.connect_timeout = Some(google::Duration { seconds: 0, nanos: 0 });
            any.value = cluster.encode_to_vec();
        }
    });
    mesh.write("product.yaml", &traffic_policy("product", "  connectTimeout: 3s\n"));
    let page = says(&mesh, "the refusal is counted", |page| {
        value(page, "weft_control_plane_nacks_total", &routes) >= 1.0
            && value(page, "weft_control_plane_proxies_rejecting", &routes) == 1.0
    })
    .await;
    assert_eq!(value(&page, "weft_control_plane_proxies", &[]), 2.0, "{page}");
}

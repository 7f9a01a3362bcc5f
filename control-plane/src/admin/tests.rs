//! Every endpoint over a real Unix socket.

use std::path::PathBuf;
use std::sync::Arc;

use serde_json::{Value, json};
use tokio::sync::watch;

use super::{Admin, Asking, View};
use crate::finding::{Code, Finding};
use crate::telemetry::TelemetryService;
use crate::testing::{TestCa, http, id};
use crate::trust::{self, Trust};
use crate::xds::Registry;

struct Fixture {
    ca: TestCa,
    generation: watch::Sender<u64>,
    stopping: watch::Sender<bool>,
    path: PathBuf,
}

/// An admin socket over a mesh of `product` and `payment`.
async fn serve() -> Fixture {
    let ca = TestCa::new(&["product", "payment"]);
    let path = ca.dir.path().join("admin.sock");
    let (generation, stopping) = (watch::Sender::new(1), watch::Sender::new(false));
    let finding = Finding::new(Code::NoEndpoints, "nobody home").at("shop.yaml", 7);
    let (registry, clock) = (Registry::new(), ca.clock.clock());
    let telemetry = TelemetryService::new(
        ca.mesh.subscribe(),
        watch::Sender::default(),
        stopping.subscribe(),
        clock.clone(),
    );
    let own = trust::Own {
        ca: ca.ca.clone(),
        registry: registry.clone(),
        telemetry: telemetry.clone(),
        clock,
    };
    let issuer = watch::Sender::default().subscribe();
    let view = View {
        mesh_name: "demo".to_owned(),
        advertised: "control-plane.example:15010".to_owned(),
        grpc_address: "127.0.0.1:15010".parse().unwrap(),
        identity: id("control-plane"),
        mesh: ca.mesh.subscribe(),
        findings: watch::Sender::new(Arc::new(vec![finding])).subscribe(),
        ca: ca.ca.clone(),
        trust: Arc::new(Trust::new(own, ca.mesh.subscribe(), issuer, None)),
        asking: Asking::new(&telemetry),
        telemetry,
        registry,
        generation: generation.subscribe(),
        latency: Arc::default(),
        stopping: stopping.subscribe(),
        injector: None,
    };
    tokio::spawn(Admin::bind(&path, None, view).await.unwrap().run());
    Fixture { ca, generation, stopping, path }
}

impl Fixture {
    async fn exchange(&self, head: &str, body: &[u8]) -> (u16, String) {
        http(&self.path, head, body).await
    }

    async fn get(&self, path: &str) -> (u16, String) {
        self.exchange(&format!("GET {path}"), b"").await
    }

    async fn json(&self, path: &str) -> Value {
        let (status, body) = self.get(path).await;
        assert_eq!(status, 200, "{body}");
        serde_json::from_str(&body).unwrap()
    }

    async fn join(&self, body: &str) -> (u16, Value) {
        let (status, body) = self.exchange("POST /v1/join-tokens", body.as_bytes()).await;
        (status, serde_json::from_str(&body).unwrap())
    }
}

#[tokio::test]
async fn it_is_live_and_ready_from_the_first_configuration_until_it_stops() {
    let admin = serve().await;
    admin.generation.send_replace(0);
    assert_eq!(admin.get("/ready").await.0, 503);
    admin.generation.send_replace(1);
    assert_eq!(admin.get("/live").await, (200, "live\n".to_owned()));
    assert_eq!(admin.get("/ready").await, (200, "ready\n".to_owned()));
    admin.stopping.send_replace(true);
    assert_eq!(admin.get("/ready").await.0, 503);
    assert_eq!(admin.get("/live").await.0, 200);
}

#[tokio::test]
async fn version_and_mesh() {
    let admin = serve().await;
    assert_eq!(admin.json("/v1/version").await["version"], env!("CARGO_PKG_VERSION"));
    let mesh = admin.json("/v1/mesh").await;
    assert_eq!((&mesh["name"], &mesh["trust_domain"]), (&json!("demo"), &json!("demo.local")));
    assert_eq!(mesh["grpc_address"], "127.0.0.1:15010");
    assert_eq!((&mesh["counts"]["workloads"], &mesh["counts"]["findings"]), (&json!(2), &json!(1)));
}

#[tokio::test]
async fn a_join_token_comes_as_a_whole_bootstrap_file() {
    let admin = serve().await;
    let (status, bootstrap) = admin.join(r#"{"workload":"product.shop"}"#).await;
    assert_eq!(status, 200, "{bootstrap}");
    let token = bootstrap["join_token"].as_str().unwrap();
    assert_eq!(token.len(), 43);
    assert_eq!(
        bootstrap,
        json!({
            "workload": "product.shop",
            "identity": "spiffe://demo.local/ns/shop/sa/product",
            "control_plane": {
                "address": "control-plane.example:15010",
                "identity": "spiffe://demo.local/ns/shop/sa/control-plane",
            },
            "trust_bundle": admin.ca.ca.bundle().to_pem(),
            "join_token": token,
            "service": { "name": "product", "version": "" },
            "locality": { "region": "", "zone": "", "sub_zone": "" },
        })
    );
    assert_eq!(admin.ca.ca.numbers().tokens, 1);
}

#[tokio::test]
async fn an_unknown_workload_is_answered_with_the_known_ones() {
    let admin = serve().await;
    let (status, answer) = admin.join(r#"{"workload":"prodcut.shop"}"#).await;
    assert_eq!(status, 404);
    assert_eq!(answer["known_workloads"], json!(["payment.shop", "product.shop"]));
    assert!(answer["error"].as_str().unwrap().contains("prodcut"), "{answer}");
}

#[tokio::test]
async fn bad_requests_for_a_token_get_a_reason() {
    let admin = serve().await;
    for body in ["", "{}", "[]", r#"{"workload":""}"#, r#"{"workload":"a.b","more":1}"#] {
        let (status, answer) = admin.join(body).await;
        assert_eq!(status, 400, "{body}");
        assert!(answer["error"].is_string(), "{answer}");
    }
    let large = format!(r#"{{"workload":"{}"}}"#, "x".repeat(64 * 1024));
    assert_eq!(admin.join(&large).await.0, 413);
    assert_eq!(admin.ca.ca.numbers().tokens, 0);
}

#[tokio::test]
async fn stat_takes_a_window() {
    let admin = serve().await;
    for query in ["", "?window=10", "?window=60", "?window=all"] {
        let stat = admin.json(&format!("/v1/stat{query}")).await;
        assert_eq!(stat["schema_version"], 1);
        assert_eq!(stat["workloads"].as_array().unwrap().len(), 2);
    }
    for query in ["?window=0", "?window=61", "?window=-1", "?window=x", "?windw=10"] {
        let (status, body) = admin.get(&format!("/v1/stat{query}")).await;
        assert_eq!(status, 400, "{query}: {body}");
    }
}

#[tokio::test]
async fn proxies_and_findings_are_lists() {
    let admin = serve().await;
    assert_eq!(admin.json("/v1/proxies").await, json!([]));
    let findings = admin.json("/v1/analysis").await;
    assert_eq!((&findings[0]["code"], &findings[0]["line"]), (&json!("WEFT0401"), &json!(7)));
}

#[tokio::test]
async fn metrics_are_families_with_help_type_and_samples() {
    let admin = serve().await;
    let (status, page) = admin.get("/metrics").await;
    assert_eq!(status, 200);
    for line in [
        "weft_control_plane_objects{kind=\"MeshWorkload\"} 2",
        "weft_control_plane_findings{severity=\"warning\"} 1",
        "weft_control_plane_proxies 0",
        "weft_control_plane_publish_seconds_bucket{le=\"0.010\"} 0",
        "weft_control_plane_publish_seconds_count 0",
        "weft_control_plane_certificate_requests_total{result=\"issued\"} 0",
        "weft_control_plane_nacks_total{type=\"routes\"} 0",
        "weft_control_plane_answer_seconds_count 0",
        "weft_control_plane_trust_stage 0",
        "weft_control_plane_trust_sidecars 0",
    ] {
        assert!(page.lines().any(|known| known == line), "{line} is not in\n{page}");
    }
    for family in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let name = family.split(' ').next().unwrap();
        let is_known = ["weft_control_plane_", "process_"].iter().any(|own| name.starts_with(own));
        assert!(is_known, "{name}");
        assert!(page.contains(&format!("# HELP {name} ")), "{name}");
        assert!(page.contains(&format!("\n{name}")), "{name} has no sample");
    }
}

#[tokio::test]
async fn other_paths_and_methods_are_refused_in_json() {
    let admin = serve().await;
    for (head, expected) in [
        ("GET /", 404),
        ("GET /v1/nothing", 404),
        ("POST /v1/stat", 405),
        ("GET /v1/join-tokens", 405),
    ] {
        let (status, body) = admin.exchange(head, b"").await;
        assert_eq!(status, expected, "{head}");
        assert!(serde_json::from_str::<Value>(&body).unwrap()["error"].is_string());
    }
}

//! Endpoints that say that they are ill get no requests, before a request has met it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use anyhow::ensure;

use crate::harness::manifests::traffic_policy;
use crate::harness::{Act, Grpc, GrpcHealth, Mesh, TcpApp, eventually, get};

/// What the sidecar of `gateway` says of a workload's health.
async fn checked(mesh: &Mesh, workload: &str) -> anyhow::Result<String> {
    let service = workload.split('-').next().unwrap_or_default();
    let endpoints = mesh.proxy("gateway").admin().get("/v1/config/endpoints").await?;
    let all = endpoints.as_array().cloned().unwrap_or_default();
    let found = all.iter().find(|endpoint| {
        endpoint["workload"] == workload && endpoint["cluster"] == format!("{service}.shop:8080")
    });
    let found = found.ok_or_else(|| anyhow::anyhow!("{endpoints}"))?;
    Ok(found["checked"].as_str().unwrap_or_default().to_owned())
}

async fn becomes(mesh: &Mesh, workload: &str, health: &str) {
    eventually(&format!("{workload} is {health}"), Duration::from_secs(10), async || {
        let now = checked(mesh, workload).await?;
        ensure!(now == health, "{now}");
        Ok(())
    })
    .await;
}

fn policy(check: &str) -> String {
    policy_of("product", check, 2)
}

fn policy_of(service: &str, check: &str, unhealthy: u32) -> String {
    let often = "interval: 200ms, timeout: 30s, healthyThreshold: 2";
    let spec = format!(
        "  loadBalancer: {{policy: RoundRobin}}
  healthCheck: {{{check}, {often}, unhealthyThreshold: {unhealthy}}}\n"
    );
    traffic_policy(service, &spec)
}

#[tokio::test]
async fn an_endpoint_that_is_ill_gets_no_requests_until_it_is_well() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &policy("http: {path: /healthz, expectedStatuses: [200, 204]}"))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    assert_eq!(get(entry, "/").await.unwrap().status, 200, "nobody waits for the first check");
    let app = mesh.app("product-v1");
    let ill = Arc::new(AtomicBool::new(false));
    let says = Arc::clone(&ill);
    app.script(move |seen| match (seen.path.as_str(), says.load(Relaxed)) {
        ("/healthz", true) => Act::Status(503),
        ("/healthz", false) => Act::Status(204),
        _ => Act::Echo,
    });
    for workload in ["product-v1.shop", "product-v2.shop"] {
        becomes(&mesh, workload, "healthy").await;
    }
    ill.store(true, Relaxed);
    becomes(&mesh, "product-v1.shop", "unhealthy").await;
    // The load follows within the time for which a pick goes by its count.
    for _ in 0..20 {
        assert_eq!(get(entry, "/").await.unwrap().workload(), "product-v2");
    }
    let sidecar = mesh.proxy("gateway");
    let unhealthy = ["backend=\"product.shop:8080\"", "health=\"unhealthy\""];
    eventually("it is counted", Duration::from_secs(10), async || {
        let count = sidecar.metric("weft_health_endpoints", &unhealthy).await?;
        let failed = ["result=\"failed\""];
        let failed = sidecar.metric("weft_health_checks_total", &failed).await?;
        ensure!(count == 1.0 && failed >= 2.0, "{count} unhealthy, {failed} failed");
        Ok(())
    })
    .await;
    let seen = app.seen();
    let check = seen.iter().find(|seen| seen.path == "/healthz").unwrap();
    assert_eq!(check.headers["host"], "product.shop:8080");
    assert!(check.headers["x-forwarded-client-cert"].to_str().unwrap().contains("/sa/gateway"));
    ill.store(false, Relaxed);
    becomes(&mesh, "product-v1.shop", "healthy").await;
    let calls = || app.seen().iter().filter(|seen| seen.path == "/").count();
    let before = calls();
    for _ in 0..10 {
        assert_eq!(get(entry, "/").await.unwrap().status, 200);
    }
    assert!(calls() > before, "it is used again");
}

#[tokio::test]
async fn with_less_than_half_well_all_are_used() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2", "v3"])
        .caller("gateway")
        .file("policy.yaml", &policy("http: {path: /healthz}"))
        .start()
        .await;
    let entry = mesh.entry("gateway", "product");
    // The first request makes the sidecar subscribe, and so check.
    get(entry, "/").await.unwrap();
    for workload in ["product-v1", "product-v2"] {
        let act = |path: &str| if path == "/healthz" { Act::Status(500) } else { Act::Echo };
        mesh.app(workload).script(move |seen| act(&seen.path));
        becomes(&mesh, &format!("{workload}.shop"), "unhealthy").await;
    }
    eventually("all are used", Duration::from_secs(5), async || {
        let mut used = std::collections::BTreeSet::new();
        for _ in 0..9 {
            used.insert(get(entry, "/").await?.workload());
        }
        ensure!(used.len() == 3, "{used:?}");
        Ok(())
    })
    .await;
}

/// The other sidecar stands and takes connections; that the application is gone shows all the same.
#[tokio::test]
async fn a_connection_check_reaches_the_application() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &policy("tcp: {}"))
        .start()
        .await;
    get(mesh.entry("gateway", "product"), "/").await.unwrap();
    becomes(&mesh, "product-v1.shop", "healthy").await;
    mesh.app("product-v1").stop();
    becomes(&mesh, "product-v1.shop", "unhealthy").await;
    assert_eq!(checked(&mesh, "product-v2.shop").await.unwrap(), "healthy");
    mesh.app("product-v1").listen().await.unwrap();
    becomes(&mesh, "product-v1.shop", "healthy").await;
}

/// Real servers of `grpc.health.v1`, asked of one service. Calls ask the same, so their answers say whom they reached.
#[tokio::test]
async fn a_grpc_server_that_does_not_serve_gets_no_calls_until_it_does() {
    const SERVICE: &str = "shop.Product";
    const SERVING: &[u8] = &[8, 1];
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .file("policy.yaml", &policy("grpc: {service: shop.Product}"))
        .start()
        .await;
    let mut servers = Vec::new();
    for app in mesh.apps() {
        app.stop();
        let address = mesh.app_address(app.workload());
        let start = async || GrpcHealth::start(address).await;
        let server = eventually("its port is free", Duration::from_secs(5), start).await;
        server.says(SERVICE, true).await;
        servers.push(server);
    }
    let mut client = Grpc::connect(mesh.entry("gateway", "product")).await;
    let mut ask = async || {
        let question = "\n\u{c}shop.Product";
        client.call("/grpc.health.v1.Health/Check", &[], question).await.unwrap().0
    };
    assert_eq!(ask().await, SERVING, "nobody waits for the first check");
    for workload in ["product-v1.shop", "product-v2.shop"] {
        becomes(&mesh, workload, "healthy").await;
    }
    servers[0].says(SERVICE, false).await;
    becomes(&mesh, "product-v1.shop", "unhealthy").await;
    for _ in 0..20 {
        assert_eq!(ask().await, SERVING, "the other one");
    }
    assert_eq!(checked(&mesh, "product-v2.shop").await.unwrap(), "healthy");
    servers[0].says(SERVICE, true).await;
    becomes(&mesh, "product-v1.shop", "healthy").await;
    servers[0].forgets(SERVICE).await;
    becomes(&mesh, "product-v1.shop", "unhealthy").await;
}

/// A port of opaque bytes, whose server speaks first.
#[tokio::test]
async fn an_opaque_server_is_healthy_while_it_takes_connections() {
    let mesh = Mesh::builder()
        .without_app("db", "tcp")
        .caller("gateway")
        .file("policy.yaml", &policy_of("db", "tcp: {}", 2))
        .start()
        .await;
    let address = mesh.app_address("db-v1");
    let server = TcpApp::greeting(address).await.unwrap();
    // The first connection makes the sidecar subscribe, and so check.
    let _client = tokio::net::TcpStream::connect(mesh.entry("gateway", "db")).await.unwrap();
    becomes(&mesh, "db-v1.shop", "healthy").await;
    drop(server);
    becomes(&mesh, "db-v1.shop", "unhealthy").await;
    let again = async || TcpApp::greeting(address).await;
    let _server = eventually("its port is free", Duration::from_secs(5), again).await;
    becomes(&mesh, "db-v1.shop", "healthy").await;
}

/// Neither a success nor a whole row of failures.
#[tokio::test]
async fn an_endpoint_is_unknown_until_its_checks_have_said_something() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        // More than a minute and a half of failures.
        .file("policy.yaml", &policy_of("product", "tcp: {}", 100).replace("200ms", "1s"))
        .start()
        .await;
    mesh.app("product-v1").stop();
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
    becomes(&mesh, "product-v2.shop", "healthy").await;
    let sidecar = mesh.proxy("gateway");
    eventually("checks have failed", Duration::from_secs(10), async || {
        let failed = sidecar.metric("weft_health_checks_total", &["result=\"failed\""]).await?;
        ensure!(failed >= 2.0, "{failed}");
        Ok(())
    })
    .await;
    assert_eq!(checked(&mesh, "product-v1.shop").await.unwrap(), "unknown");
    for health in ["healthy", "unknown"] {
        let labels = ["backend=\"product.shop:8080\"", &format!("health=\"{health}\"")];
        eventually("they are counted", Duration::from_secs(10), async || {
            let count = sidecar.metric("weft_health_endpoints", &labels).await?;
            ensure!(count == 1.0, "{health}: {count}");
            Ok(())
        })
        .await;
    }
    let table = mesh.weft(&["proxy-config", "endpoints", "gateway"]).await;
    assert!(table.stdout.contains("unknown") && table.stdout.contains("healthy"), "{table:?}");
    mesh.app("product-v1").listen().await.unwrap();
    becomes(&mesh, "product-v1.shop", "healthy").await;
}

//! Routes of producers and of consumers: one in another namespace than its Service counts for callers of its own
//! namespace, and there instead of the producer's.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use crate::harness::manifests::{SERVICE_PORT, http_route};
use crate::harness::{Mesh, eventually, get};

/// From the edit of a file to its effect on requests.
const LIVE: Duration = Duration::from_secs(1);

/// Everything to one version, from every namespace, and an answer that says whose route it was.
fn to(version: &str, said_by: &str) -> String {
    let filter = "type: ResponseHeaderModifier, responseHeaderModifier";
    let rules = format!(
        "  - filters: [{{{filter}: {{set: [{{name: x-route, value: {said_by}}}]}}}}]\n    \
         backendRefs: [{{name: product-{version}, namespace: shop, port: {SERVICE_PORT}}}]\n"
    );
    http_route("product", "product", &rules)
}

/// The same as a route of namespace `checkout`.
fn of_checkout(route: &str) -> String {
    route
        .replace(
            "metadata: {name: product, namespace: shop}",
            "metadata: {name: product, namespace: checkout}",
        )
        .replace("kind: Service, name: product,", "kind: Service, name: product, namespace: shop,")
}

async fn meets(entry: SocketAddr, workload: &str, route: &str) {
    eventually(&format!("{workload} by the route of {route:?}"), LIVE, async || {
        let answer = get(entry, "/").await?;
        ensure!((&*answer.workload(), answer.header("x-route")) == (workload, route), "{answer:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_consumers_route_replaces_the_producers_for_its_own_namespace() {
    let mesh = Mesh::builder()
        .service("product", &["v1", "v2"])
        .caller("gateway")
        .caller_in("checkout", "till")
        .file("producer.yaml", &to("v1", "producer"))
        .start()
        .await;
    let (gateway, till) = (mesh.entry("gateway", "product"), mesh.entry("till", "product"));
    meets(gateway, "product-v1", "producer").await;
    meets(till, "product-v1", "producer").await;

    mesh.write("consumer.yaml", &of_checkout(&to("v2", "consumer")));
    meets(till, "product-v2", "consumer").await;
    for _ in 0..5 {
        let answer = get(gateway, "/").await.unwrap();
        assert_eq!(answer.header("x-route"), "producer", "others are not concerned");
    }
    // What the producer changes is no longer this namespace's affair.
    mesh.write("producer.yaml", &to("v1", "new-producer"));
    meets(gateway, "product-v1", "new-producer").await;
    assert_eq!(get(till, "/").await.unwrap().header("x-route"), "consumer");

    // It holds over a restart: what the sidecar comes back with is the variant.
    let sidecar = mesh.proxy("till");
    let _ = sidecar.process().terminate(Duration::from_secs(10)).await;
    sidecar.restart().await;
    meets(till, "product-v2", "consumer").await;

    mesh.remove("consumer.yaml");
    meets(till, "product-v1", "new-producer").await;
    mesh.remove("producer.yaml");
    eventually("without routes", LIVE, async || {
        let answer = get(till, "/").await?;
        ensure!(answer.status == 200 && answer.header("x-route").is_empty(), "{answer:?}");
        Ok(())
    })
    .await;
}

//! A backend that does not exist costs exactly its share of the traffic, 500 each; one that exists and has nobody
//! behind it answers 503.

use crate::harness::manifests::{SERVICE_PORT, backend, http_route, service};
use crate::harness::{Kept, Mesh, assert_share};

fn filtered(backend: &str) -> String {
    let change =
        "{type: RequestHeaderModifier, requestHeaderModifier: {set: [{name: x-own, value: a}]}}";
    backend.replace('}', &format!(", filters: [{change}]}}"))
}

async fn mesh(backends: &[String]) -> Mesh {
    let rules = format!("  - name: split\n    backendRefs: [{}]\n", backends.join(", "));
    Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("empty.yaml", &service("empty", "nobody", None, "http"))
        .file("route.yaml", &http_route("r", "product", &rules))
        .start()
        .await
}

/// How many of `total` requests were answered so, by status; every failure names the rule.
async fn ask(mesh: &Mesh, total: usize) -> std::collections::BTreeMap<u16, usize> {
    let mut client = Kept::http1(mesh.entry("gateway", "product")).await.unwrap();
    let mut statuses = std::collections::BTreeMap::new();
    for _ in 0..total {
        let answer = client.get("/").await.unwrap();
        let (why, status) = (answer.header("proxy-status"), answer.status.as_u16());
        match status {
            200 => assert_eq!(answer.workload(), "product-v1"),
            500 => {
                assert!(why.contains("backend_invalid") && why.contains("HTTPRoute/shop/r#split"))
            }
            503 => assert!(why.contains("destination_unavailable"), "{why}"),
            other => panic!("{other}: {answer:?}"),
        }
        *statuses.entry(status).or_default() += 1;
    }
    statuses
}

#[tokio::test]
async fn an_invalid_backend_costs_exactly_its_share() {
    for filters in [false, true] {
        let one = |name: &str, weight| {
            let written = backend(name, weight);
            if filters { filtered(&written) } else { written }
        };
        let mesh = mesh(&[one("product", 3), one("nothing", 1)]).await;
        let statuses = ask(&mesh, 600).await;
        assert_share("500", statuses[&500], 600, 0.25);
        assert_eq!(statuses.len(), 2, "{statuses:?}");
        assert_eq!(mesh.app("product-v1").count(), statuses[&200], "none is tried elsewhere");
    }
}

#[tokio::test]
async fn a_service_without_endpoints_answers_503_in_its_share() {
    let mesh = mesh(&[backend("product", 2), backend("empty", 1), backend("nothing", 1)]).await;
    let statuses = ask(&mesh, 600).await;
    assert_share("503", statuses[&503], 600, 0.25);
    assert_share("500", statuses[&500], 600, 0.25);
}

#[tokio::test]
async fn a_port_that_a_service_lacks_and_a_kind_that_is_none_are_invalid_too() {
    let no_port = format!("{{name: product, port: {}}}", SERVICE_PORT + 1);
    let mesh = mesh(&[no_port, "{group: example.com, kind: Bucket, name: b}".to_owned()]).await;
    assert_eq!(ask(&mesh, 20).await.into_iter().collect::<Vec<_>>(), [(500, 20)]);
}

//! What users write: too much of it, or about what is not theirs.

use anyhow::ensure;

use super::{LIVE, costs, others_are_served, policy_of, shop};
use crate::harness::manifests::{SERVICE_PORT, backend, http_route, service};
use crate::harness::{eventually, get};

fn route(rules: &str) -> String {
    http_route("large", "product", rules)
}

fn rule(path: &str) -> String {
    format!("  - matches: [{{path: {path}}}]\n    backendRefs: [{}]\n", backend("product", 1))
}

/// Objects that are too large in one way or another, and a word of what is said of each.
fn large() -> Vec<(&'static str, String, &'static str)> {
    let regex = |text: &str| rule(&format!("{{type: RegularExpression, value: '{text}'}}"));
    let annotation = service("huge", "huge", None, "http").replace(
        "namespace: shop}",
        &format!("namespace: shop, annotations: {{note: {}}}}}", "x".repeat(10 << 20)),
    );
    let access = |rules: &str| {
        format!(
            "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {{name: large, namespace: shop}}\nspec:\n  selector: {{matchLabels: {{app: nobody}}}}\n  action: ALLOW\n  rules:\n{rules}"
        )
    };
    vec![
        ("an object of 10 MB", annotation, "4"),
        ("a regular expression of 1 MB", route(&regex(&"a".repeat(1 << 20))), "regular expression"),
        (
            "a regular expression that is large when compiled",
            route(&regex("(a{1000}){1000}")),
            "spec.rules",
        ),
        ("a thousand alternatives of stars", route(&regex(&"(a*)*".repeat(200))), ""),
        (
            "10,000 rules of a route",
            route(&rule("{type: PathPrefix, value: /}").repeat(10_000)),
            "large.yaml",
        ),
        (
            "10,000 rules of an access policy",
            access(&"  - {from: [{namespaces: [shop]}]}\n".repeat(10_000)),
            "large.yaml",
        ),
        (
            "10,000 names in a rule",
            access(&format!("  - from: [{{namespaces: [{}]}}]\n", vec!["a"; 10_000].join(", "))),
            "large.yaml",
        ),
        ("10,000 documents that are nothing", "---\nkind: Nothing\n".repeat(10_000), ""),
    ]
}

#[tokio::test]
async fn large_objects_cost_themselves_and_nothing_else() {
    let mesh = shop().start().await;
    let mut round = 0;
    let mut slowest = others_are_served(&mesh, round).await;
    let process = mesh.control_plane().process();
    process.forget_peak();
    let before = process.rss();
    for (what, text, said) in large() {
        mesh.write("large.yaml", &text);
        round += 1;
        let served = others_are_served(&mesh, round).await;
        slowest = slowest.max(served);
        let what = &format!("{what}, others served in {served:?}");
        let analysis = eventually(what, LIVE, async || {
            let analysis = mesh.control_plane().admin().get("/v1/analysis").await?.to_string();
            ensure!(analysis.contains(said), "{}", &analysis[..analysis.len().min(2_000)]);
            Ok(analysis)
        })
        .await;
        assert!(analysis.len() < 4 << 20, "{what}: {} bytes are said of it", analysis.len());
        costs(&mesh, what, before, 120.0);
    }
    mesh.remove("large.yaml");
    eprintln!("S27 large objects: others' changes are in force within {slowest:?}");
}

/// Routes and policies of a namespace are about its own callers and its own Services.
#[tokio::test]
async fn a_namespace_cannot_take_another_ones_host() {
    let mesh = shop().service("bank", &["v1"]).caller_in("evil", "mallory").start().await;
    let claimed = |name: &str, backend: &str, hosts: &str| {
        format!(
            "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {{name: {name}, namespace: evil}}\nspec:\n  parentRefs: [{{group: \"\", kind: Service, name: product, namespace: shop, port: {SERVICE_PORT}}}]\n{hosts}  rules:\n  - filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-evil, value: {name}}}]}}}}]\n    backendRefs: [{{name: {backend}, port: {SERVICE_PORT}}}]\n"
        )
    };
    let host = format!("  hostnames: [{}]\n", mesh.entry("gateway", "product"));
    mesh.write(
        "evil-service.yaml",
        &service("trap", "trap", None, "http").replace("namespace: shop", "namespace: evil"),
    );
    mesh.write("evil-1.yaml", &claimed("trap", "trap", ""));
    mesh.write("evil-2.yaml", &claimed("host", "trap", &host));
    // The Service of another namespace as backend, which nobody has granted.
    mesh.write("evil-3.yaml", &claimed("bank", "bank, namespace: shop", ""));
    mesh.write("evil-4.yaml", &policy_of("evil"));
    let deny = "apiVersion: weft.dev/v1alpha1\nkind: AccessPolicy\nmetadata: {name: deny, namespace: evil}\nspec: {action: DENY, rules: [{}]}\n";
    mesh.write("evil-5.yaml", deny);
    // The same names in a policy that says it is of the other namespace's Service.
    let across = policy_of("evil")
        .replace("kind: Service, name: product", "kind: Service, name: product, namespace: shop");
    mesh.write(
        "evil-6.yaml",
        &across.replace("name: product, namespace: evil", "name: across, namespace: evil"),
    );
    others_are_served(&mesh, 1).await;
    for service in ["product", "bank"] {
        for _ in 0..20 {
            let answer = get(mesh.entry("gateway", service), "/").await.unwrap();
            assert_eq!(answer.status, 200, "{answer:?}");
            assert_eq!(answer.workload(), format!("{service}-v1"));
            assert_eq!(answer.header("x-evil"), "", "{answer:?}");
        }
    }
    assert_eq!(
        mesh.app("bank-v1")
            .seen()
            .iter()
            .filter(|seen| seen.headers.contains_key("x-evil"))
            .count(),
        0
    );
}

//! What the tests of this module share: short ways to write configuration and to compare findings.

use std::fmt::Write as _;

use crate::model::Mesh;

use super::analyze;

/// Two Services and a workload behind each, without findings.
pub(crate) const SHOP: &str = "\
apiVersion: v1
kind: Service
metadata: {name: web, namespace: shop}
spec: {selector: {app: web}, ports: [{name: http, port: 80, targetPort: 8080}, {name: tcp-db, port: 5432}]}
---
apiVersion: v1
kind: Service
metadata: {name: web-v2, namespace: shop}
spec: {selector: {app: web-v2}, ports: [{name: http, port: 80, targetPort: http}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web-1, namespace: shop, labels: {app: web}}
spec: {address: 127.0.0.2, ports: [{name: http, port: 8080}, {name: tcp-db, port: 5432}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: web-2, namespace: shop, labels: {app: web-v2}}
spec: {address: 127.0.0.3, ports: [{name: http, port: 8080}]}
";

/// `code field`, line by line, of the findings about one file that stands beside [`SHOP`].
pub(crate) fn beside_shop(text: &str) -> (Mesh, Vec<String>) {
    let (mesh, findings) = analyze(&[("shop.yaml", SHOP), ("test.yaml", text)]);
    let short = |finding: &crate::finding::Finding| format!("{} {}", finding.code, finding.field);
    (mesh, findings.iter().filter(|finding| finding.file == "test.yaml").map(short).collect())
}

/// An object of a kind with a spec that is written in one line or in several indented ones.
pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    let version = match kind {
        "Service" => "v1",
        "HTTPRoute" | "GRPCRoute" => "gateway.networking.k8s.io/v1",
        _ => "weft.dev/v1alpha1",
    };
    let mut text = String::new();
    let head =
        format!("apiVersion: {version}\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}");
    writeln!(text, "{head}\nspec: {spec}\n---").expect("strings take everything");
    text
}

/// A route to Service `web`, port 80, with these rules (a YAML flow sequence).
pub(crate) fn route(name: &str, rules: &str) -> String {
    let parent = "parentRefs: [{group: '', kind: Service, name: web, port: 80}]";
    object("HTTPRoute", name, &format!("{{{parent}, rules: {rules}}}"))
}

//! A mesh for the tests here, written as users write it.

use crate::model::Mesh;
use crate::source::analyze;

/// Product (HTTP) and db (TCP) with sidecars, a gateway and a job that call, an old machine without a sidecar.
const SHOP: &str = "
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: product-v1, namespace: shop, labels: {app: product}}
spec: {address: 127.0.0.2, serviceAccount: product, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: product-v2, namespace: shop, labels: {app: product}}
spec: {address: 127.0.0.3, serviceAccount: product, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: db, namespace: shop, labels: {app: db}}
spec: {address: 127.0.0.4, serviceAccount: db, ports: [{name: tcp-db, port: 5432}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: gateway, namespace: shop, labels: {app: gateway}}
spec: {address: 127.0.0.5, serviceAccount: gateway, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: job, namespace: bank, labels: {app: job}}
spec: {address: 127.0.0.6, serviceAccount: job, ports: [{name: http, port: 8080}]}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {name: old, namespace: shop, labels: {app: old}}
spec: {address: 127.0.0.7, serviceAccount: old, meshed: false, ports: [{name: http, port: 80}]}
";

/// With these policies in force.
pub(crate) fn mesh(policies: &str) -> Mesh {
    let (mesh, findings) = analyze(&[("shop.yaml", SHOP), ("policies.yaml", policies)]);
    let errors =
        findings.iter().filter(|found| found.severity() == crate::finding::Severity::Error);
    assert_eq!(errors.count(), 0, "{findings:?}");
    mesh
}

/// An object in namespace `shop`; `spec` in one line.
pub(crate) fn object(kind: &str, name: &str, spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: {kind}\nmetadata: {{name: {name}, namespace: shop}}\nspec: {spec}\n---\n"
    )
}

/// The gateway may read carts of products.
pub(crate) fn readers() -> String {
    object(
        "AccessPolicy",
        "readers",
        "{selector: {matchLabels: {app: product}}, action: ALLOW, rules: [{name: carts, from: [{serviceAccounts: [gateway]}], to: [{methods: [GET], paths: [{value: /carts}]}]}]}",
    )
}

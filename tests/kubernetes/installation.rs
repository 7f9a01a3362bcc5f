//! `weft check --kubernetes`, `weft wait` and `weft uninstall` before a real API server, on which nothing runs.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::harness::kubernetes::ApiServer;

const MESHED: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop, labels: {weft.dev/inject: enabled, pod-security.kubernetes.io/enforce: baseline}}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: weft-trust-bundle, namespace: shop}
data: {root.pem: x}
---
apiVersion: v1
kind: Secret
metadata: {name: weft-ca, namespace: weft-system}
";

/// Made before the webhook was there.
const PODS: &str = "
apiVersion: v1
kind: Pod
metadata: {name: order, namespace: default, annotations: {weft.dev/injected: 0.0.1}}
spec: {containers: [{name: app, image: app}]}
---
apiVersion: v1
kind: Pod
metadata: {name: late, namespace: default, labels: {weft.dev/inject: enabled}}
spec: {containers: [{name: app, image: app}]}
";

/// Of a kind that the cluster may not have yet.
const ROUTE: &str = "
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: web, namespace: shop}
spec: {parentRefs: [{group: '', kind: Service, name: web}]}
---
apiVersion: v1
kind: ConfigMap
metadata: {name: other}
";

fn manifest() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/install.yaml")
}

/// Result and error of the check whose description begins so.
fn check<'a>(answer: &'a Value, description: &str) -> (&'a str, &'a str) {
    let categories = answer["categories"].as_array().into_iter().flatten();
    let mut checks =
        categories.flat_map(|category| category["checks"].as_array().into_iter().flatten());
    let is_it = |check: &&Value| {
        check["description"].as_str().is_some_and(|text| text.starts_with(description))
    };
    let found = checks.find(is_it).unwrap_or_else(|| panic!("no {description:?} in {answer:#}"));
    (found["result"].as_str().unwrap_or_default(), found["error"].as_str().unwrap_or_default())
}

#[tokio::test]
async fn check_tells_what_a_cluster_lacks() {
    let Some(server) = ApiServer::start("check").await else { return };
    let ask = ["check", "--kubernetes", "-o", "json"];
    let empty = server.weft(&ask).await;
    assert_eq!(empty.code, Some(3), "{empty:?}");
    let empty = empty.json();
    assert_eq!(check(&empty, "the API server answers").0, "success");
    assert_eq!(check(&empty, "Weft is installed").0, "error");
    assert_eq!(check(&empty, "the Gateway API is there").0, "warning");
    assert_eq!(check(&empty, "your account may install it").0, "success");
    // Somebody whom nobody knows here.
    let stranger = tempfile::NamedTempFile::new().unwrap();
    let own = std::fs::read_to_string(server.kubeconfig()).unwrap();
    std::fs::write(stranger.path(), own.replace("token: ", "token: not-")).unwrap();
    let stranger = stranger.path().to_string_lossy().into_owned();
    let refused = server.weft(&["check", "--kubeconfig", &stranger, "-o", "json"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert_eq!(check(&refused.json(), "the API server answers"), ("error", "Unauthorized"));

    server.apply(PODS).await;
    server.apply_file(&manifest()).await;
    server.established().await;
    server.apply(MESHED).await;
    let found = server.weft(&ask).await;
    assert_eq!(found.code, Some(3), "{found:?}");
    let found = found.json();
    for (description, result, error) in [
        ("Weft's own kinds are defined", "success", ""),
        ("the Gateway API is there", "warning", "Service alone"),
        ("the control plane is ready", "error", "0 of 1"),
        ("the webhook trusts", "error", "caBundle is empty"),
        ("namespace shop allows", "error", "baseline"),
        ("the pods of namespace default are meshed", "warning", "1 without a sidecar: late"),
        ("sidecars are of the control plane's version", "warning", "1 of 0.0.1"),
    ] {
        let (is, says) = check(&found, description);
        assert_eq!((is, says.contains(error)), (result, true), "{description}: {says}");
    }

    let nobody = server.weft(&["check", "--context", "nobody"]).await;
    assert_eq!(nobody.code, Some(3), "{nobody:?}");
    assert!(nobody.stdout.contains("kubectl --context nobody config get-contexts"), "{nobody:?}");
    // Somebody who may see nothing is not told that all is well.
    server.kubectl(&["create", "serviceaccount", "reader"]).await;
    let unseen = server.asked_by("default", "reader").await.weft(&ask).await;
    assert_eq!(unseen.code, Some(3), "{unseen:?}");
    let unseen = unseen.json();
    let (result, error) = check(&unseen, "the control plane is ready");
    assert_eq!((result, error.contains("is forbidden")), ("error", true), "{error}");
    // Nobody asked for the cluster: that it is not ready is told, that Weft is not there would be no error.
    let here = server.weft(&["check", "-o", "json"]).await.json();
    assert_eq!(check(&here, "the control plane is ready").0, "error");
}

#[tokio::test]
async fn uninstall_refuses_while_pods_are_meshed_and_then_leaves_nothing() {
    let Some(server) = ApiServer::start("uninstall").await else { return };
    server.apply(PODS).await;
    server.apply_file(&manifest()).await;
    server.established().await;
    server.apply(MESHED).await;
    let refused = server.weft(&["uninstall"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(
        refused.stdout.contains("1 pod in 1 namespace is still meshed: default (1)"),
        "{refused:?}"
    );

    let tried = server.weft(&["uninstall", "--force", "--dry-run"]).await;
    assert_eq!(tried.code, Some(0), "{tried:?}");
    assert!(tried.stdout.contains("would delete ConfigMap shop/weft-trust-bundle"), "{tried:?}");
    server.kubectl(&["get", "namespace", "weft-system"]).await;

    server.kubectl(&["delete", "pod", "order", "--now"]).await;
    let gone = server.weft(&["uninstall", "-o", "json"]).await;
    assert_eq!(gone.code, Some(0), "{gone:?}");
    let gone = gone.json();
    let deleted: Vec<&str> =
        gone["deleted"].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
    assert_eq!(deleted.first(), Some(&"MutatingWebhookConfiguration weft-injector"));
    assert_eq!(deleted.last(), Some(&"Namespace weft-system"));
    assert_eq!(deleted.len(), 19, "{deleted:?}");
    for path in [
        "/apis/apps/v1/namespaces/weft-system/deployments/weft-control-plane",
        "/api/v1/namespaces/weft-system/secrets/weft-ca",
        "/api/v1/namespaces/shop/configmaps/weft-trust-bundle",
        "/apis/rbac.authorization.k8s.io/v1/clusterroles/weft-control-plane",
    ] {
        assert!(server.get(path).await.is_err(), "{path} is still there");
    }
}

#[tokio::test]
async fn wait_takes_a_kind_that_is_not_defined_yet_for_an_object_that_is_not_there_yet() {
    let Some(server) = ApiServer::start("wait").await else { return };
    let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
    std::fs::write(file.path(), ROUTE).unwrap();
    let file = file.path().to_string_lossy().into_owned();
    let found = server.weft(&["wait", "-f", &file, "--timeout", "1s"]).await;
    assert_eq!(found.code, Some(3), "{found:?}");
    assert!(
        found.stdout.contains("HTTPRoute shop/web  the cluster has no such object"),
        "{found:?}"
    );
    assert!(found.stderr.contains("1 object of another kind is passed over"), "{found:?}");
}

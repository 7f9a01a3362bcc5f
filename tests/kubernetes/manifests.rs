//! The manifests in `k8s/` before a real API server: they install in one go and again, the definitions judge
//! objects as the control plane does, the control plane may do what it must and no more, and pods satisfy the
//! strictest level.

mod cases;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::ensure;
use serde_json::{Value, json};

use crate::harness::kubernetes::ApiServer;
use crate::harness::{Program, binary, eventually, run};

use cases::ALL;

/// On a busy machine.
const SOON: Duration = Duration::from_secs(60);
const ACCOUNT: &str = "system:serviceaccount:weft-system:weft-control-plane";

fn k8s(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s").join(name)
}

/// As README has it: without `--force-conflicts`.
async fn install(server: &ApiServer) -> String {
    let path = k8s("install.yaml").to_string_lossy().into_owned();
    let said = server.kubectl(&["apply", "--server-side", "-f", &path]).await;
    server.established().await;
    said
}

const WEBHOOK: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-injector";

#[tokio::test]
async fn it_installs_in_one_go_and_again() {
    let Some(server) = ApiServer::start("install").await else { return };
    let first = install(&server).await;
    assert_eq!(first.lines().count(), 17, "{first}");
    let definitions = server.kubectl(&["get", "crd", "-o", "name"]).await;
    for plural in [
        "accesspolicies",
        "inboundpolicies",
        "meshconfigs",
        "meshworkloads",
        "telemetrypolicies",
        "trafficpolicies",
    ] {
        assert!(definitions.contains(&format!("/{plural}.weft.dev")), "{definitions}");
    }
    // What the control plane fills in is its own, and stays.
    let patch = r#"[{"op":"add","path":"/webhooks/0/clientConfig/caBundle","value":"YQ=="}]"#;
    let webhook = "mutatingwebhookconfiguration/weft-injector";
    let by = "--field-manager=weft-control-plane";
    server.kubectl(&["patch", webhook, "--type=json", by, "-p", patch]).await;
    install(&server).await;
    let found = server.get(WEBHOOK).await.unwrap();
    assert_eq!(found["webhooks"][0]["clientConfig"]["caBundle"], "YQ==");
    // Examples are taken, and shown in columns.
    for name in ["jaeger.yaml", "examples/tracing.yaml", "examples/shop.yaml"] {
        server.apply_file(&k8s(name)).await;
    }
    let shown = server.kubectl(&["get", "weft", "-A"]).await;
    for word in ["STRICT", "PERMISSIVE", "http://jaeger.jaeger.svc:4317", "ACCEPTED", "PROGRAMMED"]
    {
        assert!(shown.contains(word), "{shown}");
    }
}

/// Each object, and whether it must be taken.
fn objects() -> Vec<(Value, bool)> {
    let mut objects = Vec::new();
    for (kind, before, taken, refused) in ALL {
        objects.extend(taken.iter().map(|text| (object(kind, before, text), true)));
        objects.extend(refused.iter().map(|text| (object(kind, before, text), false)));
    }
    objects
}

fn object(kind: &str, before: &str, text: &str) -> Value {
    let spec = serde_saphyr::from_str(&format!("{{{before}{text}}}"));
    let spec: Value = spec.unwrap_or_else(|error| panic!("{text} is not YAML: {error}"));
    let one = kind == "MeshConfig";
    let (namespace, name) = if one { ("weft-system", "default") } else { ("default", "it") };
    json!({ "apiVersion": "weft.dev/v1alpha1", "kind": kind, "spec": spec,
        "metadata": { "name": name, "namespace": namespace } })
}

#[tokio::test]
async fn the_definitions_judge_as_the_readers_do() {
    let Some(server) = ApiServer::start("definitions").await else { return };
    install(&server).await;
    let objects = objects();
    for (object, taken) in &objects {
        let kind = object["kind"].as_str().unwrap().to_ascii_lowercase();
        let plural = kind.strip_suffix('y').map_or(format!("{kind}s"), |stem| format!("{stem}ies"));
        let namespace = object["metadata"]["namespace"].as_str().unwrap();
        let path = format!("/apis/weft.dev/v1alpha1/namespaces/{namespace}/{plural}");
        // A kind is served a moment after it is established.
        eventually("it is served", SOON, async || server.get(&path).await).await;
        let path = format!("{path}?dryRun=All&fieldValidation=Strict");
        let answer = server.post(&path, object).await;
        assert_eq!(answer.is_ok(), *taken, "{object}: {answer:?}");
    }
    // What a rule is limited to is not dropped, whatever it is called: the control plane refuses it then.
    for rule in ["form: [{namespaces: [a]}]", "from: null"] {
        let policy = object("AccessPolicy", "", &format!("action: ALLOW, rules: [{{{rule}}}]"));
        let path = "/apis/weft.dev/v1alpha1/namespaces/default/accesspolicies?dryRun=All";
        let kept = server.post(path, &policy).await.unwrap();
        assert_eq!(kept["spec"], policy["spec"]);
    }
    let found = analyzed(&objects).await;
    for (number, (object, taken)) in objects.iter().enumerate() {
        let file = format!("{number:03}.yaml");
        let says: Vec<&Value> = found.iter().filter(|finding| is_refusal(finding, &file)).collect();
        assert_eq!(says.is_empty(), *taken, "{object}: {says:?}");
    }
}

/// Says `weft analyze` of the object in this file that it is refused?
fn is_refusal(finding: &Value, file: &str) -> bool {
    let is = |code: &str| finding["code"] == code;
    finding["file"].as_str().is_some_and(|path| path.ends_with(file))
        && (is("WEFT0205") || is("WEFT0206"))
}

/// What `weft analyze` says of these, each in a directory of its own: they share names.
async fn analyzed(objects: &[(Value, bool)]) -> Vec<Value> {
    let mut found = Vec::new();
    for (number, (object, _)) in objects.iter().enumerate() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join(format!("{number:03}.yaml")), object.to_string()).unwrap();
        let program = Program {
            name: "weft analyze".to_owned(),
            path: binary("weft"),
            args: vec!["analyze".into(), directory.path().into(), "-o".into(), "json".into()],
            variables: Vec::new(),
            log: PathBuf::new(),
        };
        let answer = run(&program, SOON).await.json();
        found.extend(answer["findings"].as_array().cloned().unwrap_or_default());
    }
    found
}

#[tokio::test]
async fn the_control_plane_may_do_what_it_must_and_no_more() {
    let Some(server) = ApiServer::start("permissions").await else { return };
    install(&server).await;
    let may = async |verb: &str, resource: &str, namespace: &str| {
        // Behind a slash kubectl takes a name.
        let (resource, part) = match resource.strip_suffix("/status") {
            Some(resource) => (resource, "--subresource=status"),
            None => (resource, "--subresource="),
        };
        let mut args = vec!["auth", "can-i", verb, resource, part, "--as", ACCOUNT];
        args.extend(if namespace.is_empty() { vec!["-A"] } else { vec!["-n", namespace] });
        server.try_kubectl(&args).await.stdout.trim() == "yes"
    };
    for (verb, resource, namespace) in [
        ("list", "services", ""),
        ("watch", "endpointslices.discovery.k8s.io", ""),
        ("watch", "trafficpolicies.weft.dev", ""),
        ("watch", "customresourcedefinitions.apiextensions.k8s.io", ""),
        ("patch", "inboundpolicies.weft.dev/status", "shop"),
        ("create", "tokenreviews.authentication.k8s.io", ""),
        ("create", "configmaps", "shop"),
        ("patch", "configmaps/weft-trust-bundle", "shop"),
        ("watch", "configmaps/weft-trust-bundle", ""),
        ("create", "events.events.k8s.io", "shop"),
        ("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/weft-injector", ""),
        ("create", "secrets", "weft-system"),
        ("watch", "secrets/weft-ca", "weft-system"),
        ("update", "secrets/weft-webhook", "weft-system"),
        ("update", "leases.coordination.k8s.io/weft-control-plane", "weft-system"),
    ] {
        // Rights are in force a moment after they are written.
        eventually("it may", SOON, async || {
            ensure!(may(verb, resource, namespace).await, "{verb} {resource} in {namespace:?}");
            Ok(())
        })
        .await;
    }
    for (verb, resource, namespace) in [
        ("get", "secrets", ""),
        ("list", "secrets", "weft-system"),
        ("get", "secrets/other", "weft-system"),
        ("get", "secrets/weft-ca", "shop"),
        ("create", "secrets", "shop"),
        ("delete", "secrets/weft-ca", "weft-system"),
        ("get", "configmaps/other", "shop"),
        ("list", "configmaps", ""),
        ("patch", "configmaps/other", "shop"),
        ("create", "pods", "shop"),
        ("delete", "pods", "shop"),
        ("patch", "pods", "shop"),
        ("patch", "trafficpolicies.weft.dev", "shop"),
        ("patch", "mutatingwebhookconfigurations.admissionregistration.k8s.io/other", ""),
        ("create", "mutatingwebhookconfigurations.admissionregistration.k8s.io", ""),
        ("patch", "customresourcedefinitions.apiextensions.k8s.io", ""),
        ("update", "leases.coordination.k8s.io/other", "weft-system"),
    ] {
        assert!(!may(verb, resource, namespace).await, "{verb} {resource} in {namespace:?}");
    }
}

const STRICT: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: strict, labels: {pod-security.kubernetes.io/enforce: restricted}}
";

/// The pod of each Deployment in a file.
fn pods(name: &str) -> Vec<Value> {
    let text = fs::read_to_string(k8s(name)).expect("it is in the checkout");
    let parse = |document: &str| serde_saphyr::from_str::<Value>(document).expect("it is YAML");
    let objects = text.split("\n---\n").map(parse);
    let deployments = objects.filter(|object| object["kind"] == "Deployment");
    let pod = |object: Value| {
        let mut spec = object["spec"]["template"]["spec"].clone();
        // The account is not there.
        spec.as_object_mut().expect("a pod has a specification").remove("serviceAccountName");
        let metadata = json!({ "generateName": "pod-", "namespace": "strict" });
        json!({ "apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec })
    };
    deployments.map(pod).collect()
}

#[tokio::test]
async fn no_pod_of_ours_asks_for_a_privilege() {
    let Some(server) = ApiServer::start("security").await else { return };
    server.apply(STRICT).await;
    let dry_run = "/api/v1/namespaces/strict/pods?dryRun=All";
    for (name, count) in [("install.yaml", 1), ("jaeger.yaml", 1), ("examples/shop.yaml", 6)] {
        let pods = pods(name);
        assert_eq!(pods.len(), count, "{name}");
        for pod in pods {
            let answer = server.post(dry_run, &pod).await;
            assert!(answer.is_ok(), "{name}: {answer:?}");
        }
    }
    let bare = json!({ "apiVersion": "v1", "kind": "Pod", "metadata": { "name": "bare" },
        "spec": { "containers": [{ "name": "app", "image": "app" }] } });
    eventually("the level is in force", SOON, async || {
        ensure!(server.post(dry_run, &bare).await.is_err(), "it is taken");
        Ok(())
    })
    .await;
}

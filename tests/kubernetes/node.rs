//! The node itself: what the tests of the mesh rest on works without any mesh.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;

use crate::harness::kubernetes::{BUSYBOX, Cluster};
use crate::harness::{http1, request};

/// On a busy machine a pod takes a while.
const DEADLINE: Duration = Duration::from_secs(180);

const SERVER: &str = "
apiVersion: v1
kind: Pod
metadata: {name: server, labels: {app: server}}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: app
    image: BUSYBOX
    command: [sh, -c, 'echo here >/tmp/index.html; exec httpd -f -p 8080 -h /tmp']
    readinessProbe: {httpGet: {path: /, port: 8080}, periodSeconds: 1}
    volumeMounts: [{name: tmp, mountPath: /tmp}]
  volumes: [{name: tmp, emptyDir: {}}]
---
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{port: 80, targetPort: 8080}]}
";

#[tokio::test]
async fn pods_run_and_services_lead_to_them() {
    let Some(cluster) = Cluster::get("pods").await else { return };
    let namespace = cluster.namespace("pods").await;
    namespace.apply(&SERVER.replace("BUSYBOX", BUSYBOX)).await;
    namespace.ready("server").await;
    let pod = cluster.pod(namespace.name(), "server").await;
    let service = cluster.service(namespace.name(), "server").await;
    // From here, as tests ask.
    for to in [SocketAddr::new(pod, 8080), SocketAddr::new(service, 80)] {
        namespace
            .eventually(&format!("{to} answers"), namespace.name(), DEADLINE, async || {
                let answer = http1(to, request(Method::GET, "/", &[], "")).await?;
                ensure!(answer.body == "here\n", "{answer:?}");
                Ok(())
            })
            .await;
    }
    // From a pod, by name and by the Service's address.
    let name = format!("nslookup server.{}.svc.cluster.local", namespace.name());
    let ask = format!("printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc {service} 80");
    namespace
        .eventually("a pod finds and reaches it", namespace.name(), DEADLINE, async || {
            let found = namespace.shell("server", "app", &name).await?;
            ensure!(found.contains(&service.to_string()), "{found}");
            let found = namespace.shell("server", "app", &ask).await?;
            ensure!(found.ends_with("here\n"), "{found}");
            Ok(())
        })
        .await;
}

/// What runs here, and in no pod, is reached from pods: a test's own servers.
#[tokio::test]
async fn pods_reach_what_runs_beside_the_cluster() {
    let Some(cluster) = Cluster::get("beside").await else { return };
    let namespace = cluster.labelled("beside", &[("weft.dev/inject", "disabled")]).await;
    let labels = cluster.get(&format!("/api/v1/namespaces/{}", namespace.name())).await.unwrap();
    assert_eq!(labels["metadata"]["labels"]["weft.dev/inject"], "disabled");
    namespace.apply(&SERVER.replace("BUSYBOX", BUSYBOX)).await;
    namespace.ready("server").await;
    let listener = TcpListener::bind((cluster.host(), 0)).await.unwrap();
    let to = listener.local_addr().unwrap();
    let (host, port) = (to.ip(), to.port());
    let answering = tokio::spawn(async move {
        let (mut stream, from) = listener.accept().await?;
        stream.write_all(b"beside\n").await?;
        anyhow::Ok(from.ip())
    });
    let ask = format!("nc {host} {port} </dev/null");
    let found = namespace.shell("server", "app", &ask).await.unwrap();
    assert_eq!(found, "beside\n");
    let from = answering.await.unwrap().unwrap();
    assert_eq!(from, cluster.pod(namespace.name(), "server").await, "its own address is seen");
}

/// A pod as the injector makes them: rules, a look at them, a native sidecar, then the application.
const INTERCEPTED: &str = "
apiVersion: v1
kind: Pod
metadata: {name: BACKEND}
spec:
  terminationGracePeriodSeconds: 1
  restartPolicy: Never
  initContainers:
  - {name: rules, image: 'weft.dev/weft-init:VERSION', args: [init, --backend, BACKEND], securityContext: &rights {
       runAsUser: 0, runAsNonRoot: false, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
       capabilities: {drop: [ALL], add: [NET_ADMIN]}, seccompProfile: {type: RuntimeDefault}}}
  - {name: check, image: 'weft.dev/weft-init:VERSION', args: [init, --check, --backend, BACKEND], securityContext: *rights}
  - name: sidecar
    image: BUSYBOX
    restartPolicy: Always
    startupProbe: {exec: {command: ['true']}, periodSeconds: 1}
  containers:
  - {name: app, image: BUSYBOX}
";

fn pod(template: &str, backend: &str) -> String {
    let version = env!("CARGO_PKG_VERSION");
    let values = [("BACKEND", backend), ("VERSION", version), ("BUSYBOX", BUSYBOX)];
    values.iter().fold(template.to_owned(), |text, (name, value)| text.replace(name, value))
}

#[tokio::test]
async fn rules_are_made_in_a_pod_before_its_native_sidecar_starts() {
    let Some(cluster) = Cluster::get("rules").await else { return };
    let namespace = cluster.namespace("rules").await;
    for backend in ["nft", "iptables"] {
        namespace.apply(&pod(INTERCEPTED, backend)).await;
    }
    for backend in ["nft", "iptables"] {
        namespace.ready(backend).await;
        // The rules are in force: what the application sends is led to a sidecar that is not there.
        let ask = "nc -w 2 10.255.255.1 80 </dev/null 2>&1; echo $?";
        let found = namespace.shell(backend, "app", ask).await.unwrap();
        assert!(found.contains("refused") && found.ends_with("1\n"), "{backend}: {found}");
    }
}

/// How a container ended: its exit code.
async fn ended(cluster: &Cluster, namespace: &str, pod: &str) -> Result<i64> {
    let found = cluster.get(&format!("/api/v1/namespaces/{namespace}/pods/{pod}")).await?;
    let status = &found["status"]["initContainerStatuses"][0];
    let code = &status["state"]["terminated"]["exitCode"];
    code.as_i64().with_context(|| format!("it has not ended: {status}"))
}

#[tokio::test]
async fn rules_that_are_missing_are_noticed() {
    let Some(cluster) = Cluster::get("missing rules").await else { return };
    let namespace = cluster.namespace("missing-rules").await;
    let whole = pod(INTERCEPTED, "nft");
    let without =
        whole.replace("args: [init, --backend, nft]", "args: [init, --check, --backend, nft]");
    assert_ne!(whole, without);
    namespace.apply(&without).await;
    let code = namespace
        .eventually("the check ends", namespace.name(), DEADLINE, async || {
            ended(cluster, namespace.name(), "nft").await
        })
        .await;
    let said = namespace.logs("nft", "rules").await;
    assert_eq!(code, 1, "{said}");
}

/// Each of Weft's own, with no more rights than it needs.
const IMAGES: &str = "
apiVersion: v1
kind: Pod
metadata: {name: IMAGE}
spec:
  restartPolicy: Never
  containers:
  - {name: app, image: 'weft.dev/IMAGE:VERSION', args: [--version], securityContext: {
       runAsNonRoot: true, runAsUser: 1980, allowPrivilegeEscalation: false, readOnlyRootFilesystem: true,
       capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}}
";

#[tokio::test]
async fn the_images_run_without_rights_on_a_read_only_root() {
    let Some(cluster) = Cluster::get("images").await else { return };
    let namespace = cluster.namespace("images").await;
    let images = ["weft-proxy", "weft-init", "weft-control-plane", "weft"];
    for image in images {
        namespace.apply(&pod(&IMAGES.replace("IMAGE", image), "")).await;
    }
    for image in images {
        let object = format!("pod/{image}");
        let until = "jsonpath={.status.phase}=Succeeded";
        namespace.wait(namespace.name(), &object, until, DEADLINE).await;
        let said = namespace.logs(image, "app").await;
        assert!(said.contains(env!("CARGO_PKG_VERSION")), "{image}: {said}");
    }
}

/// A component that was stopped takes up its work again, and one that ends by itself does without being told. The
/// scheduler, because other tests' pods only wait for it.
#[tokio::test]
async fn components_stop_and_start() {
    let Some(cluster) = Cluster::get("components").await else { return };
    let namespace = cluster.namespace("components").await;
    let starts = || cluster.log("kube-scheduler").matches("Starting Kubernetes Scheduler").count();
    let before = starts();
    cluster.component("kill", "kube-scheduler").await;
    namespace.apply(&SERVER.replace("BUSYBOX", BUSYBOX)).await;
    cluster.component("start", "kube-scheduler").await;
    namespace.ready("server").await;
    let again = starts();
    assert!(again > before);
    cluster.component("crash", "kube-scheduler").await;
    let second = SERVER.replace("name: server", "name: second").replace("BUSYBOX", BUSYBOX);
    namespace.apply(&second).await;
    namespace.ready("second").await;
    assert!(starts() > again);
}

//! Probes of every kind in a STRICT namespace. The kubelet asks in plaintext, and so does this test, as somebody outside
//! the mesh: what it may ask is exactly what the probes ask.

use std::net::{IpAddr, SocketAddr};

use anyhow::Result;
use http::{Method, StatusCode};

use super::{DEADLINE, MESHED, STRICT, ask, images};
use crate::harness::kubernetes::{Cluster, server_of_grpc};
use crate::harness::{get, http1, request};

/// One container for each kind. The third serves gRPC, its health service too. What is asked of the first says itself what
/// it was asked.
const PROBED: &str = "
apiVersion: v1
kind: Pod
metadata: {name: probed}
spec:
  terminationGracePeriodSeconds: 1
  volumes: [{name: www, emptyDir: {}}]
  containers:
  - name: http
    image: 'BUSYBOX'
    command: [sh, -c, 'echo fine >/www/ready; echo fine >/www/live; echo secret >/www/index.html; exec httpd -f -p 8080 -h /www']
    volumeMounts: [{name: www, mountPath: /www}]
    ports: [{name: web, containerPort: 8080}]
    startupProbe: {httpGet: {path: '/ready?at=start', port: 8080}, periodSeconds: 1}
    readinessProbe: {httpGet: {path: /ready, port: web}, periodSeconds: 1}
    livenessProbe: {httpGet: {path: /live, port: web}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 3}
  - name: tcp
    image: 'BUSYBOX'
    command: [nc, -ll, -p, '9000', -e, cat]
    startupProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}
    readinessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1}
    livenessProbe: {tcpSocket: {port: 9000}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 3}
  - name: grpc
    image: 'weft.test/etcd:1'
    args: [--data-dir=/tmp/data, '--listen-client-urls=http://0.0.0.0:2379', '--advertise-client-urls=http://127.0.0.1:2379']
    startupProbe: {grpc: {port: 2379}, periodSeconds: 1, failureThreshold: 60}
    readinessProbe: {grpc: {port: 2379}, periodSeconds: 1}
    livenessProbe: {grpc: {port: 2379}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 3}
  - name: exec
    image: 'BUSYBOX'
    startupProbe: {exec: {command: ['true']}, periodSeconds: 1}
    readinessProbe: {exec: {command: [test, -d, /bin]}, periodSeconds: 1}
    livenessProbe: {exec: {command: ['true']}, periodSeconds: 1, timeoutSeconds: 10, failureThreshold: 3}
---
apiVersion: v1
kind: Pod
metadata: {name: ill}
spec:
  terminationGracePeriodSeconds: 1
  containers:
  - name: http
    image: 'BUSYBOX'
    command: [httpd, -f, -p, '8080', -h, /bin]
    readinessProbe: {httpGet: {path: /nothing, port: 8080}, periodSeconds: 1}
---
apiVersion: v1
kind: Pod
metadata: {name: bare, labels: {weft.dev/inject: disabled}}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: app, image: 'BUSYBOX'}]
";

/// What a plaintext GET is answered; an error where the connection just ends.
async fn asked(pod: IpAddr, path: &str) -> Result<StatusCode> {
    Ok(get(SocketAddr::new(pod, 8080), path).await?.status)
}

#[tokio::test]
async fn probes_of_every_kind_work_in_strict_and_nothing_else_is_let_in() {
    let Some(cluster) = Cluster::installed("probes").await else { return };
    cluster.load(&[server_of_grpc().unwrap()]).await;
    let namespace = cluster.labelled("probes", &MESHED).await;
    namespace.apply(STRICT).await;
    namespace.apply(&images(PROBED)).await;
    for pod in ["probed", "bare"] {
        let pod = format!("pod/{pod}");
        namespace.wait(namespace.name(), &pod, "condition=Ready", DEADLINE).await;
    }
    let pod = namespace.pod(namespace.name(), "probed").await;
    for path in ["/ready", "/live", "/ready?at=start"] {
        assert_eq!(asked(pod, path).await.unwrap(), 200, "{path}");
    }
    for path in ["/", "/index.html", "/ready/", "/ready?at=end", "/live?at=start"] {
        let found = asked(pod, path).await;
        assert!(!found.as_ref().is_ok_and(StatusCode::is_success), "{path}: {found:?}");
    }
    let post = request(Method::POST, "/ready", &[], "");
    let post = http1(SocketAddr::new(pod, 8080), post).await;
    assert!(!post.as_ref().is_ok_and(|answer| answer.status.is_success()), "{post:?}");
    // From a pod without a sidecar it is the same.
    let to = format!("{pod} 8080");
    let fine = namespace.shell("bare", "app", &ask(&to, "/ready", "fine")).await.unwrap();
    assert!(fine.ends_with("fine\n"), "{fine}");
    let refused = namespace.shell("bare", "app", &ask(&to, "/index.html", "secret")).await;
    assert!(refused.is_err(), "{refused:?}");
    // A probe of a connection tells that somebody listens, and no more.
    let echo = format!("(echo secret; sleep 1) | nc -w 3 {pod} 9000; true");
    let found = namespace.shell("bare", "app", &echo).await.unwrap();
    assert_eq!(found, "", "nobody outside is echoed");
    // It is the application that is asked: what is ill is not ready.
    let runs = "jsonpath={.status.containerStatuses[0].started}=true";
    namespace.wait(namespace.name(), "pod/ill", runs, DEADLINE).await;
    let ill = namespace.get(&format!("/api/v1/namespaces/{}/pods/ill", namespace.name())).await;
    let statuses = ill.unwrap()["status"]["containerStatuses"].clone();
    assert_eq!(statuses[0]["ready"], false, "{statuses}");
    // Each liveness probe was asked again and again meanwhile, and has ended nobody.
    let path = format!("/api/v1/namespaces/{}/pods/probed", namespace.name());
    let found = namespace.get(&path).await.unwrap();
    for list in ["containerStatuses", "initContainerStatuses"] {
        for status in found["status"][list].as_array().into_iter().flatten() {
            assert_eq!(status["restartCount"], 0, "{status}");
        }
    }
}

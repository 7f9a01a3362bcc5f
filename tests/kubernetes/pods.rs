//! Pods with sidecars on a real node, as the webhook makes them: what starts, what ends, what is let through, and what
//! becomes of requests while all of it changes.
//!
//! The applications are services of the demo's shop and busybox. Clients of the mesh are the test's own, in the network
//! namespace of a meshed pod: to its sidecar they are its application.

mod access;
mod asked;
mod authz;
mod faults;
mod figures;
mod filter;
mod jobs;
mod probes;
mod refusals;
mod rolling;
mod trust;

use std::fmt::Display;
use std::net::SocketAddr;
use std::time::Duration;

use anyhow::ensure;

use crate::harness::kubernetes::{BUSYBOX, Namespace};
use crate::harness::{Inside, Load, Tally, get, within};

/// Namespaces whose pods get a sidecar.
const MESHED: [(&str, &str); 1] = [("weft.dev/inject", "enabled")];

/// On a busy machine a pod takes a while.
const DEADLINE: Duration = Duration::from_secs(240);

/// Requests a second: what an unoptimised sidecar carries beside other tests, or what the mesh is held to.
const RATE: u32 = if cfg!(debug_assertions) { 50 } else { 200 };

/// What the server is asked for. A POST to it is answered too, by 405.
const PATH: &str = "/users/me";

/// The shop's user service, twice. Nothing in it knows of a mesh; but as it ends as soon as it is told to, and closes what
/// it has kept open, it is told a little later than everybody else. Without that a POST may be on its way just then, and
/// nobody may send one again.
const SERVER: &str = "
apiVersion: v1
kind: Service
metadata: {name: server}
spec: {selector: {app: server}, ports: [{name: http, port: 8080, targetPort: http, appProtocol: http}]}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: server}
spec:
  replicas: 2
  selector: {matchLabels: {app: server}}
  strategy: {rollingUpdate: {maxUnavailable: 0, maxSurge: 1}}
  template:
    metadata: {labels: {app: server}}
    spec:
      automountServiceAccountToken: false
      containers:
      - name: app
        image: 'weft.dev/weft:VERSION'
        args: [demo-service, user, '--listen=0.0.0.0:8080']
        ports: [{name: http, containerPort: 8080}]
        readinessProbe: {httpGet: {path: /health, port: http}, periodSeconds: 1}
        lifecycle: {preStop: {sleep: {seconds: 3}}}
";

/// A pod that does nothing, for whoever calls from it.
const CLIENT: &str = "
apiVersion: v1
kind: Pod
metadata: {name: client}
spec:
  terminationGracePeriodSeconds: 1
  containers: [{name: app, image: 'BUSYBOX'}]
";

/// Mutual TLS only.
const STRICT: &str = "
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {name: strict}
spec: {mtls: STRICT}
";

/// A command of a shell that GETs a path, and succeeds if the answer has this word in it. Not wget: what busybox links to of
/// the C library looks no names up, and ends badly when it is asked to.
fn ask(server: impl Display, path: &str, word: &str) -> String {
    let request = format!("printf \"GET {path} HTTP/1.0\\r\\nHost: server\\r\\n\\r\\n\"");
    // The end of what is asked must not come before the answer.
    format!("({request}; sleep 2) | nc -w 10 {server} | grep {word}")
}

/// With the images of this build.
fn images(manifest: &str) -> String {
    manifest.replace("BUSYBOX", BUSYBOX).replace("VERSION", env!("CARGO_PKG_VERSION"))
}

/// Server and client, both meshed, and where the server is.
async fn scene(namespace: &Namespace) -> SocketAddr {
    namespace.apply(&images(&[SERVER, CLIENT].join("---"))).await;
    namespace.rolled_out(namespace.name(), "deployment/server", DEADLINE).await;
    namespace.ready("client").await;
    let server = SocketAddr::new(namespace.service(namespace.name(), "server").await, 8080);
    served(namespace, server).await;
    server
}

/// Waits until the client is served. That pods are ready their Deployment says; that a Service has them another
/// controller, and where the API server was away just before, that one may hear of new Services a minute later.
async fn served(namespace: &Namespace, to: SocketAddr) {
    let client = inside(namespace, "client").await;
    namespace
        .eventually("the Service has endpoints", namespace.name(), DEADLINE, async || {
            let answer = client.run(get(to, PATH)).await?;
            ensure!(answer.status == 200, "{answer:?}");
            Ok(())
        })
        .await;
}

/// A policy: of all others nobody but who runs as this account may call the server; `what` is what else its rule says.
fn readers(account: &str, what: &str) -> String {
    format!(
        "
apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {{name: readers}}
spec:
  selector: {{matchLabels: {{app: server}}}}
  action: ALLOW
  rules:
  - from: [{{serviceAccounts: [{account}]}}]{what}
"
    )
}

/// A way into a pod.
async fn inside(namespace: &Namespace, pod: &str) -> Inside {
    Inside::of(namespace.pod(namespace.name(), pod).await).expect("the pod runs on this machine")
}

/// A load from the client's pod, through its sidecar.
struct Calls {
    /// Where its connections live.
    inside: Inside,
    load: Option<Load>,
}

impl Calls {
    async fn start(namespace: &Namespace, to: SocketAddr) -> Self {
        let inside = inside(namespace, "client").await;
        let load = inside.run(async move { Load::start_at(to, RATE, PATH) }).await;
        Self { inside, load: Some(load) }
    }

    /// Waits until so many more have ended.
    async fn pass(&mut self, requests: u64) {
        self.load.as_mut().expect("it runs").passes(requests).await;
    }

    /// Waits until it has gone on for so long at least, by its own count.
    async fn go_on(&mut self, time: Duration) {
        for _ in 0..time.as_secs() {
            self.pass(u64::from(RATE)).await;
        }
    }

    /// Ends it; nothing may have failed.
    async fn served(mut self, what: &str) -> Tally {
        let load = self.load.take().expect("it runs");
        let tally = self.inside.run(load.stop());
        let tally = within("the load ends", DEADLINE, tally).await;
        let (count, failures) = (tally.count(), tally.failures());
        eprintln!(
            "{what}: {} of {count} requests failed, p50 {:?}, p99 {:?}",
            failures.len(),
            tally.p50(),
            tally.p99()
        );
        tally.assert_no_failures();
        tally
    }
}

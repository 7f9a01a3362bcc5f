//! What a sidecar and the control plane cost, printed for people. Asserted is nothing but what users are told of size and
//! memory, and that of the programs as they are shipped only. They are measured by:
//!
//! ```sh
//! cargo build --profile dist --bin weft-proxy --bin weft-control-plane --bin weft
//! TEST_PROFILE=dist cargo test --workspace --test mesh -- --ignored --nocapture --test-threads=1 figures
//! ```

mod services;

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use anyhow::ensure;

use super::{CLIENT, DEADLINE, MESHED, images, inside, scene};
use crate::harness::kubernetes::{Cluster, Namespace, sizes};
use crate::harness::{Inside, Usage, as_shipped, get, tool};

/// Pods of each kind that are started, callers whom a route is for, and changes of it.
const PODS: usize = 5;
const CALLERS: usize = 3;
const CHANGES: usize = 20;

/// Bytes of a sidecar's image: users are told less than this.
const IMAGE: u64 = 30_000_000;

#[test]
#[ignore = "figures: tests/run --all"]
fn figures_of_images() {
    for (name, size) in sizes().unwrap() {
        eprintln!("image {name}: {:.1} MB", size as f64 / 1e6);
        assert!(!as_shipped() || name != "weft-proxy" || size < IMAGE, "{size} bytes");
    }
}

#[tokio::test]
#[ignore = "figures: tests/run --all"]
async fn figures_of_starts_and_routes() {
    let Some(cluster) = Cluster::installed("figures of starts and routes").await else { return };
    let (meshed, plain) =
        (cluster.labelled("meshed", &MESHED).await, cluster.namespace("plain").await);
    for (namespace, kind) in [(&plain, "without"), (&meshed, "with")] {
        let mut times = Vec::new();
        for number in 0..PODS {
            times.push(start(namespace, number).await);
        }
        eprintln!("pod ready {kind} a sidecar: median {:?} of {PODS}", percentile(&mut times, 50));
    }
    let server = scene(&meshed).await;
    let routes = Routes::of(cluster, &meshed, server).await;
    routes.measure("").await;
    let usage = control_plane(cluster).await;
    eprintln!("control plane: {} MiB, {:?} of CPU so far", usage.resident / 1024, usage.cpu);
}

/// What is on time of those that are sorted.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

/// What the control plane takes, which has never been ended for taking too much.
async fn control_plane(cluster: &Cluster) -> Usage {
    let label = "app.kubernetes.io%2Fcomponent%3Dcontrol-plane";
    let path = format!("/api/v1/namespaces/weft-system/pods?labelSelector={label}");
    let pods = cluster.get(&path).await.unwrap();
    let status = &pods["items"][0]["status"];
    assert_eq!(status["containerStatuses"][0]["restartCount"], 0, "{status}");
    let address: IpAddr = status["podIP"].as_str().unwrap().parse().unwrap();
    Usage::of(address, "weft-control-plane").unwrap()
}

/// From its making until it is ready, as a pod by itself.
async fn start(namespace: &Namespace, number: usize) -> Duration {
    let name = format!("pod-{number}");
    let started = Instant::now();
    caller(namespace, &name).await;
    let time = started.elapsed();
    let object = format!("pod/{name}");
    namespace.kubectl(&["delete", "-n", namespace.name(), &object, "--now"]).await;
    time
}

/// A client's pod of this name, ready.
async fn caller(namespace: &Namespace, name: &str) {
    namespace.apply(&images(CLIENT).replace("name: client", &format!("name: {name}"))).await;
    namespace.wait(namespace.name(), &format!("pod/{name}"), "condition=Ready", DEADLINE).await;
}

/// A route to a server, and those who call it.
struct Routes<'a> {
    namespace: &'a Namespace,
    server: SocketAddr,
    callers: Vec<Inside>,
}

impl<'a> Routes<'a> {
    /// With callers that are new.
    async fn of(cluster: &Cluster, namespace: &'a Namespace, server: SocketAddr) -> Self {
        cluster.apply_file(&tool("gateway-api.yaml")).await;
        let mut callers = Vec::new();
        for number in 0..CALLERS {
            let name = format!("caller-{number}");
            caller(namespace, &name).await;
            callers.push(inside(namespace, &name).await);
        }
        let routes = Self { namespace, server, callers };
        // The kind is new too, and everybody has called once.
        routes.change(CHANGES).await;
        routes
    }

    /// Changes it often, and says how long it took to arrive.
    async fn measure(&self, with: &str) {
        let (mut whole, mut after) = (Vec::new(), Vec::new());
        for change in 0..CHANGES {
            let (one, rest) = self.change(change).await;
            whole.push(one);
            after.push(rest);
        }
        eprintln!(
            "kubectl apply of a route{with} until all of {CALLERS} callers route by it: p50 {:?}, p99 {:?}; of which \
             after kubectl had ended: p50 {:?}, p99 {:?}",
            percentile(&mut whole, 50),
            percentile(&mut whole, 99),
            percentile(&mut after, 50),
            percentile(&mut after, 99)
        );
    }

    /// From the beginning of `kubectl`, and from its end.
    async fn change(&self, change: usize) -> (Duration, Duration) {
        let route = super::faults::route(change);
        let started = Instant::now();
        self.namespace.apply(&route).await;
        let applied = Instant::now();
        for caller in &self.callers {
            let server = self.server;
            self.namespace
                .eventually("the route is in force", self.namespace.name(), DEADLINE, async || {
                    let answer = caller.run(get(server, super::PATH)).await?;
                    ensure!(answer.header("x-change") == change.to_string(), "not yet");
                    Ok(())
                })
                .await;
        }
        (started.elapsed(), applied.elapsed())
    }
}

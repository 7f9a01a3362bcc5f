//! What a sidecar and the control plane cost, printed for people; the bounds asserted are those that users are told.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{CLIENT, DEADLINE, MESHED, images, inside, scene};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{Usage, get, tool};

/// Pods of each kind, and changes of a route.
const PODS: usize = 5;
const CHANGES: usize = 20;

/// Services of the cluster, of which five are used.
const SERVICES: [usize; 3] = [10, 1_000, 5_000];

/// What is on time of those that are sorted.
fn percentile(times: &mut [Duration], percent: usize) -> Duration {
    times.sort_unstable();
    times[(times.len() * percent / 100).min(times.len() - 1)]
}

async fn address(cluster: &Cluster, namespace: &str, label: &str) -> IpAddr {
    let label = label.replace('=', "%3D");
    let path = format!("/api/v1/namespaces/{namespace}/pods?labelSelector={label}");
    let pods = cluster.get(&path).await.unwrap();
    pods["items"][0]["status"]["podIP"].as_str().unwrap().parse().unwrap()
}

async fn control_plane(cluster: &Cluster) -> Usage {
    let label = "app.kubernetes.io/component=control-plane";
    Usage::of(address(cluster, "weft-system", label).await, "weft-control-plane").unwrap()
}

/// From its making until it is ready, as a pod by itself.
async fn start(namespace: &Namespace, number: usize) -> Duration {
    let name = format!("pod-{number}");
    let pod = images(CLIENT).replace("name: client", &format!("name: {name}"));
    let started = Instant::now();
    namespace.apply(&pod).await;
    let object = format!("pod/{name}");
    namespace.wait(namespace.name(), &object, "condition=Ready", DEADLINE).await;
    let time = started.elapsed();
    namespace.kubectl(&["delete", "-n", namespace.name(), &object, "--now"]).await;
    time
}

#[tokio::test]
#[ignore = "figures: tests/run --all"]
async fn figures_of_starts_and_changes() {
    let Some(cluster) = Cluster::installed("figures").await else { return };
    let (meshed, plain) =
        (cluster.labelled("meshed", &MESHED).await, cluster.namespace("plain").await);
    for (namespace, kind) in [(&plain, "without"), (&meshed, "with")] {
        let mut times = Vec::new();
        for number in 0..PODS {
            times.push(start(namespace, number).await);
        }
        eprintln!("pod ready {kind} a sidecar: median {:?} of {PODS}", percentile(&mut times, 50));
    }
    cluster.apply_file(&tool("gateway-api.yaml")).await;
    let server = scene(&meshed).await;
    let client = inside(&meshed, "client").await;
    let mut times = Vec::new();
    for change in 0..CHANGES {
        let route = super::faults::route(change);
        let started = Instant::now();
        meshed.apply(&route).await;
        meshed
            .eventually("the route is in force", meshed.name(), DEADLINE, async || {
                let answer = client.run(get(server, super::PATH)).await?;
                ensure!(answer.header("x-change") == change.to_string(), "not yet");
                Ok(())
            })
            .await;
        times.push(started.elapsed());
    }
    let (p50, p99) = (percentile(&mut times, 50), percentile(&mut times, 99));
    eprintln!("kubectl apply of a route until the caller routes by it: p50 {p50:?}, p99 {p99:?}");
    let usage = control_plane(cluster).await;
    eprintln!("control plane: {} MiB, {:?} of CPU so far", usage.resident / 1024, usage.cpu);
}

/// So many Services without endpoints, by one file for each thousand.
async fn services(namespace: &Namespace, from: usize, to: usize) {
    let numbers: Vec<usize> = (from..to).collect();
    for part in numbers.chunks(1_000) {
        let service = |number: &usize| {
            format!(
                "---\n{{apiVersion: v1, kind: Service, metadata: {{name: s{number}}}, spec: {{clusterIP: None, ports: [{{name: http, port: 8080, appProtocol: http}}]}}}}\n"
            )
        };
        let file = tempfile::NamedTempFile::with_suffix(".yaml").unwrap();
        std::fs::write(file.path(), part.iter().map(service).collect::<String>()).unwrap();
        let path = file.path().to_string_lossy();
        // Not server-side: that one is slow, one by one.
        namespace.kubectl(&["create", "-n", namespace.name(), "-f", &path]).await;
    }
}

/// What the client's sidecar says of itself by this name.
async fn metric(client: IpAddr, name: &str) -> Result<f64> {
    let metrics = get((client, 15020).into(), "/metrics").await?;
    let metrics = String::from_utf8_lossy(&metrics.body).into_owned();
    let value = metrics.lines().find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
    value.with_context(|| format!("no {name}"))
}

#[tokio::test]
#[ignore = "figures, with 5,000 Services: tests/run --all"]
async fn figures_of_memory_by_services() {
    let Some(cluster) = Cluster::installed("memory").await else { return };
    let namespace = cluster.labelled("memory", &MESHED).await;
    let crowd = cluster.namespace("crowd").await;
    scene(&namespace).await;
    let client = inside(&namespace, "client").await;
    // Five that are used: they lead to the same pods.
    let used: Vec<String> = (0..5).map(|number| format!("used-{number}")).collect();
    for name in &used {
        let service = super::SERVER.split("---").next().unwrap();
        namespace.apply(&service.replace("name: server", &format!("name: {name}"))).await;
    }
    let mut there = 0;
    for count in SERVICES {
        services(&crowd, there, count).await;
        there = count;
        for name in &used {
            let to = (namespace.service(namespace.name(), name).await, 8080).into();
            namespace
                .eventually("a Service is used", namespace.name(), DEADLINE, async || {
                    let answer = client.run(get(to, super::PATH)).await?;
                    ensure!(answer.status == 200, "{answer:?}");
                    Ok(())
                })
                .await;
        }
        settled(cluster).await;
        let pod = namespace.pod(namespace.name(), "client").await;
        let sidecar = metric(pod, "process_resident_memory_bytes").await.unwrap() / 1048576.0;
        let plane = control_plane(cluster).await;
        eprintln!(
            "{count} Services, 5 used: sidecar {sidecar:.1} MiB, control plane {} MiB, {:?} of CPU so far",
            plane.resident / 1024,
            plane.cpu
        );
        // What users are told holds for optimised builds; with debug assertions there is more code in memory.
        assert!(cfg!(debug_assertions) || sidecar <= 20.0, "{sidecar} MiB");
    }
}

/// Waits until the control plane has nothing to do any more.
async fn settled(cluster: &Cluster) {
    cluster
        .eventually("the control plane rests", "weft-system", DEADLINE, async || {
            let used = control_plane(cluster).await.cpu;
            tokio::time::sleep(Duration::from_secs(1)).await;
            let more = control_plane(cluster).await.cpu.saturating_sub(used);
            ensure!(more < Duration::from_millis(50), "{more:?} within a second");
            Ok(())
        })
        .await;
}

//! What thousands of Services cost those who use five of them, and the control plane. The crowd is as the API has it:
//! Services with addresses, and slices of endpoints that the test has written. No machine is behind them, and kube-proxy
//! does not look at them, which would be busy for longer than everybody who is measured.

use std::net::Ipv4Addr;
use std::time::{Duration, Instant};

use anyhow::ensure;
use serde_json::{Value, json};

use super::{Routes, control_plane, inside, scene};
use crate::harness::kubernetes::{Cluster, Namespace};
use crate::harness::{Usage, as_shipped, get};
use crate::kubernetes::pods::{DEADLINE, MESHED, PATH, SERVER};

/// Services of the cluster, of which [`USED`] are used.
const SERVICES: [usize; 3] = [10, 1_000, 5_000];
const USED: usize = 5;

/// Bytes of a sidecar: users are told no more than this.
const SIDECAR: u64 = 20_000_000;

/// What has this label kube-proxy passes over.
const OTHERS: &str = "service.kubernetes.io/service-proxy-name";

#[tokio::test]
#[ignore = "figures, with 5,000 Services: tests/run --all"]
async fn figures_of_thousands_of_services() {
    let Some(cluster) = Cluster::installed("figures of thousands of Services").await else {
        return;
    };
    let namespace = cluster.labelled("used", &MESHED).await;
    let crowd = cluster.namespace("crowd").await;
    let server = scene(&namespace).await;
    let routes = Routes::of(cluster, &namespace, server).await;
    let used = used(&namespace).await;
    let mut there = USED;
    for count in SERVICES {
        let before = control_plane(cluster).await;
        let begun = Instant::now();
        crowd.post_all(services(&crowd, there, count)).await.unwrap();
        let created = begun.elapsed();
        there = count;
        call(&namespace, &used).await;
        settled(cluster).await;
        let pod = namespace.pod(namespace.name(), "client").await;
        let sidecar = Usage::of(pod, "weft-proxy").unwrap();
        let plane = control_plane(cluster).await;
        eprintln!(
            "{count} Services, {USED} used: {}; {}, {:.1?} of CPU since {created:.1?} of creation began",
            memory("sidecar", &sidecar),
            memory("control plane", &plane),
            plane.cpu.saturating_sub(before.cpu)
        );
        assert!(!as_shipped() || sidecar.peak * 1024 <= SIDECAR, "{} KiB", sidecar.peak);
    }
    routes.measure(&format!(" beside {there} Services")).await;
    eprintln!("after that: {}", memory("control plane", &control_plane(cluster).await));
}

fn memory(of: &str, usage: &Usage) -> String {
    let mb = |kib: u64| kib as f64 * 1024.0 / 1e6;
    format!("{of} {:.1} MB (at most {:.1})", mb(usage.resident), mb(usage.peak))
}

/// Those that are used: they lead to the same pods.
async fn used(namespace: &Namespace) -> Vec<String> {
    let service = SERVER.split("---").next().unwrap();
    let names: Vec<String> = (0..USED).map(|number| format!("used-{number}")).collect();
    for name in &names {
        namespace.apply(&service.replace("name: server", &format!("name: {name}"))).await;
    }
    names
}

/// Calls each of them.
async fn call(namespace: &Namespace, used: &[String]) {
    let client = inside(namespace, "client").await;
    for name in used {
        let to = (namespace.service(namespace.name(), name).await, 8080).into();
        namespace
            .eventually("a Service is used", namespace.name(), DEADLINE, async || {
                let answer = client.run(get(to, PATH)).await?;
                ensure!(answer.status == 200, "{answer:?}");
                Ok(())
            })
            .await;
    }
}

/// So many Services with two endpoints each, and where they are created.
fn services(namespace: &Namespace, from: usize, to: usize) -> Vec<(String, Value)> {
    let name = namespace.name();
    let each = |number: usize| {
        let service = format!("s{number}");
        let object = json!({
            "apiVersion": "v1", "kind": "Service",
            "metadata": {"name": service, "labels": {OTHERS: "nobody"}},
            "spec": {"ports": [{"name": "http", "port": 8080, "appProtocol": "http"}]}
        });
        let address = |of: usize| {
            // What is set aside for measuring devices.
            let at =
                u32::from(Ipv4Addr::new(198, 18, 0, 1)) + u32::try_from(2 * number + of).unwrap();
            json!({"addresses": [Ipv4Addr::from(at).to_string()]})
        };
        let slice = json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {"name": service,
                "labels": {"kubernetes.io/service-name": service, OTHERS: "nobody"}},
            "addressType": "IPv4",
            "ports": [{"name": "http", "port": 8080, "protocol": "TCP"}],
            "endpoints": [address(0), address(1)]
        });
        [
            (format!("/api/v1/namespaces/{name}/services"), object),
            (format!("/apis/discovery.k8s.io/v1/namespaces/{name}/endpointslices"), slice),
        ]
    };
    (from..to).flat_map(each).collect()
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

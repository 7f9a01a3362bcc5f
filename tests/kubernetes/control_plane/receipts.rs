//! Receipts of several replicas: the one that writes status counts the proxies of the others, and says when it cannot.

use anyhow::{Context, Result, ensure};
use nix::sys::signal::Signal;
use serde_json::{Value, json};
use weft_certs::Authority;
use weft_proto::names::type_url;

use super::proxy::{Proxy, report};
use super::scene::{Replica, SOON, Scene, id};
use crate::harness::eventually;

const SYSTEM: &str = "/api/v1/namespaces/weft-system/pods";
const SLICES: &str = "/apis/discovery.k8s.io/v1/namespaces/weft-system/endpointslices";
const PATH: &str = "/apis/weft.dev/v1alpha1/namespaces/shop/inboundpolicies/order";

fn policy(mtls: &str) -> String {
    format!(
        "
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {{name: order, namespace: shop}}
spec: {{selector: {{matchLabels: {{app: order}}}}, mtls: {mtls}}}
"
    )
}

/// What kubelet and controllers would say of these replicas. A slice may not name an address of this host, but the pod
/// that it names may have one.
pub(super) async fn list(scene: &Scene, replicas: &[(&str, &Replica)]) {
    let mut endpoints = Vec::new();
    for (name, replica) in replicas {
        // The namespace takes nothing less restricted.
        let context =
            json!({ "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] } });
        let container = json!({ "name": "control-plane", "image": "control-plane", "securityContext": context });
        let own = json!({ "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" } });
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod", "metadata": { "name": name },
            "spec": { "serviceAccountName": "weft-control-plane", "containers": [container],
                      "securityContext": own },
        });
        scene.server.post(SYSTEM, &pod).await.expect("it is taken");
        let address = replica.address().ip();
        let status = json!({ "phase": "Running", "podIP": address, "podIPs": [{ "ip": address }] });
        let path = format!("{SYSTEM}/{name}/status");
        scene.server.merge(&path, &json!({ "status": status })).await.expect("the pod is there");
        endpoints.push(json!({
            "addresses": [format!("10.2.0.{}", endpoints.len() + 1)],
            "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "namespace": "weft-system", "name": name },
        }));
    }
    let service = json!({ "kubernetes.io/service-name": "weft-control-plane" });
    let slice = json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "addressType": "IPv4",
        "metadata": { "name": "weft-control-plane-1", "labels": service },
        "ports": [{ "name": "grpc", "port": 15010, "protocol": "TCP" }],
        "endpoints": endpoints,
    });
    scene.server.post(SLICES, &slice).await.expect("it is taken");
}

/// Waits until the newest generation's receipt is this one: status, and a part of the message.
async fn says(scene: &Scene, status: &str, part: &str) {
    eventually(&format!("{status}: {part}"), SOON, async || {
        let found = scene.server.get(PATH).await?;
        let conditions = found["status"]["conditions"].as_array().context("no conditions")?;
        let is = |one: &&Value| one["type"] == "weft.dev/Programmed";
        let one = conditions.iter().find(is).with_context(|| format!("{conditions:?}"))?;
        ensure!(one["observedGeneration"] == found["metadata"]["generation"], "{one}");
        let message = one["message"].as_str().unwrap_or_default();
        ensure!(one["status"] == status && message.contains(part), "{one}");
        Ok(())
    })
    .await;
}

/// Takes in what comes until the proxy has heard so often of its own listener.
async fn hears(proxy: &mut Proxy, listener: &str, times: usize) {
    proxy
        .until(&format!("{listener} for the {times}. time"), |proxy| -> Result<()> {
            let told = proxy.told.iter().filter(|name| *name == listener).count();
            ensure!(told >= times, "{told} times");
            Ok(())
        })
        .await;
}

/// The sidecar of order-1 has its stream with `one`, and its reports go to `two`: each lists it with what it knows.
async fn reports_to_another(one: &Replica, two: &Replica, authority: &Authority) {
    let _reporting = report(two, authority, ("order-1", "order")).await.unwrap();
    for (replica, is_connected) in [(one, true), (two, false)] {
        let proxies = replica.admin().get("/v1/proxies").await.unwrap();
        let mut all = proxies.as_array().into_iter().flatten();
        let proxy = all.find(|proxy| proxy["workload"] == "order-1.shop");
        let proxy = proxy.unwrap_or_else(|| panic!("{proxies}"));
        assert_eq!(proxy["identity"], *id("order").as_str(), "{proxies}");
        assert_eq!(proxy["connected"], is_connected, "{proxies}");
        for said in ["reported", "leaf_not_after"] {
            assert_eq!(proxy[said].is_string(), !is_connected, "{said}: {proxies}");
        }
    }
    let lookup = json!({ "from": "order-1.shop", "to": "order-2.shop" });
    for (replica, is_connected) in [(one, true), (two, false)] {
        let found = replica.admin().post("/v1/requests/lookup", &lookup).await.unwrap();
        let sidecar = &found["source"][0]["sidecar"];
        assert_eq!(sidecar["connected"], is_connected, "{found}");
        assert_eq!(sidecar["reported"] == 0, is_connected, "{found}");
    }
}

#[tokio::test]
async fn proxies_of_all_replicas_are_counted() {
    let Some(scene) = Scene::start("receipts").await else { return };
    let (one, two) = (scene.replica("one").await, scene.replica("two").await);
    list(&scene, &[("one", &one), ("two", &two)]).await;
    let mut proxies = Vec::new();
    let authority = scene.authority().await;
    for (number, replica) in [(1, &one), (2, &two)] {
        let pod = format!("order-{number}");
        scene.running(&pod, "order", &format!("10.1.0.{number}")).await;
        // Both see the replicas and all pods so far.
        for replica in [&one, &two] {
            replica.has("MeshWorkload", number + 2).await;
        }
        let listener = format!("inbound/shop/{pod}");
        let who = (pod.as_str(), "order");
        let names = ["order.shop:80"];
        // A pod that a replica has seen is told to proxies a little later.
        let connect = async || {
            let connected = Proxy::connect(replica, &authority, who, &names, Default::default());
            Box::pin(connected).await?.let_in().await
        };
        let mut proxy = eventually("it is let in", SOON, connect).await;
        proxy.subscribe(type_url::LISTENER, &[&listener]).await;
        hears(&mut proxy, &listener, 1).await;
        proxies.push((proxy, listener));
    }
    let [(first, at_first), (second, at_second)] = &mut proxies[..] else { unreachable!() };
    reports_to_another(&one, &two, &authority).await;

    // Whichever of the two leads: only one of the proxies is its own.
    scene.server.apply(&policy("STRICT")).await;
    hears(first, at_first, 2).await;
    says(&scene, "False", "1 of 2 proxies run generation 1; waiting for order-2.shop").await;
    hears(second, at_second, 2).await;
    says(&scene, "True", "2 of 2 proxies run generation 1").await;

    // The one that does not lead hangs: nobody knows what its proxies run.
    let leads = one.process().log().contains("\"leads\":true");
    let (other, name) = if leads { (&two, "two") } else { (&one, "one") };
    let (proxy, listener, other_proxy, other_listener) = match leads {
        true => (first, at_first, second, at_second),
        false => (second, at_second, first, at_first),
    };
    other.process().signal(Signal::SIGSTOP);
    scene.server.apply(&policy("PERMISSIVE")).await;
    hears(proxy, listener, 3).await;
    let silent = format!("1 of 1 proxy runs generation 2; replica {name} did not answer");
    says(&scene, "Unknown", &silent).await;
    other.process().signal(Signal::SIGCONT);
    hears(other_proxy, other_listener, 3).await;
    says(&scene, "True", "2 of 2 proxies run generation 2").await;
    scene.assert_nothing_was_forbidden(&[&one, &two]);
}

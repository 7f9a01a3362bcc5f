//! The admission webhook before a real kube-apiserver: what pods it makes of pods, and how the two come to believe each
//! other. The webhook runs in this process, as many replicas as a test wants, each as the service account that it has in
//! a cluster.

mod scene;

use std::time::{Duration, SystemTime};

use anyhow::{Context, ensure};
use serde_json::{Value, json};
use weft_control_plane::injection::{Injector, Settings, inject_document};

use self::scene::{DAY, Scene};
use crate::harness::eventually;

const DEADLINE: Duration = Duration::from_secs(30);

fn pod(name: &str, change: &Value) -> Value {
    let mut pod = json!({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        // The plugin that would say it wants controllers, and this API server has none.
        "spec": {"serviceAccountName": "default", "containers": [{"name": "app", "image": "shop"}]},
    });
    merge(&mut pod, change);
    pod
}

fn merge(into: &mut Value, change: &Value) {
    match (into, change) {
        (Value::Object(into), Value::Object(change)) => {
            for (key, value) in change {
                merge(into.entry(key.clone()).or_insert(Value::Null), value);
            }
        }
        (into, change) => *into = change.clone(),
    }
}

fn init_containers(pod: &Value) -> Vec<&str> {
    let containers = pod["spec"]["initContainers"].as_array();
    containers.into_iter().flatten().filter_map(|container| container["name"].as_str()).collect()
}

#[tokio::test]
async fn pods_that_are_labelled_get_a_sidecar_and_their_namespace_the_roots_first() {
    let Some(scene) = Scene::start("pods get a sidecar").await else { return };
    let replica = scene.replica().await;
    let dry = scene.create("meshed", "?dryRun=All", &pod("dry", &json!({}))).await.unwrap();
    assert_eq!(init_containers(&dry), ["weft-init", "weft-proxy"]);
    assert!(scene.bundle("meshed").await.is_err(), "a dry run changes nothing");

    let own = json!({"spec": {"initContainers": [{"name": "mine", "image": "m"}]}});
    let made = scene.create("meshed", "", &pod("web", &own)).await.unwrap();
    assert_eq!(init_containers(&made), ["weft-init", "weft-proxy", "mine"]);
    assert_eq!(made["spec"]["initContainers"][1]["restartPolicy"], "Always");
    assert_eq!(made["metadata"]["annotations"]["weft.dev/injected-by"], "webhook");
    assert_eq!(scene.bundle("meshed").await.unwrap(), "first root");

    let labelled = json!({"metadata": {"labels": {"weft.dev/inject": "enabled"}}});
    let labelled = scene.create("plain", "", &pod("web", &labelled)).await.unwrap();
    assert_eq!(init_containers(&labelled), ["weft-init", "weft-proxy"]);
    let plain = scene.create("plain", "", &pod("other", &json!({}))).await.unwrap();
    assert!(init_containers(&plain).is_empty());
    let out = json!({"metadata": {"labels": {"weft.dev/inject": "disabled"}}});
    let out = scene.create("meshed", "", &pod("out", &out)).await.unwrap();
    assert!(init_containers(&out).is_empty());
    assert_eq!(replica.numbers().injected, 3);

    // Without the webhook nothing of the mesh is made, and everything else is.
    drop(replica);
    let late = pod("late", &json!({}));
    let refused = eventually("nobody is called", DEADLINE, async || {
        let made = scene.create("meshed", "?dryRun=All", &late).await;
        made.err().context("it was made")
    })
    .await;
    assert!(format!("{refused:#}").contains("failed calling webhook"), "{refused:#}");
    scene.create("meshed", "", &late).await.unwrap_err();
    scene.create("plain", "", &pod("late", &json!({}))).await.unwrap();
}

#[tokio::test]
async fn what_is_refused_or_skipped_is_said_to_whom_it_concerns() {
    let Some(scene) = Scene::start("refused and skipped").await else { return };
    let replica = scene.replica().await;
    let bad = json!({"metadata": {"annotations": {"weft.dev/skip-inbound-ports": "http"}}});
    let refused = scene.create("meshed", "", &pod("bad", &bad)).await.unwrap_err();
    let expected = "metadata.annotations[weft.dev/skip-inbound-ports]: \"http\" is neither a port (1 to 65535) nor a range \
                    of ports; write it like \"22,9000-9100\", or remove it";
    assert!(format!("{refused:#}").contains(expected), "{refused:#}");
    let word = json!({"metadata": {"labels": {"weft.dev/inject": "true"}}});
    // Wherever it is: that it gets no sidecar must not go unnoticed.
    for namespace in ["meshed", "plain"] {
        let refused = scene.create(namespace, "", &pod("word", &word)).await.unwrap_err();
        assert!(format!("{refused:#}").contains("says neither yes nor no"), "{refused:#}");
    }

    let typo = json!({"metadata": {"annotations": {"weft.dev/acces-log": "all"}}});
    let said = scene.kubectl_create("meshed", &pod("typo", &typo)).await;
    assert!(said.contains("Warning: metadata.annotations[weft.dev/acces-log]"), "{said}");
    assert!(said.contains("did you mean weft.dev/access-log?"), "{said}");

    let owner = json!({"apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "web-1", "uid": "1b2c", "controller": true});
    let host = json!({"metadata": {"ownerReferences": [owner]}, "spec": {"hostNetwork": true}});
    let said = scene.kubectl_create("meshed", &pod("host", &host)).await;
    assert!(said.contains("Warning: no Weft sidecar: hostNetwork"), "{said}");
    let event = eventually("an Event on the owner", DEADLINE, async || {
        let events = scene.get("/apis/events.k8s.io/v1/namespaces/meshed/events").await?;
        Ok(events["items"].get(0).context("there is none")?.clone())
    })
    .await;
    assert_eq!(event["reason"], "WeftInjectionSkipped");
    assert_eq!(event["regarding"]["name"], "web-1");
    assert_eq!(event["note"], "pods get no Weft sidecar: hostNetwork");

    // What weft inject has made is not made again, and its namespace gets the roots like any other.
    let settings = Settings::from_registry("weft.dev", Injector::CommandLine);
    let (before, _) = inject_document(pod("filtered", &json!({})), &settings);
    let said = scene.kubectl_create("plain", &before).await;
    assert!(said.contains("Warning: already injected, by Weft"), "{said}");
    let made = scene.get("/api/v1/namespaces/plain/pods/filtered").await.unwrap();
    assert_eq!(init_containers(&made), ["weft-init", "weft-proxy"]);
    assert_eq!(scene.bundle("plain").await.unwrap(), "first root");
    let numbers = replica.numbers();
    assert_eq!((numbers.denied, numbers.skipped, numbers.injected), (3, 2, 1));
    assert_eq!((numbers.warnings, numbers.failed, numbers.events_dropped), (3, 0, 0));
}

#[tokio::test]
async fn replicas_that_start_together_share_one_certificate() {
    let Some(scene) = Scene::start("replicas share").await else { return };
    let (first, second, third) = tokio::join!(scene.spawn(), scene.spawn(), scene.spawn());
    scene.configure(&first).await;
    for replica in [&first, &second, &third] {
        replica.is_ready().await;
    }
    let secret = scene.secret().await.unwrap();
    assert_eq!(secret["type"], "kubernetes.io/tls");
    let leaves = [first.leaf().await, second.leaf().await, third.leaf().await];
    assert!(leaves.windows(2).all(|pair| pair[0] == pair[1]), "all show the one of the Secret");
    is_believed(&scene, &secret).await;

    // Somebody applies the manifest again, and takes the caBundle out with it.
    scene.configure(&first).await;
    is_believed(&scene, &secret).await;
    let after = scene.secret().await.unwrap();
    assert_eq!(
        after["metadata"]["resourceVersion"], secret["metadata"]["resourceVersion"],
        "written once"
    );

    scene.kubectl(&["delete", "secret", "-n", "weft-system", "weft-webhook"]).await;
    eventually(
        "there is another certificate, and the API server believes it",
        DEADLINE,
        async || {
            let (old, new) = (&leaves[0], first.leaf().await);
            ensure!(new != *old, "it is the old one");
            scene.create("meshed", "?dryRun=All", &pod("web", &json!({}))).await
        },
    )
    .await;
}

/// Waits until the API server believes the CA of this Secret.
async fn is_believed(scene: &Scene, secret: &Value) {
    eventually("the caBundle is there", DEADLINE, async || {
        let bundles = scene.bundles().await?;
        let is_ours = |bundle: &Value| *bundle == secret["data"]["ca.crt"];
        ensure!(bundles.len() == 2 && bundles.iter().all(is_ours), "{bundles:?}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_certificate_in_the_last_third_of_its_life_is_replaced_and_no_pod_fails() {
    let Some(scene) = Scene::start("rotation").await else { return };
    // The API server has a clock of its own: what is made now must be valid now.
    scene.set_clock(SystemTime::now() - 250 * DAY);
    let (mut first, second) = (scene.replica().await, scene.replica().await);
    let (old, secret) = (first.leaf().await, scene.secret().await.unwrap());
    scene.configure(&first).await;
    scene.is_called(&mut first).await;
    scene.set_clock(SystemTime::now());
    // They look at the clock now and then, and with every event; so both find at once that it is time.
    scene.kubectl(&["annotate", "secret", "-n", "weft-system", "weft-webhook", "a=b"]).await;
    let mut made = 0;
    eventually("both show a new certificate", 4 * DEADLINE, async || {
        // Order: the pod first, so that one is made at every stage.
        let injected = scene.create("meshed", "?dryRun=All", &pod("web", &json!({}))).await;
        let injected = injected.unwrap_or_else(|error| panic!("after {made} pods: {error:#}"));
        assert_eq!(init_containers(&injected), ["weft-init", "weft-proxy"]);
        made += 1;
        ensure!(first.leaf().await != old && second.leaf().await != old, "one shows the old one");
        Ok(())
    })
    .await;
    assert_eq!(first.leaf().await, second.leaf().await);
    let renewed = scene.secret().await.unwrap();
    let bundle = |secret: &Value| scene::decoded(&secret["data"]["ca.crt"]);
    assert!(bundle(&renewed).ends_with(&bundle(&secret)), "the old CA is believed for a while");
    is_believed(&scene, &renewed).await;
    assert!(made > 3, "{made} pods");
}

#[tokio::test]
async fn namespaces_get_new_roots_from_the_leader() {
    let Some(scene) = Scene::start("new roots").await else { return };
    let replica = scene.replica().await;
    for namespace in ["meshed", "other"] {
        scene.create(namespace, "", &pod("web", &json!({}))).await.unwrap();
    }
    // What somebody else keeps there stays.
    let patch = r#"{"data": {"mine": "kept"}}"#;
    scene.kubectl(&["patch", "configmap", "-n", "other", "weft-trust-bundle", "-p", patch]).await;
    scene.rotate_roots("second root");
    for namespace in ["meshed", "other"] {
        eventually("it has the new root", DEADLINE, async || {
            let found = scene.bundle(namespace).await?;
            ensure!(found == "second root", "{found}");
            Ok(())
        })
        .await;
    }
    let map = scene.get("/api/v1/namespaces/other/configmaps/weft-trust-bundle").await.unwrap();
    assert_eq!(map["data"]["mine"], "kept");
    // A root that somebody takes out comes back; a ConfigMap that is gone does with the next pod.
    let patch = r#"{"data": {"root.pem": "forged"}}"#;
    scene.kubectl(&["patch", "configmap", "-n", "other", "weft-trust-bundle", "-p", patch]).await;
    scene.kubectl(&["delete", "configmap", "-n", "meshed", "weft-trust-bundle"]).await;
    eventually("it is as it was", DEADLINE, async || {
        let found = scene.bundle("other").await?;
        ensure!(found == "second root", "{found}");
        Ok(())
    })
    .await;
    let mut count = 0;
    eventually("it is made for the next pod", DEADLINE, async || {
        count += 1;
        let name = format!("web-{count}");
        scene.create("meshed", "", &pod(&name, &json!({}))).await?;
        scene.bundle("meshed").await
    })
    .await;
    assert_eq!(replica.numbers().bundles_failed, 0);
}

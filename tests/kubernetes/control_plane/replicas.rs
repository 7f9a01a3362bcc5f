//! Replicas: they share what they keep in the API server, and one of them writes status.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::injection::{WEBHOOK_SECRET, call};
use super::proxy::issue;
use super::scene::{AUDIENCE, Replica, SOON, Scene, id, text};
use crate::harness::eventually;

const LEASE: &str = "/apis/coordination.k8s.io/v1/namespaces/weft-system/leases/weft-control-plane";
const CONFIGURATION: &str =
    "/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations/weft-injector";

const POLICY: &str = "
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {name: NAME, namespace: shop}
spec: {selector: {matchLabels: {app: NAME}}, mtls: STRICT}
";

/// The certificate that a replica shows to the API server, which believes only `ca`.
async fn shown(replica: &Replica, ca: &str) -> Result<Vec<u8>> {
    let stream = call(replica, ca).await?;
    let chain = stream.get_ref().1.peer_certificates().context("it shows one")?;
    Ok(chain.first().context("it shows one")?.to_vec())
}

async fn holder(scene: &Scene) -> Result<String> {
    let lease = scene.server.get(LEASE).await?;
    let holder = lease["spec"]["holderIdentity"].as_str().unwrap_or_default();
    ensure!(!holder.is_empty(), "nobody holds it");
    Ok(holder.to_owned())
}

/// Applies a policy, and waits for what the leader says of it.
async fn accepted(scene: &Scene, name: &str) {
    scene.server.apply(&POLICY.replace("NAME", name)).await;
    let path = format!("/apis/weft.dev/v1alpha1/namespaces/shop/inboundpolicies/{name}");
    eventually(&format!("policy {name} is accepted"), SOON, async || {
        let found = scene.server.get(&path).await?;
        let conditions = found["status"]["conditions"].as_array().context("no conditions")?;
        let is = |one: &&serde_json::Value| one["type"] == "Accepted" && one["status"] == "True";
        let one = conditions.iter().find(is).with_context(|| format!("{conditions:?}"))?;
        ensure!(one["observedGeneration"] == found["metadata"]["generation"], "{one}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn two_that_start_at_once_share_everything_and_one_leads() {
    let Some(scene) = Scene::start("replicas").await else { return };
    let (one, two) = (scene.spawn("one"), scene.spawn("two"));
    tokio::join!(one.ready(), two.ready());

    // One CA: what one has signed the other takes, and both hand out the same roots.
    let authority = scene.authority().await;
    let uid = scene.running("order-1", "order", "10.1.0.5").await;
    let token = super::identity::token(&scene, "order", ("order-1", &uid), AUDIENCE).await;
    let (leaf, roots) = issue(&one, &authority, &id("order"), (Some(&token), None)).await.unwrap();
    two.has("MeshWorkload", 1).await;
    let (_, same) = issue(&two, &authority, &id("order"), (None, Some(&leaf))).await.unwrap();
    assert_eq!(roots, same);

    // One webhook certificate, which the API server believes.
    let secret = scene.server.get(WEBHOOK_SECRET).await.unwrap();
    let ca = text(&secret, "ca.crt");
    let configuration = scene.server.get(CONFIGURATION).await.unwrap();
    for webhook in configuration["webhooks"].as_array().unwrap() {
        assert_eq!(webhook["clientConfig"]["caBundle"], secret["data"]["ca.crt"], "{webhook}");
    }
    assert_eq!(shown(&one, &ca).await.unwrap(), shown(&two, &ca).await.unwrap());

    // One leads.
    let leader = eventually("one leads", SOON, async || holder(&scene).await).await;
    accepted(&scene, "first").await;
    let (leading, other) = if leader == "one" { (&one, &two) } else { (&two, &one) };
    assert!(!other.process().log().contains("\"leads\":true"), "{}", other.process().quote());

    // It is killed: nobody lets go of the Lease for it.
    leading.process().kill();
    eventually("the other leads", Duration::from_secs(40), async || {
        let holder = holder(&scene).await?;
        ensure!(holder != leader, "{holder}");
        Ok(())
    })
    .await;
    accepted(&scene, "second").await;
    scene.assert_nothing_was_forbidden(&[&one, &two]);
}

/// A Secret that cannot be used is somebody's last copy of something: it is left alone.
#[tokio::test]
async fn a_damaged_ca_is_said_and_not_written_over() {
    let Some(scene) = Scene::start("damaged").await else { return };
    scene.replica("one").await.process().terminate(SOON).await;
    let path = "/api/v1/namespaces/weft-system/secrets/weft-ca";
    let patch = serde_json::json!({ "data": { "authority.pem": "YWJj" } });
    let damaged = scene.server.merge(path, &patch).await.unwrap();
    let two = scene.spawn("two");
    let status = two.process().ended(SOON).await;
    assert_eq!(status.code(), Some(1));
    let log = two.process().log();
    assert!(log.contains("weft-system/weft-ca cannot be used"), "{log}");
    let found = scene.server.get(path).await.unwrap();
    assert_eq!(found["data"], damaged["data"]);
}

/// In the middle of the day a new CA would leave every sidecar with a certificate that the others do not believe.
#[tokio::test]
async fn a_ca_that_was_deleted_goes_on_and_is_said_and_only_a_start_makes_another() {
    let Some(scene) = Scene::start("deleted").await else { return };
    let one = scene.replica("one").await;
    one.process().logged(&["made a CA"]).await;
    let authority = scene.authority().await;
    let path = "/api/v1/namespaces/weft-system/secrets/weft-ca";
    let kept = scene.server.get(path).await.unwrap();
    scene.server.kubectl(&["-n", "weft-system", "delete", "secret", "weft-ca"]).await;
    eventually("it is said", SOON, async || {
        ensure!(one.process().log().contains("weft-system/weft-ca is gone"), "not a word");
        Ok(())
    })
    .await;
    assert!(scene.server.get(path).await.is_err(), "nobody has made another");
    let uid = scene.running("order-1", "order", "10.1.0.5").await;
    let token = super::identity::token(&scene, "order", ("order-1", &uid), AUDIENCE).await;
    issue(&one, &authority, &id("order"), (Some(&token), None)).await.expect("it goes on");

    // Put back, it is as if nothing had been.
    let copy = serde_json::json!({ "apiVersion": "v1", "kind": "Secret", "data": kept["data"],
        "metadata": { "name": "weft-ca" } });
    scene.server.post("/api/v1/namespaces/weft-system/secrets", &copy).await.unwrap();
    let two = scene.replica("two").await;
    issue(&two, &authority, &id("order"), (Some(&token), None)).await.expect("it is the same CA");
    assert!(!two.process().log().contains("made a CA"), "{}", two.process().quote());
    scene.assert_nothing_was_forbidden(&[&one, &two]);
}

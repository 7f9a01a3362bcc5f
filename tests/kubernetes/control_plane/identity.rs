//! Who gets a certificate: a pod, by a token that the API server vouches for. Everything else is refused with the
//! reason, and counted.

use anyhow::ensure;
use serde_json::json;
use tonic::{Code, Status};
use weft_certs::{Authority, Leaf, SpiffeId};

use super::proxy::{Proxy, issue};
use super::scene::{AUDIENCE, Replica, SOON, Scene, id, pod_path};
use crate::harness::eventually;

/// A token of an account for an audience, as the kubelet asks for one: bound to this pod with this uid.
pub(super) async fn token(
    scene: &Scene,
    account: &str,
    (pod, uid): (&str, &str),
    audience: &str,
) -> String {
    let path = format!("/api/v1/namespaces/shop/serviceaccounts/{account}/token");
    let asked = json!({ "apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
        "spec": { "audiences": [audience], "expirationSeconds": 3600,
            "boundObjectRef": { "apiVersion": "v1", "kind": "Pod", "name": pod, "uid": uid } } });
    let answer = scene.server.post(&path, &asked).await.expect("account and pod are there");
    answer["status"]["token"].as_str().expect("an answer holds a token").to_owned()
}

/// A control plane, and what it has counted.
struct Desk<'a> {
    scene: &'a Scene,
    replica: Replica,
    authority: Authority,
    refused: f64,
}

impl Desk<'_> {
    async fn ask(&self, who: &SpiffeId, token: &str) -> Result<Leaf, Status> {
        let asked = issue(&self.replica, &self.authority, who, (Some(token), None)).await;
        asked.map(|(leaf, _)| leaf)
    }

    /// Waits until so many have ended so.
    async fn counts(&self, result: &str, times: f64) {
        let name = "weft_control_plane_certificate_requests_total";
        let label = format!("result=\"{result}\"");
        eventually(&format!("{result} {times} times"), SOON, async || {
            let counted = self.replica.metric(name, &label).await?;
            ensure!((counted - times).abs() < 0.5, "{counted}");
            Ok(())
        })
        .await;
    }

    /// It is refused for one of these reasons, and counted as that.
    async fn refuses(&mut self, who: &SpiffeId, token: &str, code: Code, reasons: &[&str]) {
        let status = self.ask(who, token).await.expect_err("it must be refused");
        assert_eq!(status.code(), code, "{status}");
        let says = |reason: &&str| status.message().contains(*reason);
        assert!(reasons.iter().any(says), "{reasons:?}: {status}");
        self.refused += 1.0;
        self.counts("refused", self.refused).await;
    }

    async fn bound(&self, pod: &str, uid: &str) -> String {
        token(self.scene, "order", (pod, uid), AUDIENCE).await
    }
}

#[tokio::test]
async fn a_pod_gets_the_certificate_of_its_account_and_nobody_else_does() {
    let Some(scene) = Scene::start("identity").await else { return };
    let replica = scene.replica("one").await;
    let authority = scene.authority().await;
    let mut desk = Desk { scene: &scene, replica, authority, refused: 0.0 };
    let order = id("order");
    let uid = scene.running("order-1", "order", "10.1.0.5").await;
    let good = desk.bound("order-1", &uid).await;
    let leaf = desk.ask(&order, &good).await.unwrap();
    assert_eq!(leaf.id().as_str(), "spiffe://cluster.local/ns/shop/sa/order");

    let web = id("web");
    desk.refuses(&web, &good, Code::PermissionDenied, &["sa/web"]).await;
    desk.refuses(&order, "invented", Code::Unauthenticated, &["does not accept the token"]).await;
    let other = token(&scene, "order", ("order-1", &uid), "https://kubernetes.default.svc").await;
    desk.refuses(&order, &other, Code::Unauthenticated, &["audience"]).await;
    // Anybody who may ask for tokens can have one of no pod.
    let loose = scene.server.token("shop", "order", &[AUDIENCE]).await;
    let reason = "system:serviceaccount:shop:order, not of a service account in a pod";
    desk.refuses(&order, &loose, Code::Unauthenticated, &[reason]).await;

    // A pod that has ended is still there, and its token is good in the API server's eyes.
    let uid = scene.running("order-2", "order", "10.1.0.6").await;
    let ended = desk.bound("order-2", &uid).await;
    desk.ask(&order, &ended).await.unwrap();
    scene.phase("order-2", "Succeeded", "10.1.0.6").await;
    let reason = "pod shop/order-2 is not running";
    desk.refuses(&order, &ended, Code::Unauthenticated, &[reason]).await;

    // One that is deleted is not, though the API server remembers its judgment of a token for some seconds.
    let uid = scene.running("order-3", "order", "10.1.0.7").await;
    let (used, unused) = (desk.bound("order-3", &uid).await, desk.bound("order-3", &uid).await);
    desk.ask(&order, &used).await.unwrap();
    scene.server.delete(&pod_path("order-3")).await.unwrap();
    let gone = ["pod shop/order-3 is not running", "does not accept the token"];
    desk.refuses(&order, &used, Code::Unauthenticated, &gone).await;
    desk.refuses(&order, &unused, Code::Unauthenticated, &gone).await;
    // Another pod of its name is another pod.
    scene.running("order-3", "order", "10.1.0.8").await;
    desk.refuses(&order, &used, Code::Unauthenticated, &gone).await;
    desk.refuses(&order, &unused, Code::Unauthenticated, &gone).await;

    desk.counts("issued", 3.0).await;
    desk.counts("failed", 0.0).await;
    let log = desk.replica.process().logged(&["refused a service-account token"]).await;
    assert!(!log.contains(&good) && !log.contains(&loose), "no token is in the log");
    scene.assert_nothing_was_forbidden(&[&desk.replica]);
}

#[tokio::test]
async fn a_certificate_is_renewed_while_its_account_has_a_pod() {
    let Some(scene) = Scene::start("renewal").await else { return };
    let replica = scene.replica("one").await;
    let authority = scene.authority().await;
    let uid = scene.running("order-1", "order", "10.1.0.5").await;
    let token = token(&scene, "order", ("order-1", &uid), AUDIENCE).await;
    let order = id("order");
    let (leaf, _) = issue(&replica, &authority, &order, (Some(&token), None)).await.unwrap();

    replica.has("MeshWorkload", 1).await;
    let (renewed, _) = issue(&replica, &authority, &order, (None, Some(&leaf))).await.unwrap();
    assert_eq!(renewed.id(), leaf.id());
    let web = issue(&replica, &authority, &id("web"), (None, Some(&renewed))).await;
    assert_eq!(web.map(|_| ()).unwrap_err().code(), Code::PermissionDenied);
    // It opens the stream of its own pod, and of no other.
    scene.running("web-1", "web", "10.1.0.6").await;
    replica.has("MeshWorkload", 2).await;
    let whose = ("web-1", "order");
    let connected = Proxy::connect(&replica, &authority, whose, &[], Default::default()).await;
    let status = connected.unwrap().is_cut().await;
    assert_eq!(status.code(), Code::PermissionDenied, "{status}");

    scene.server.delete(&pod_path("order-1")).await.unwrap();
    eventually("the account has no pod any more", SOON, async || {
        let answer = issue(&replica, &authority, &order, (None, Some(&renewed))).await;
        let status = answer.map(|_| ()).err();
        let told = status.as_ref().is_some_and(|status| status.message().contains("any more"));
        ensure!(told, "{status:?}");
        Ok(())
    })
    .await;
}

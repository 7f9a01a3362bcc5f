//! Roots where there are replicas: the state is in the Secret, what one replica does the others take up, and none takes a
//! step over the head of a sidecar that only another one knows. And an issuing CA in a Secret, good and bad.

use anyhow::{Result, ensure};
use http::Method;
use nix::sys::signal::Signal;
use serde_json::Value;
use weft_proto::names::type_url;

use super::proxy::Proxy;
use super::receipts::list;
use super::scene::{Replica, SOON, Scene};
use crate::harness::{Answer, eventually};
use crate::trust::issuer::{Made, secret};

const EVENTS: &str = "/apis/events.k8s.io/v1/namespaces/weft-system/events";

/// Fingerprints of the roots in this state, as a replica sees it.
async fn roots(replica: &Replica, state: &str) -> Result<Vec<String>> {
    let status = replica.admin().get("/v1/trust").await?;
    let all = status["roots"].as_array().into_iter().flatten();
    let of = all.filter(|root| root["state"] == state);
    Ok(of.filter_map(|root| root["fingerprint"].as_str().map(str::to_owned)).collect())
}

async fn step(replica: &Replica, step: &str, body: &str) -> Answer {
    let path = format!("/v1/trust/{step}");
    replica.admin().ask(Method::POST, &path, body).await.expect("it answers")
}

fn text(answer: &Answer) -> String {
    String::from_utf8_lossy(&answer.body).into_owned()
}

/// Both at a time: one of them has something to do.
async fn retire_at_once([one, two]: [&Replica; 2], new: &[String]) {
    let force = r#"{"force":true}"#;
    let (here, there) = tokio::join!(step(one, "retire", force), step(two, "retire", force));
    let changed = [text(&here), text(&there)].map(|text| text.contains("\"changed\":true"));
    assert!(changed.contains(&true), "{} {}", text(&here), text(&there));
    for replica in [one, two] {
        eventually("only the new root is left", SOON, async || {
            let old = roots(replica, "old").await?;
            ensure!(old.is_empty() && roots(replica, "issuing").await? == new, "{old:?}");
            Ok(())
        })
        .await;
    }
}

#[tokio::test]
async fn a_replica_takes_no_step_over_the_sidecars_of_another() {
    let Some(scene) = Scene::start("trust").await else { return };
    let (one, two) = (scene.replica("one").await, scene.replica("two").await);
    list(&scene, &[("one", &one), ("two", &two)]).await;
    let authority = scene.authority().await;
    scene.running("order-1", "order", "10.1.0.1").await;
    for replica in [&one, &two] {
        replica.has("MeshWorkload", 3).await;
    }
    let connect = async || {
        let names = ["order.shop:80"];
        let who = ("order-1", "order");
        let connected = Proxy::connect(&two, &authority, who, &names, Default::default());
        Box::pin(connected).await?.let_in().await
    };
    let proxy = eventually("it is let in", SOON, connect).await;
    proxy.subscribe(type_url::LISTENER, &["inbound/shop/order-1"]).await;

    let staged = step(&one, "stage", "").await;
    assert_eq!(staged.status, 200, "{}", text(&staged));
    let new = roots(&one, "staged").await.unwrap();
    eventually("the other replica has it too", SOON, async || {
        ensure!(roots(&two, "staged").await? == new, "not yet");
        Ok(())
    })
    .await;
    // Its sidecar is connected to the other one, and has said nothing.
    eventually("the step is refused by name", SOON, async || {
        let refused = step(&one, "issue", "").await;
        ensure!(refused.status == 409, "{}", refused.status);
        let text = text(&refused);
        ensure!(text.contains("order-1.shop has not said yet what it believes"), "{text}");
        Ok(())
    })
    .await;
    two.process().signal(Signal::SIGSTOP);
    let silent = step(&one, "issue", "").await;
    assert!(text(&silent).contains("replica two does not answer"), "{}", text(&silent));
    two.process().signal(Signal::SIGCONT);

    let forced = step(&one, "issue", r#"{"force":true}"#).await;
    assert_eq!(forced.status, 200, "{}", text(&forced));
    eventually("the other replica issues under it too", SOON, async || {
        ensure!(roots(&two, "issuing").await? == new, "not yet");
        Ok(())
    })
    .await;
    let refused = step(&two, "retire", "").await;
    assert_eq!(refused.status, 409, "{}", text(&refused));
    let body: Value = serde_json::from_str(&text(&refused)).unwrap();
    assert_eq!(body["obstacles"][0]["who"], "order-1.shop", "{body}");
    retire_at_once([&one, &two], &new).await;
    // One that starts now finds the same.
    let three = scene.replica("three").await;
    assert_eq!(roots(&three, "issuing").await.unwrap(), new);
    scene.assert_nothing_was_forbidden(&[&one, &two, &three]);
}

/// What `kubectl describe secret` would show of it.
async fn warned(scene: &Scene, words: &str) {
    eventually("an Event says what is wrong", SOON, async || {
        let found = scene.server.get(EVENTS).await?;
        let of = found["items"].as_array().into_iter().flatten();
        let told = of.filter(|event| event["regarding"]["name"] == "weft-issuer").any(|event| {
            let note = event["note"].as_str().unwrap_or_default();
            event["type"] == "Warning"
                && event["reason"] == "IssuerUnusable"
                && note.contains(words)
        });
        ensure!(told, "{found}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_bad_issuer_secret_is_told_of_in_an_event_and_a_good_one_is_taken_up_by_all() {
    let Some(scene) = Scene::start("issuer").await else { return };
    let replicas = [scene.replica("one").await, scene.replica("two").await];
    let own = roots(&replicas[0], "issuing").await.unwrap();
    let (root, other) = (Made::root("company"), Made::root("other"));
    let made = root.below("mesh");
    let write = async |key: &str, root: &str| {
        scene.server.apply(&secret(&made.pem, key, root).to_string()).await;
    };
    for (key, root, words) in [
        ("no key", &root.pem, "tls.key"),
        (&made.key(), &other.pem, "none of its certificates signed tls.crt"),
        (&made.key(), &String::new(), "ca.crt: there is no certificate"),
    ] {
        write(key, root).await;
        warned(&scene, words).await;
        for replica in &replicas {
            assert_eq!(roots(replica, "issuing").await.unwrap(), own, "{words}");
        }
    }
    write(&made.key(), &root.pem).await;
    for replica in &replicas {
        eventually("it is taken up", SOON, async || {
            let (issuing, staged) =
                (roots(replica, "issuing").await?, roots(replica, "staged").await?);
            ensure!(issuing != own || !staged.is_empty(), "{issuing:?} {staged:?}");
            let status = replica.admin().get("/v1/trust").await?;
            ensure!(status["issuer"]["fault"].is_null(), "{status}");
            Ok(())
        })
        .await;
    }
    let [one, two] = &replicas;
    scene.assert_nothing_was_forbidden(&[one, two]);
}

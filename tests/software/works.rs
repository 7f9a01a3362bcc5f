//! What holds for every product: its clients notice nothing of the mesh, nothing that they say can be read between the
//! sidecars, and both sidecars say who spoke with whom.

use std::time::Duration;

use anyhow::ensure;

use super::product::{Facts, Product};
use super::scene::{CALLER, ENTRIES, Entry, Scene, Side, ask};
use crate::harness::{Pod, eventually};

/// A mesh with this product and no other. `None` if it was skipped.
pub(crate) async fn works(product: &dyn Product) -> Option<Scene> {
    let facts = product.facts();
    let scene = Scene::start(&[(product, Entry::Bare)], &[]).await?;
    let wire = scene.mesh.pod(facts.name).capture();
    for entry in ENTRIES {
        let at = entry.address(0, &facts);
        converse(scene.mesh.pod(CALLER), product, at, &format!("{entry:?}")).await;
    }
    let passed = wire.end();
    assert!(passed.frames() > 10, "the capture saw nothing");
    for word in facts.words {
        assert!(!passed.has(word.as_bytes()), "{}: plaintext on the wire: {word}", facts.name);
    }
    counted(&scene, &facts).await;
    in_plaintext(&scene, product).await;
    Some(scene)
}

/// The whole conversation with the server at this address.
async fn converse(pod: &Pod, product: &dyn Product, at: std::net::SocketAddr, how: &str) {
    let name = product.facts().name;
    for step in product.client(at) {
        let output = ask(pod, &step.run, step.limit).await;
        assert_eq!(output.code, Some(0), "{name}, {how}: {:?}: {output:?}", step.run);
        for text in &step.prints {
            assert!(output.stdout.contains(text), "{name}, {how}: no {text:?} in {output:?}");
        }
    }
}

async fn counted(scene: &Scene, facts: &Facts) {
    for side in ENTRIES.map(Side::Outbound).into_iter().chain([Side::Inbound]) {
        let least = match side {
            Side::Outbound(_) => 1.0,
            Side::Inbound => 3.0,
        };
        let what = format!("{}: {side:?} is counted", facts.name);
        eventually(&what, Duration::from_secs(10), async || {
            let count = scene.count(facts, side).await?;
            ensure!(count >= least, "{count}");
            Ok(())
        })
        .await;
    }
}

/// The same from outside the mesh, where nothing hides the words: it works too, and the words are the right ones.
async fn in_plaintext(scene: &Scene, product: &dyn Product) {
    let facts = product.facts();
    let pod = scene.mesh.pod(facts.name);
    let wire = pod.capture();
    converse(scene.mesh.outside(), product, pod.v4(facts.port), "from outside").await;
    let passed = wire.end();
    for word in facts.words {
        assert!(passed.has(word.as_bytes()), "{}: nobody ever says {word:?}", facts.name);
    }
}

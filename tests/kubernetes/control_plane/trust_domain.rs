//! The trust domain is settled at the first start and hangs on every certificate: a later wish for another is said and
//! changes nothing.

use anyhow::{Context, ensure};

use super::scene::{SOON, Scene, text};
use crate::harness::eventually;

const MESH: &str = "
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: weft-system}
spec: {trustDomain: DOMAIN}
";
const MESHES: &str = "/apis/weft.dev/v1alpha1/namespaces/weft-system/meshconfigs";
const PATTERN: &str =
    "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/trustDomain/pattern";
const SECRET: &str = "/api/v1/namespaces/weft-system/secrets/weft-ca";

#[tokio::test]
async fn it_is_settled_once_for_all_replicas() {
    let Some(scene) = Scene::start("trust-domain").await else { return };
    // A definition of another version lets pass what is no trust domain.
    let lax = format!("[{{\"op\": \"remove\", \"path\": \"{PATTERN}\"}}]");
    let definition = "customresourcedefinition/meshconfigs.weft.dev";
    scene.server.kubectl(&["patch", definition, "--type=json", "-p", &lax]).await;
    eventually("the definition is lax", SOON, async || {
        let mesh = serde_json::json!({ "apiVersion": "weft.dev/v1alpha1", "kind": "MeshConfig",
            "metadata": { "name": "default" }, "spec": { "trustDomain": "No Domain" } });
        scene.server.post(MESHES, &mesh).await
    })
    .await;
    let one = scene.spawn("one");
    let log = match one.process().ended(SOON).await.code() {
        Some(1) => one.process().log(),
        code => panic!("{code:?}: {}", one.process().quote()),
    };
    assert!(log.contains("trust domain") && log.contains("MeshConfig"), "{log}");
    assert!(scene.server.get(SECRET).await.is_err(), "nothing was decided");

    scene.server.apply(&MESH.replace("DOMAIN", "first.example")).await;
    let two = scene.replica("two").await;
    let secret = scene.server.get(SECRET).await.unwrap();
    assert_eq!(text(&secret, "trust-domain"), "first.example");

    scene.server.apply(&MESH.replace("DOMAIN", "second.example")).await;
    eventually("it is said", SOON, async || {
        let findings = two.admin().get("/v1/analysis").await?;
        let text = findings.to_string();
        ensure!(text.contains("second.example"), "{text}");
        Ok(())
    })
    .await;
    let three = scene.replica("three").await;
    for replica in [&two, &three] {
        let mesh = replica.admin().get("/v1/mesh").await.unwrap();
        assert_eq!(mesh["trust_domain"], "first.example");
    }
    assert_eq!(scene.server.get(SECRET).await.unwrap()["data"], secret["data"]);
    // And on the object, where its author looks.
    let path = format!("{MESHES}/default");
    eventually("its status says so", SOON, async || {
        let found = scene.server.get(&path).await?;
        let conditions = found["status"]["conditions"].as_array().context("no conditions")?;
        let text = format!("{conditions:?}");
        ensure!(text.contains("first.example"), "{text}");
        Ok(())
    })
    .await;

    let asked = scene.spawn_with("four", &scene.account, &["--trust-domain=second.example"]);
    assert_eq!(asked.process().ended(SOON).await.code(), Some(1));
    let log = asked.process().log();
    assert!(log.contains("first.example") && log.contains("second.example"), "{log}");
}

//! `k8s/install.yaml` is the kustomize base and nothing else, and flags change what they say and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::*;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The files that a kustomization names, in its order.
fn resources(directory: &Path) -> Vec<PathBuf> {
    let text = read(&directory.join("kustomization.yaml"));
    let value: Value = serde_saphyr::from_str(&text).unwrap();
    let names = value["resources"].as_array().unwrap().iter().map(|name| name.as_str().unwrap());
    names
        .map(|name| directory.join(name))
        .flat_map(|path| if path.is_dir() { resources(&path) } else { vec![path] })
        .collect()
}

/// The base in one file.
fn rendered() -> String {
    let head = format!(
        "# Weft {VERSION} on Kubernetes, whole: kubectl apply --server-side -f install.yaml\n\
         # Made of k8s/base; change that and run: UPDATE_DOCS=1 cargo test -p weft-cli install\n"
    );
    let files: Vec<String> =
        resources(&folder().join("base")).iter().map(|path| read(path)).collect();
    format!("{head}---\n{}", files.join("---\n"))
}

/// Objects by kind, namespace and name.
fn objects(text: &str) -> BTreeMap<String, Value> {
    let mut objects = BTreeMap::new();
    for document in text.split("\n---\n") {
        let value: Value = serde_saphyr::from_str(document).unwrap_or(Value::Null);
        if value.is_null() {
            continue;
        }
        let (kind, metadata) = (value["kind"].as_str().unwrap(), &value["metadata"]);
        let namespace = metadata["namespace"].as_str().unwrap_or_default();
        let key = format!("{kind} {namespace}/{}", metadata["name"].as_str().unwrap());
        assert!(objects.insert(key.clone(), value).is_none(), "{key} is there twice");
    }
    objects
}

#[test]
fn the_file_is_the_base() {
    let (path, expected) = (folder().join("install.yaml"), rendered());
    if option_env!("UPDATE_DOCS").is_some() {
        std::fs::write(&path, &expected).unwrap();
    }
    assert!(
        std::fs::read_to_string(&path).unwrap_or_default() == expected,
        "k8s/install.yaml is stale; run: UPDATE_DOCS=1 cargo test -p weft-cli install"
    );
}

/// What kubectl makes of a kustomization; `None` where there is no kubectl.
fn kustomized(directory: &str) -> Option<BTreeMap<String, Value>> {
    let command = Command::new("kubectl").arg("kustomize").arg(folder().join(directory)).output();
    let output = command.ok()?;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Some(objects(&String::from_utf8(output.stdout).unwrap()))
}

#[test]
fn kustomize_makes_the_same_objects_of_base_and_overlay() {
    let ha = InstallArgs { ha: true, ..InstallArgs::default() };
    for (directory, args) in [("base", InstallArgs::default()), ("overlays/ha", ha)] {
        let Some(expected) = kustomized(directory) else { return };
        let ours = objects(&render(&args).unwrap());
        assert_eq!(ours.keys().collect::<Vec<_>>(), expected.keys().collect::<Vec<_>>());
        for (key, object) in &ours {
            assert_eq!(object, &expected[key], "{directory}: {key}");
        }
    }
}

#[test]
fn without_flags_it_prints_the_file() {
    assert_eq!(render(&InstallArgs::default()).unwrap(), MANIFEST);
}

#[test]
fn nothing_secret_and_no_object_of_ours_is_in_it() {
    let objects = objects(MANIFEST);
    assert!(objects.len() > 10, "{:?}", objects.keys());
    for (key, object) in &objects {
        assert_ne!(object["kind"], "Secret");
        assert!(!object["apiVersion"].as_str().unwrap().starts_with("weft.dev/"), "{key}");
    }
    let webhook = &objects["MutatingWebhookConfiguration /weft-injector"];
    for webhook in webhook["webhooks"].as_array().unwrap() {
        assert_eq!(webhook["clientConfig"].get("caBundle"), None);
    }
}

#[test]
fn registry_and_version_change_the_images_and_nothing_else() {
    let registry = Some("registry.example.org:5000/mesh".to_owned());
    let args = InstallArgs { registry, version: Some("0.9.0-rc.1".to_owned()), ha: false };
    let text = render(&args).unwrap();
    let differ = MANIFEST.lines().zip(text.lines()).filter(|(before, after)| before != after);
    let after: Vec<&str> = differ.map(|(_, after)| after.trim()).collect();
    assert_eq!(
        after,
        [
            "app.kubernetes.io/version: \"0.9.0-rc.1\"",
            "app.kubernetes.io/version: \"0.9.0-rc.1\"",
            "image: registry.example.org:5000/mesh/weft-control-plane:0.9.0-rc.1",
            "- --proxy-image=registry.example.org:5000/mesh/weft-proxy:0.9.0-rc.1",
            "- --init-image=registry.example.org:5000/mesh/weft-init:0.9.0-rc.1",
        ]
    );
    assert_eq!(MANIFEST.lines().count(), text.lines().count());
}

#[test]
fn a_manifest_of_another_form_is_an_error() {
    assert!(replace("a b a", "a", "c", 1).is_err());
    assert!(replace("b", "a", "c", 1).is_err());
    assert_eq!(replace("a b", "a", "c", 1).unwrap(), "c b");
}

#[test]
fn json_has_the_same_objects() {
    let list = as_json(MANIFEST).unwrap();
    assert_eq!(list["kind"], "List");
    let expected: Vec<Value> = objects(MANIFEST).into_values().collect();
    let items = list["items"].as_array().unwrap();
    assert_eq!(items.len(), expected.len());
    for item in items {
        assert!(expected.contains(item), "{item}");
    }
}

//! Which objects are waited for.

use super::*;

fn read(text: &str) -> Result<(Vec<String>, usize)> {
    let mut manifests = Manifests::default();
    manifests.add(text, "here")?;
    let wanted = manifests.wanted.iter().map(ToString::to_string);
    Ok((wanted.collect(), manifests.others))
}

#[test]
fn objects_with_a_status_are_wanted_and_others_counted() {
    let text = "
apiVersion: v1
kind: Service
metadata: {name: web}
---
# nothing
---
apiVersion: weft.dev/v1alpha1
kind: TrafficPolicy
metadata: {name: calm, namespace: shop}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: mesh}
spec: {parentRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: g}, {group: '', kind: Service, name: web}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: GRPCRoute
metadata: {name: front}
spec: {parentRefs: [{name: g}]}
---
apiVersion: v1
kind: List
items:
- {apiVersion: weft.dev/v1alpha1, kind: MeshConfig, metadata: {name: default, namespace: weft-system}}
- {apiVersion: example.com/v1, kind: TrafficPolicy, metadata: {name: other}}
";
    let wanted =
        ["HTTPRoute here/mesh", "MeshConfig weft-system/default", "TrafficPolicy shop/calm"];
    assert_eq!(read(text).unwrap(), (wanted.map(str::to_owned).to_vec(), 3));
    let json = r#"{"apiVersion": "weft.dev/v1alpha1", "kind": "InboundPolicy", "metadata": {"name": "a"}}"#;
    assert_eq!(read(json).unwrap(), (vec!["InboundPolicy here/a".to_owned()], 0));
}

#[test]
fn what_cannot_be_read_is_an_error() {
    assert!(read("a: [").is_err());
    assert!(read("{apiVersion: weft.dev/v1alpha1, kind: TrafficPolicy, metadata: {}}").is_err());
    assert_eq!(read("").unwrap(), (vec![], 0));
}

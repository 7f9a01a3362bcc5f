//! The singleton's defaults, bounds and place.

use super::*;
use crate::source::analyze;

fn config(key: &str, spec: &str) -> (MeshConfig, Vec<String>) {
    let (namespace, name) = key.split_once('/').unwrap();
    let text = format!(
        "apiVersion: weft.dev/v1alpha1\nkind: MeshConfig\n\
         metadata: {{name: {name}, namespace: {namespace}}}\nspec: {spec}\n"
    );
    let (mesh, findings) = analyze(&[("m.yaml", text)]);
    let short = findings.iter().map(|finding| format!("{} {}", finding.code, finding.field));
    (mesh.config, short.collect())
}

#[test]
fn what_is_written_replaces_the_defaults() {
    let spec = "{trustDomain: demo.local, mtls: STRICT, leafLifetime: 10s, \
                tracing: {endpoint: 'http://localhost:4317', sampling: 1}}";
    let (read, findings) = config("weft-system/default", spec);
    assert!(findings.is_empty(), "{findings:?}");
    let expected = MeshConfig {
        trust_domain: "demo.local".to_owned(),
        mtls: MtlsMode::Strict,
        leaf_lifetime: Duration::from_secs(10),
        tracing_endpoint: Some("http://localhost:4317".to_owned()),
        tracing_sampling: 1.0,
    };
    assert_eq!(read, expected);
    assert_eq!(config("weft-system/default", "{}").0, MeshConfig::default());
}

#[test]
fn values_out_of_bounds_and_other_places_are_refused() {
    for (spec, field) in [
        ("{trustDomain: Demo.Local}", "spec.trustDomain"),
        ("{trustDomain: ''}", "spec.trustDomain"),
        ("{mtls: strict}", "spec.mtls"),
        ("{leafLifetime: 999ms}", "spec.leafLifetime"),
        ("{leafLifetime: 721h}", "spec.leafLifetime"),
        ("{leafLifetime: 1d}", "spec.leafLifetime"),
        ("{tracing: {endpoint: 'localhost:4317'}}", "spec.tracing.endpoint"),
        ("{tracing: {endpoint: 'ftp://x'}}", "spec.tracing.endpoint"),
        ("{tracing: {sampling: 1.5}}", "spec.tracing.sampling"),
    ] {
        let (read, findings) = config("weft-system/default", spec);
        assert_eq!(findings, [format!("WEFT0205 {field}")], "{spec}");
        assert_eq!(read, MeshConfig::default());
    }
    for key in ["weft-system/other", "default/default"] {
        let (read, findings) = config(key, "{trustDomain: demo.local}");
        assert_eq!(findings, ["WEFT0305 metadata"], "{key}");
        assert_eq!(read, MeshConfig::default());
    }
}

//! The singleton's defaults, bounds and place.

use super::*;
use crate::model::HttpLimits;
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
    let spec = "{trustDomain: demo.local, mtls: STRICT, defaultAccess: allow-mesh, leafLifetime: 10s, \
                tracing: {endpoint: 'http://localhost:4317', sampling: 1}, \
                limits: {http: {headTimeout: 5s, headerFields: 50, http2Streams: 10, \
                http2HeaderBudget: 64, http2Memory: 8, http2LocalResets: 20, \
                http2StallTimeout: 1m}}}";
    let (read, findings) = config("weft-system/default", spec);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!((read.origin.kind.as_str(), read.origin.generation), ("MeshConfig", 1));
    let expected = MeshConfig {
        origin: read.origin.clone(),
        trust_domain: "demo.local".to_owned(),
        mtls: MtlsMode::Strict,
        default_access: DefaultAccess::AllowMesh,
        leaf_lifetime: Duration::from_secs(10),
        tracing_endpoint: Some("http://localhost:4317".to_owned()),
        tracing_sampling: 1.0,
        http: HttpLimits {
            head_timeout: Some(Duration::from_secs(5)),
            header_fields: Some(50),
            streams: Some(10),
            header_budget: Some(64),
            memory: Some(8),
            local_resets: Some(20),
            stall_timeout: Some(Duration::from_secs(60)),
        },
    };
    assert_eq!(read, expected);
    let origin = read.origin;
    let defaults = MeshConfig { origin, ..MeshConfig::default() };
    assert_eq!(config("weft-system/default", "{}").0, defaults);
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
        ("{limits: {http: {headTimeout: 0s}}}", "spec.limits.http.headTimeout"),
        ("{limits: {http: {headTimeout: 2h}}}", "spec.limits.http.headTimeout"),
        ("{limits: {http: {headerFields: 9}}}", "spec.limits.http.headerFields"),
        ("{limits: {http: {http2Streams: 0}}}", "spec.limits.http.http2Streams"),
        ("{limits: {http: {http2HeaderBudget: 63}}}", "spec.limits.http.http2HeaderBudget"),
        ("{limits: {http: {http2Memory: -1}}}", "spec.limits.http.http2Memory"),
        ("{limits: {http: {http2LocalResets: 1025}}}", "spec.limits.http.http2LocalResets"),
        ("{limits: {http: {http2StallTimeout: 5}}}", "spec.limits.http.http2StallTimeout"),
        ("{limits: {http: {streams: 5}}}", "spec.limits.http.streams"),
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

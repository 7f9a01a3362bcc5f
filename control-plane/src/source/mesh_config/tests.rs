//! The singleton's defaults, bounds and place.

use std::time::SystemTime;

use super::*;
use crate::model::Collector;
use weft_certs::{ServingCertificate, SpiffeId};

use crate::model::{DeniedPeer, DeniedWho, HttpLimits, Origin, OtlpProtocol};
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

fn collector(endpoint: &str, protocol: Option<OtlpProtocol>) -> Collector {
    Collector { endpoint: endpoint.to_owned(), protocol, authorities: None }
}

fn denied(who: DeniedWho, reason: &str) -> DeniedPeer {
    DeniedPeer { who, reason: reason.to_owned() }
}

#[test]
fn what_is_written_replaces_the_defaults() {
    let spec = "{trustDomain: demo.local, mtls: STRICT, defaultAccess: allow-mesh, leafLifetime: 10s, \
                tracing: {endpoint: 'http://localhost:4317', sampling: 1}, \
                accessLog: {successes: 0.1, fields: [status, path], endpoint: 'http://otel:4318', protocol: http/protobuf}, \
                limits: {http: {headTimeout: 5s, headerFields: 50, http2Streams: 10, \
                http2HeaderBudget: 64, http2Memory: 8, http2LocalResets: 20, \
                http2StallTimeout: 1m}}, denied: {identities: [{identity: shop/payment, reason: key leaked}, \
                {identity: 'spiffe://demo.local/ns/shop/sa/order'}], serials: [{serial: '4F:0a'}]}}";
    let (read, findings) = config("weft-system/default", spec);
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!((read.origin.kind.as_str(), read.origin.generation), ("MeshConfig", 1));
    let order = SpiffeId::parse("spiffe://demo.local/ns/shop/sa/order").unwrap();
    let expected = MeshConfig {
        origin: read.origin.clone(),
        trust_domain: "demo.local".to_owned(),
        mtls: MtlsMode::Strict,
        default_access: DefaultAccess::AllowMesh,
        leaf_lifetime: Duration::from_secs(10),
        tracing_collector: Some(collector("http://localhost:4317", None)),
        tracing_sampling: 1.0,
        access_log: Some(AccessLog {
            successes: 0.1,
            fields: vec!["status".to_owned(), "path".to_owned()],
        }),
        log_collector: Some(collector("http://otel:4318", Some(OtlpProtocol::HttpProtobuf))),
        http: HttpLimits {
            head_timeout: Some(Duration::from_secs(5)),
            header_fields: Some(50),
            streams: Some(10),
            header_budget: Some(64),
            memory: Some(8),
            local_resets: Some(20),
            stall_timeout: Some(Duration::from_secs(60)),
        },
        denied: vec![
            denied(DeniedWho::Account("shop".to_owned(), "payment".to_owned()), "key leaked"),
            denied(DeniedWho::Identity(order), ""),
            denied(DeniedWho::Serial("4f0a".parse().unwrap()), ""),
        ],
    };
    assert_eq!(read, expected);
    let origin = read.origin;
    let defaults = MeshConfig { origin, ..MeshConfig::default() };
    assert_eq!(config("weft-system/default", "{}").0, defaults);
}

#[test]
fn a_collector_has_a_certificate_of_whoever_is_named() {
    let names = ["otel.example.org".to_owned()];
    let (_, made) =
        ServingCertificate::create(&names, Duration::from_secs(3600), SystemTime::now()).unwrap();
    let pem = made.to_pem();
    let spec = |endpoint: &str| {
        let pem = serde_json::to_string(&pem).unwrap();
        format!("{{tracing: {{endpoint: '{endpoint}', certificateAuthorities: {pem}}}}}")
    };
    let (read, findings) = config("weft-system/default", &spec("https://otel.example.org:4317"));
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(read.tracing_collector.unwrap().authorities, Some(pem.clone()));
    let (_, findings) = config("weft-system/default", &spec("http://otel.example.org:4317"));
    assert_eq!(findings, ["WEFT0205 spec.tracing.certificateAuthorities"]);
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
        (
            "{tracing: {endpoint: 'https://x', certificateAuthorities: ca.pem}}",
            "spec.tracing.certificateAuthorities",
        ),
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
        ("{denied: {identities: [{identity: payment}]}}", "spec.denied.identities[0].identity"),
        (
            "{denied: {identities: [{identity: 'spiffe://x/y'}]}}",
            "spec.denied.identities[0].identity",
        ),
        ("{denied: {identities: [{identity: 'shop/*'}]}}", "spec.denied.identities[0].identity"),
        ("{denied: {identities: [{reason: x}]}}", "spec.denied.identities[0]"),
        ("{denied: {serials: [{serial: '4g'}]}}", "spec.denied.serials[0].serial"),
        ("{denied: {serials: [{serial: '0'}]}}", "spec.denied.serials[0].serial"),
        ("{denied: {serials: [{serial: 4096}]}}", "spec.denied.serials[0].serial"),
        ("{denied: {serial: []}}", "spec.denied.serial"),
    ] {
        let (read, findings) = config("weft-system/default", spec);
        assert_eq!(findings, [format!("WEFT0205 {field}")], "{spec}");
        let default = MeshConfig::default();
        let mtls = if spec.contains("mtls") { MtlsMode::Strict } else { default.mtls };
        assert_eq!(
            MeshConfig { origin: Origin::default(), ..read },
            MeshConfig { mtls, ..default }
        );
    }
    for key in ["weft-system/other", "default/default"] {
        let (read, findings) = config(key, "{trustDomain: demo.local}");
        assert_eq!(findings, ["WEFT0305 metadata"], "{key}");
        assert_eq!(read, MeshConfig::default());
    }
}

/// A slip anywhere in the object must let nobody in who is denied, neither one of before nor one of now.
#[test]
fn whom_a_broken_object_denies_is_denied_all_the_same() {
    let spec = "{mtls: strict, denied: {identities: [{identity: shop/payment}, {identity: oops}, 7], \
                serials: [{serial: '4f:0a'}, {serial: xy}]}}";
    let (read, findings) = config("weft-system/default", spec);
    assert_eq!(findings, ["WEFT0205 spec.mtls"]);
    let payment = DeniedWho::Account("shop".to_owned(), "payment".to_owned());
    let serial = DeniedWho::Serial("4f0a".parse().unwrap());
    let named: Vec<_> = read.denied.into_iter().map(|denied| denied.who).collect();
    assert_eq!(named, [payment, serial]);
    assert_eq!(read.mtls, MtlsMode::Strict, "what cannot be read lets nobody in");
    let elsewhere = config("shop/default", spec).0;
    assert!(elsewhere.denied.is_empty(), "only one object counts");
}

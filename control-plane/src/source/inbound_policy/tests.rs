//! InboundPolicy: what is read and what is refused.

use std::time::Duration;

use crate::model::{Key, MtlsMode, RateLimit, RateLimitKey};
use crate::source::testing::{beside_shop, object};

#[test]
fn selector_ports_and_mode_are_read() {
    let spec = "{selector: {matchLabels: {app: web}}, ports: [8080], mtls: STRICT}";
    let (mesh, findings) = beside_shop(&object("InboundPolicy", "p", spec));
    assert!(findings.is_empty(), "{findings:?}");
    let key = Key::new("shop", "web-1");
    let labels = &mesh.workloads[&key].labels;
    assert_eq!(mesh.mtls_mode(&key, labels, 8080), MtlsMode::Strict);
    assert_eq!(mesh.mtls_mode(&key, labels, 5432), MtlsMode::Permissive);
    assert_eq!(mesh.inbound_policies[0].origin.to_string(), "InboundPolicy/shop/p");
}

#[test]
fn what_is_wrong_is_told_at_its_field() {
    for (spec, expected) in [
        ("{}", "WEFT0205 spec"),
        ("{mtls: On}", "WEFT0205 spec.mtls"),
        ("{mtls: STRICT, ports: [0]}", "WEFT0205 spec.ports[0]"),
        ("{mtls: STRICT, ports: ['80']}", "WEFT0205 spec.ports[0]"),
        (
            "{mtls: STRICT, selector: {matchExpressions: []}}",
            "WEFT0206 spec.selector.matchExpressions",
        ),
        ("{mtls: STRICT, selector: {app: web}}", "WEFT0205 spec.selector.app"),
    ] {
        let (mesh, findings) = beside_shop(&object("InboundPolicy", "p", spec));
        assert_eq!(findings, [expected], "{spec}");
        let strict = mesh.inbound_policies.first().and_then(|policy| policy.mtls);
        let expected = spec.contains("mtls").then_some(MtlsMode::Strict);
        assert_eq!(strict, expected, "{spec}");
    }
}

#[test]
fn rate_limits_are_read_and_need_no_mode() {
    let spec = "{selector: {matchLabels: {app: web}}, ports: [8080], rateLimits: [{requests: 100, per: 1s, burst: 20}, \
                {requests: 5, per: 1m, key: CallerIdentity}, {requests: 5, per: 1m, key: {header: X-Tenant}}]}";
    let (mesh, findings) = beside_shop(&object("InboundPolicy", "p", spec));
    assert!(findings.is_empty(), "{findings:?}");
    let policy = &mesh.inbound_policies[0];
    let slow = |key| RateLimit { requests: 5, per: Duration::from_secs(60), burst: 0, key };
    let fast = RateLimit {
        requests: 100,
        per: Duration::from_secs(1),
        burst: 20,
        key: RateLimitKey::Everybody,
    };
    let expected = [
        fast,
        slow(RateLimitKey::CallerIdentity),
        slow(RateLimitKey::Header("x-tenant".to_owned())),
    ];
    assert_eq!((&policy.rate_limits[..], policy.mtls), (&expected[..], None));
    let key = Key::new("shop", "web-1");
    let labels = &mesh.workloads[&key].labels;
    assert_eq!(mesh.mtls_mode(&key, labels, 8080), MtlsMode::Permissive, "the mesh's own");
}

#[test]
fn rate_limits_that_cannot_be_are_told_at_their_field() {
    for (limit, expected) in [
        ("{per: 1s}", ""),
        ("{requests: 0, per: 1s}", ".requests"),
        ("{requests: 1, per: 10ms}", ".per"),
        ("{requests: 1, per: 2h}", ".per"),
        ("{requests: 1, per: second}", ".per"),
        ("{requests: 1, per: 1s, burst: -1}", ".burst"),
        ("{requests: 1, per: 1s, key: Nobody}", ".key"),
        ("{requests: 1, per: 1s, key: {header: 'a b'}}", ".key.header"),
    ] {
        let spec = format!("{{rateLimits: [{limit}]}}");
        let (mesh, findings) = beside_shop(&object("InboundPolicy", "p", &spec));
        assert_eq!(findings, [format!("WEFT0205 spec.rateLimits[0]{expected}")], "{limit}");
        assert!(mesh.inbound_policies.is_empty());
    }
}

#[test]
fn a_rate_limit_where_there_are_no_requests_is_told() {
    let database = crate::source::testing::SHOP.replace(
        "name: tcp-db, port: 5432}]}\n---\napiVersion: weft",
        "name: tcp-db, port: 5432, appProtocol: tcp}]}\n---\napiVersion: weft",
    );
    let spec = "{ports: [5432], rateLimits: [{requests: 1, per: 1s}]}";
    let text = object("InboundPolicy", "p", spec);
    let (_, findings) =
        crate::source::analyze(&[("shop.yaml", database.as_str()), ("f.yaml", &text)]);
    let about: Vec<_> = findings.iter().filter(|finding| finding.file == "f.yaml").collect();
    assert_eq!(about.len(), 1, "{findings:?}");
    assert_eq!(
        (about[0].code.to_string().as_str(), about[0].field.as_str()),
        ("WEFT0308", "spec.rateLimits")
    );
}

#[test]
fn a_policy_that_nobody_enforces_somewhere_is_told() {
    let bare =
        object("MeshWorkload", "w", "{address: 127.0.0.9, meshed: false, ports: [{port: 8080}]}");
    let text = bare + &object("InboundPolicy", "p", "{ports: [8080], mtls: STRICT}");
    let (mesh, findings) = beside_shop(&text);
    assert_eq!(findings, ["WEFT0403 metadata.labels", "WEFT0309 spec"]);
    assert_eq!(mesh.inbound_policies.len(), 1, "in force for the others");
}

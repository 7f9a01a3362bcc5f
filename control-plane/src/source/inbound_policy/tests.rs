//! InboundPolicy: what is read and what is refused.

use crate::model::{Key, MtlsMode};
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
        assert!(mesh.inbound_policies.is_empty());
    }
}

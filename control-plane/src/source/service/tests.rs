//! Services: protocols, ports, and what is said of the rest.

use super::*;
use crate::source::testing::{beside_shop, object};

#[test]
fn protocol_follows_app_protocol_then_the_first_word_of_the_name() {
    for (declared, name, expected) in [
        (Some("http"), "", AppProtocol::Http),
        (Some("HTTP2"), "", AppProtocol::Http),
        (Some("grpc"), "tcp-x", AppProtocol::Http),
        (Some("kubernetes.io/h2c"), "", AppProtocol::Http),
        (Some("kubernetes.io/ws"), "", AppProtocol::Http),
        (Some("kubernetes.io/wss"), "http", AppProtocol::Tcp),
        (Some("https"), "http", AppProtocol::Tcp),
        (Some("tls"), "", AppProtocol::Tcp),
        (Some("example.com/own"), "", AppProtocol::Tcp),
        (Some(""), "http", AppProtocol::Http),
        (None, "http", AppProtocol::Http),
        (None, "http2-api", AppProtocol::Http),
        (None, "grpc-web", AppProtocol::Http),
        (None, "tcp", AppProtocol::Tcp),
        (None, "mongo-main", AppProtocol::Tcp),
        (None, "https-admin", AppProtocol::Tcp),
        (None, "httpx", AppProtocol::Detect),
        (None, "api", AppProtocol::Detect),
        (None, "", AppProtocol::Detect),
    ] {
        assert_eq!(protocol(declared, name), expected, "{declared:?} {name:?}");
    }
}

#[test]
fn a_service_is_read_with_its_ports_and_defaults() {
    let spec = "{clusterIP: 10.0.0.7, selector: {app: web}, ports: [{port: 8080}]}";
    let (mesh, findings) = beside_shop(&object("Service", "other", spec));
    assert!(findings.is_empty(), "{findings:?}");
    let service = &mesh.services[&crate::model::Key::new("shop", "other")];
    assert_eq!(service.cluster_ips, ["10.0.0.7".parse::<IpAddr>().unwrap()]);
    let expected = ServicePort {
        name: String::new(),
        port: 8080,
        target: TargetPort::Number(8080),
        protocol: AppProtocol::Detect,
    };
    assert_eq!(service.ports, [expected]);
    assert_eq!(service.origin.to_string(), "Service/shop/other");
    assert_eq!(service.origin.generation, 1);
}

#[test]
fn what_is_wrong_with_a_service_is_told_at_its_field() {
    let ok = "selector: {app: web}, ports: [{port: 8080}]";
    for (spec, expected) in [
        ("{clusterIP: None, selector: {app: web}, ports: [{port: 8080}]}", vec![]),
        ("{selector: {app: web}}", vec!["WEFT0405 spec"]),
        ("{ports: [{port: 8080}]}", vec!["WEFT0405 spec"]),
        ("{type: ExternalName, externalName: a.example}", vec!["WEFT0209 spec.type"]),
        (&format!("{{type: Odd, {ok}}}"), vec!["WEFT0205 spec.type"]),
        (&format!("{{clusterIP: nowhere, {ok}}}"), vec!["WEFT0205 spec.clusterIP"]),
        (&format!("{{sessionAffinity: ClientIP, {ok}}}"), vec!["WEFT0209 spec.sessionAffinity"]),
        (&format!("{{externalIPs: [1.2.3.4], {ok}}}"), vec!["WEFT0209 spec.externalIPs"]),
        ("{selector: {app: web}, ports: [{port: 0}]}", vec!["WEFT0205 spec.ports[0].port"]),
        ("{selector: {app: web}, ports: [{port: 65536}]}", vec!["WEFT0205 spec.ports[0].port"]),
        (
            "{selector: {app: web}, ports: [{port: 8080}, {port: 81, name: x, targetPort: 8080}]}",
            vec!["WEFT0205 spec.ports[0]"],
        ),
        (
            "{selector: {app: web}, ports: [{name: a, port: 8080}, {name: a, port: 8080}]}",
            vec!["WEFT0205 spec.ports[1].name", "WEFT0205 spec.ports[1].port"],
        ),
        (
            "{selector: {app: web}, ports: [{port: 8080, targetPort: '80'}]}",
            vec!["WEFT0205 spec.ports[0].targetPort"],
        ),
        (
            "{selector: {app: web}, ports: [{port: 8080, name: dns, protocol: UDP}]}",
            vec!["WEFT0209 spec.ports[0].protocol"],
        ),
        (
            "{selector: {app: web}, ports: [{port: 8080, protocol: ICMP}]}",
            vec!["WEFT0205 spec.ports[0].protocol"],
        ),
    ] {
        let (_, findings) = beside_shop(&object("Service", "other", spec));
        assert_eq!(findings, expected, "{spec}");
    }
}

#[test]
fn an_external_name_is_no_destination_and_leaves_what_names_it_unresolved() {
    let text = object("Service", "other", "{type: ExternalName, externalName: a.example}");
    assert!(!beside_shop(&text).0.services.contains_key(&crate::model::Key::new("shop", "other")));
}

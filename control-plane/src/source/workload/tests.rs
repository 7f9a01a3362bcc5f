//! Workloads: defaults and refusals.

use crate::model::{AppProtocol, Key};
use crate::source::testing::{beside_shop, object};

#[test]
fn a_workload_is_meshed_and_of_the_default_account_unless_it_says_otherwise() {
    let text = object("MeshWorkload", "w", "{address: '::1', ports: [{port: 9}]}")
        + &object("MeshWorkload", "x", "{address: 127.0.0.9, serviceAccount: x, meshed: false}");
    let (mesh, _) = beside_shop(&text);
    let w = &mesh.workloads[&Key::new("shop", "w")];
    assert!(w.meshed);
    assert_eq!(w.identity("td"), "spiffe://td/ns/shop/sa/default");
    assert_eq!((w.ports[0].port, w.ports[0].protocol), (9, AppProtocol::Detect));
    let x = &mesh.workloads[&Key::new("shop", "x")];
    assert!(!x.meshed);
    assert_eq!(x.service_account, "x");
}

#[test]
fn what_is_wrong_with_a_workload_is_told_at_its_field() {
    for (spec, expected) in [
        ("{address: localhost}", vec!["WEFT0205 spec.address"]),
        ("{address: 127.0.0.1:80}", vec!["WEFT0205 spec.address"]),
        ("{address: 0.0.0.0}", vec!["WEFT0205 spec.address"]),
        ("{address: 224.0.0.1}", vec!["WEFT0205 spec.address"]),
        ("{}", vec!["WEFT0205 spec"]),
        ("{address: 127.0.0.9, serviceAccount: 'a/../b'}", vec!["WEFT0205 spec.serviceAccount"]),
        ("{address: 127.0.0.9, ports: [{port: -1}]}", vec!["WEFT0205 spec.ports[0].port"]),
        (
            "{address: 127.0.0.9, ports: [{name: Http, port: 1}]}",
            vec!["WEFT0205 spec.ports[0].name"],
        ),
        (
            "{address: 127.0.0.9, ports: [{port: 1}, {port: 1}]}",
            vec!["WEFT0205 spec.ports[1].port"],
        ),
        ("{address: 127.0.0.9, meshed: perhaps}", vec!["WEFT0205 spec.meshed"]),
        ("{address: 127.0.0.9, port: 80}", vec!["WEFT0205 spec.port"]),
    ] {
        let (_, findings) = beside_shop(&object("MeshWorkload", "w", spec));
        assert_eq!(findings, expected, "{spec}");
    }
}

//! Lists of ports, good and bad, and what they do to a Service and a workload.

use crate::model::{AppProtocol, Key};
use crate::source::testing::{beside_shop, object};

fn annotated(kind: &str, list: &str, spec: &str) -> String {
    let metadata = format!("namespace: shop, annotations: {{weft.dev/opaque-ports: \"{list}\"}}");
    object(kind, "other", spec).replace("namespace: shop", &metadata)
}

#[test]
fn an_opaque_port_of_a_service_is_opaque_whatever_its_name_says() {
    let spec = "{selector: {app: web}, ports: [{name: http, port: 8080}, {name: b, port: 5005}, {name: c, port: 5006}]}";
    let (mesh, findings) = beside_shop(&annotated("Service", "8080, 5000-5005", spec));
    assert!(findings.iter().all(|finding| !finding.contains("annotations")), "{findings:?}");
    let service = &mesh.services[&Key::new("shop", "other")];
    let protocols: Vec<_> = service.ports.iter().map(|port| port.protocol).collect();
    assert_eq!(protocols, [AppProtocol::Tcp, AppProtocol::Tcp, AppProtocol::Detect]);
}

#[test]
fn an_opaque_port_of_a_workload_need_not_be_declared_otherwise() {
    let spec = "{address: 10.0.0.9, ports: [{name: http, port: 8080}]}";
    let (mesh, findings) = beside_shop(&annotated("MeshWorkload", "8080,3306", spec));
    assert!(findings.iter().all(|finding| !finding.contains("annotations")), "{findings:?}");
    let ports = &mesh.workloads[&Key::new("shop", "other")].ports;
    let ports: Vec<_> = ports.iter().map(|port| (port.port, port.protocol)).collect();
    assert_eq!(ports, [(8080, AppProtocol::Tcp), (3306, AppProtocol::Tcp)]);
}

#[test]
fn what_is_no_list_of_ports_is_said() {
    let field = "WEFT0205 metadata.annotations[weft.dev/opaque-ports]";
    let spec = "{selector: {app: web}, ports: [{port: 8080}]}";
    for (list, expected) in [
        ("", vec![]),
        ("25,", vec![]),
        ("0", vec![field]),
        ("65536", vec![field]),
        ("9-8", vec![field]),
        ("mysql", vec![field]),
        ("25;26", vec![field]),
    ] {
        let (_, findings) = beside_shop(&annotated("Service", list, spec));
        assert_eq!(findings, expected, "{list}");
    }
}

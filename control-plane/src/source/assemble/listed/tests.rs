//! Whose word counts about a port.

use std::collections::BTreeMap;

use super::declare;
use crate::model::{AppProtocol, Key, Listed, Mesh, WorkloadPort};
use crate::translate::fixture;

fn shop(of_service: AppProtocol, of_pod: AppProtocol) -> Option<AppProtocol> {
    let mut mesh: Mesh = fixture::shop();
    let service = mesh.services.get_mut(&fixture::key("web")).unwrap();
    service.ports[0].protocol = of_service;
    let ports = BTreeMap::from([("main".to_owned(), 9000)]);
    service.listed = Some(vec![Listed { workload: fixture::key("web-1"), ports, draining: false }]);
    let workload = mesh.workloads.get_mut(&Key::new("shop", "web-1")).unwrap();
    workload.ports = vec![WorkloadPort { name: "x".to_owned(), port: 9000, protocol: of_pod }];
    declare(&mut mesh);
    mesh.workloads[&fixture::key("web-1")].ports.iter().find(|p| p.port == 9000).map(|p| p.protocol)
}

#[test]
fn the_service_speaks_where_the_workload_does_not() {
    use AppProtocol::{Detect, Http, Tcp};
    for (service, pod, expected) in [
        (Http, Detect, Http),
        (Tcp, Detect, Tcp),
        (Detect, Detect, Detect),
        (Http, Tcp, Tcp),
        (Detect, Tcp, Tcp),
    ] {
        assert_eq!(shop(service, pod), Some(expected), "{service:?} {pod:?}");
    }
}

//! A small shop for tests: what `translate` and `xds` are tried on.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::model::{
    AppProtocol, Backend, BackendRef, HeaderFilter, Key, Mesh, MeshConfig, Origin, Route,
    RouteKind, RouteMatch, RouteRule, Service, ServicePort, TargetPort, Workload, WorkloadPort,
};

/// The trust bundle of the fixture. It is text to `translate`.
pub(crate) const BUNDLE: &str = "-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n";

/// Namespace `shop`, trust domain `demo.local`: Services `web` (HTTP), `product` (HTTP, two workloads), `db`
/// (TCP, no sidecar) and `mail` (detected, no workloads).
pub(crate) fn shop() -> Mesh {
    let mut mesh = Mesh {
        config: MeshConfig { trust_domain: "demo.local".to_owned(), ..Default::default() },
        ..Default::default()
    };
    for (name, port, protocol) in [
        ("web", 80, AppProtocol::Http),
        ("product", 8080, AppProtocol::Http),
        ("db", 5432, AppProtocol::Tcp),
        ("mail", 25, AppProtocol::Detect),
    ] {
        add_service(&mut mesh, name, port, protocol);
    }
    add_workload(&mut mesh, "web-1", "web", 1, (80, AppProtocol::Http));
    add_workload(&mut mesh, "product-v1", "product", 2, (8080, AppProtocol::Http));
    add_workload(&mut mesh, "product-v2", "product", 3, (8080, AppProtocol::Http));
    add_workload(&mut mesh, "db-1", "db", 4, (5432, AppProtocol::Tcp));
    workload(&mut mesh, "db-1").meshed = false;
    mesh
}

/// `name` in namespace `shop`.
pub(crate) fn key(name: &str) -> Key {
    Key::new("shop", name)
}

/// Where an object of the fixture was read.
pub(crate) fn origin(kind: &str, name: &str) -> Origin {
    Origin {
        kind: kind.to_owned(),
        namespace: "shop".to_owned(),
        name: name.to_owned(),
        generation: 1,
        rule: String::new(),
    }
}

/// Adds a Service that selects the workloads with label `app: <name>`.
pub(crate) fn add_service(mesh: &mut Mesh, name: &str, port: u16, protocol: AppProtocol) {
    let service = Service {
        key: key(name),
        origin: origin("Service", name),
        cluster_ips: vec![],
        ports: vec![ServicePort {
            name: "main".to_owned(),
            port,
            target: TargetPort::Number(port),
            protocol,
        }],
        selector: BTreeMap::from([("app".to_owned(), name.to_owned())]),
        listed: None,
    };
    mesh.services.insert(key(name), service);
}

/// Adds a meshed workload at 127.66.0.`host` with label `app` and service account `app`.
pub(crate) fn add_workload(
    mesh: &mut Mesh,
    name: &str,
    app: &str,
    host: u8,
    (port, protocol): (u16, AppProtocol),
) {
    let workload = Workload {
        key: key(name),
        origin: origin("MeshWorkload", name),
        address: IpAddr::V4(Ipv4Addr::new(127, 66, 0, host)),
        ports: vec![WorkloadPort { name: "main".to_owned(), port, protocol }],
        service_account: app.to_owned(),
        labels: BTreeMap::from([("app".to_owned(), app.to_owned())]),
        meshed: true,
        probes: vec![],
        locality: Default::default(),
        draining: false,
    };
    mesh.workloads.insert(key(name), workload);
}

/// A workload of the fixture, to change it.
pub(crate) fn workload<'a>(mesh: &'a mut Mesh, name: &str) -> &'a mut Workload {
    mesh.workloads.get_mut(&key(name)).expect("the fixture has it")
}

/// A Service of the fixture, to change it.
pub(crate) fn service<'a>(mesh: &'a mut Mesh, name: &str) -> &'a mut Service {
    mesh.services.get_mut(&key(name)).expect("the fixture has it")
}

/// An HTTPRoute on one port that sends everything to these backends by weight.
pub(crate) fn route(name: &str, parent: (&str, u16), backends: &[(&str, u16, u32)]) -> Route {
    let rule = RouteRule {
        name: "0".to_owned(),
        matches: vec![RouteMatch::default()],
        backends: backends
            .iter()
            .map(|(name, port, weight)| backend(name, *port, *weight))
            .collect(),
        ..Default::default()
    };
    Route {
        kind: RouteKind::Http,
        key: key(name),
        origin: origin("HTTPRoute", name),
        created: 0,
        parents: vec![(key(parent.0), parent.1)],
        hostnames: vec![],
        rules: vec![rule],
    }
}

/// A backend that exists, if the fixture has it.
pub(crate) fn backend(name: &str, port: u16, weight: u32) -> BackendRef {
    BackendRef {
        weight,
        backend: Backend::Service(key(name), port),
        request_headers: HeaderFilter::default(),
        response_headers: HeaderFilter::default(),
        hostname: None,
    }
}

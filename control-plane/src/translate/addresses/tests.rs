//! Which addresses a Service port is found at.

use std::net::{IpAddr, SocketAddr};

use prost::Message as _;
use weft_proto::config::{Address, Addresses};

use crate::model::{AppProtocol, Mesh, TargetPort};
use crate::translate::fixture::{add_service, service, shop, workload};
use crate::translate::{ResourceType, translate};

fn found(mesh: &Mesh, name: &str) -> Option<(Vec<SocketAddr>, Vec<SocketAddr>)> {
    let set = translate(mesh, "");
    let resource = set.get(ResourceType::Addresses, name)?;
    let Addresses { service, endpoints } = Addresses::decode(resource.body()).unwrap();
    Some((service.iter().map(decoded).collect(), endpoints.iter().map(decoded).collect()))
}

fn decoded(address: &Address) -> SocketAddr {
    let ip = match <[u8; 4]>::try_from(address.ip.as_slice()) {
        Ok(four) => IpAddr::from(four),
        Err(_) => IpAddr::from(<[u8; 16]>::try_from(address.ip.as_slice()).unwrap()),
    };
    SocketAddr::new(ip, u16::try_from(address.port).unwrap())
}

fn at(addresses: &[&str]) -> Vec<SocketAddr> {
    addresses.iter().map(|address| address.parse().unwrap()).collect()
}

/// As in a cluster: the workloads have addresses that others can dial.
fn pods() -> Mesh {
    let mut mesh = shop();
    for (number, name) in ["web-1", "product-v1", "product-v2", "db-1"].into_iter().enumerate() {
        workload(&mut mesh, name).address = [10, 244, 0, u8::try_from(number).unwrap()].into();
    }
    mesh
}

#[test]
fn a_service_is_found_at_its_own_addresses_and_at_those_of_its_workloads() {
    let mut mesh = pods();
    service(&mut mesh, "product").cluster_ips =
        vec![[10, 96, 0, 7].into(), "fd00::7".parse().unwrap()];
    let (own, workloads) = found(&mesh, "product.shop:8080").unwrap();
    assert_eq!(own, at(&["10.96.0.7:8080", "[fd00::7]:8080"]));
    assert_eq!(workloads, at(&["10.244.0.1:8080", "10.244.0.2:8080"]));
}

#[test]
fn a_workload_of_two_services_stands_for_itself() {
    let mut mesh = pods();
    add_service(&mut mesh, "also", 80, AppProtocol::Http);
    let also = service(&mut mesh, "also");
    also.selector = [("app".to_owned(), "product".to_owned())].into();
    also.ports[0].target = TargetPort::Number(8080);
    also.cluster_ips = vec![[10, 96, 0, 8].into()];
    assert_eq!(found(&mesh, "also.shop:80").unwrap(), (at(&["10.96.0.8:80"]), vec![]));
    assert_eq!(found(&mesh, "product.shop:8080"), None);
    let itself = found(&mesh, "workload/product-v1.shop:8080").unwrap();
    assert_eq!(itself, (vec![], at(&["10.244.0.1:8080"])));
    assert!(translate(&mesh, "").check().is_ok());
    // Another port of the same workload is a place of its own.
    service(&mut mesh, "also").ports[0].target = TargetPort::Number(9090);
    assert_eq!(
        found(&mesh, "also.shop:80").unwrap().1,
        at(&["10.244.0.1:9090", "10.244.0.2:9090"])
    );
    assert_eq!(found(&mesh, "product.shop:8080").unwrap().1.len(), 2);
    assert_eq!(found(&mesh, "workload/product-v1.shop:8080"), None);
}

#[test]
fn a_workload_of_no_service_stands_for_itself_if_it_has_a_sidecar() {
    let mut mesh = pods();
    workload(&mut mesh, "web-1").labels.clear();
    workload(&mut mesh, "db-1").labels.clear();
    assert_eq!(found(&mesh, "workload/web-1.shop:80").unwrap().1, at(&["10.244.0.0:80"]));
    assert_eq!(found(&mesh, "workload/db-1.shop:5432"), None);
}

#[test]
fn nobody_is_found_at_an_address_that_means_another_place_on_each_machine() {
    assert_eq!(found(&shop(), "product.shop:8080"), None);
    assert_eq!(found(&pods(), "mail.shop:25"), None);
}

//! Versions follow content: every field counts, the order of maps does not.

use weft_proto::envoy::endpoint::{LbEndpoint, LocalityLbEndpoints};
use weft_proto::envoy::route::{Route, VirtualHost};

use super::super::value::{metadata_of, texts};
use super::*;

fn cluster(name: &str, metadata: Option<Metadata>) -> Version {
    let cluster = Cluster { name: name.to_owned(), metadata, ..Default::default() };
    encode(name, cluster).version
}

fn metadata(fields: &[(&str, &str)]) -> Option<Metadata> {
    Some(metadata_of([("weft.source", texts(fields))]))
}

#[test]
fn the_version_is_the_same_for_ever() {
    // A proxy compares versions of different builds when it reconnects. A change here is a change of
    // every version: everything is sent again once.
    assert_eq!(cluster("a", None).to_string(), "061e11b20c7d94a3");
    assert_eq!(cluster("a", metadata(&[("kind", "Service")])).to_string(), "a4c0f1070d78fc2b");
}

#[test]
fn every_difference_is_another_version() {
    let all = [
        cluster("a", None),
        cluster("b", None),
        cluster("a", Some(Metadata::default())),
        cluster("a", metadata(&[])),
        cluster("a", metadata(&[("kind", "Service")])),
        cluster("a", metadata(&[("kind", "Servic"), ("e", "")])),
        cluster("a", metadata(&[("kind", "Service"), ("name", "x")])),
        cluster("a", metadata(&[("kind", "Service"), ("name", "y")])),
    ];
    for (index, version) in all.iter().enumerate() {
        assert!(!all[..index].contains(version), "{index}");
    }
}

#[test]
fn the_order_of_a_map_is_no_difference() {
    let fields = [("a", "1"), ("b", "2"), ("c", "3"), ("d", "4"), ("e", "5"), ("f", "6")];
    let version = cluster("x", metadata(&fields));
    for _ in 0..50 {
        // A new map, and so another order.
        assert_eq!(cluster("x", metadata(&fields)), version);
    }
}

#[test]
fn metadata_stays_where_it_was() {
    let with = |value: &str| metadata(&[("rule", value)]);
    let route = |metadata| Route { metadata, ..Default::default() };
    let host = |routes| VirtualHost { routes, ..Default::default() };
    let configuration = RouteConfiguration {
        virtual_hosts: vec![
            host(vec![route(with("1")), route(None)]),
            host(vec![route(with("2"))]),
        ],
        ..Default::default()
    };
    let resource = encode("r", configuration.clone());
    assert_eq!(RouteConfiguration::decode(resource.body()).unwrap(), configuration);

    let mut swapped = configuration;
    swapped.virtual_hosts[0].routes.swap(0, 1);
    assert_ne!(encode("r", swapped).version, resource.version);
}

#[test]
fn endpoint_metadata_counts() {
    let assignment = |value: &str| ClusterLoadAssignment {
        endpoints: vec![LocalityLbEndpoints {
            lb_endpoints: vec![LbEndpoint {
                metadata: metadata(&[("identity", value)]),
                ..Default::default()
            }],
            ..Default::default()
        }],
        ..Default::default()
    };
    assert_ne!(encode("e", assignment("x")).version, encode("e", assignment("y")).version);
}

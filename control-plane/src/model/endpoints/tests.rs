//! The index and the walk agree.

use proptest::prelude::*;

use super::*;

fn labels() -> impl Strategy<Value = std::collections::BTreeMap<String, String>> {
    proptest::collection::btree_map("[ab]", "[xy]", 0..3)
}

fn workload(key: &Key, labels: std::collections::BTreeMap<String, String>) -> Workload {
    Workload {
        key: key.clone(),
        origin: super::super::Origin::default(),
        address: std::net::Ipv4Addr::LOCALHOST.into(),
        ports: Vec::new(),
        service_account: "default".to_owned(),
        labels,
        meshed: true,
        probes: vec![],
        locality: Default::default(),
        draining: false,
    }
}

proptest! {
    #[test]
    fn the_index_finds_what_walking_finds(
        all in proptest::collection::btree_map("[mn]/[0-9]", labels(), 0..12),
        selector in labels(),
    ) {
        let mut mesh = Mesh::default();
        for (name, labels) in all {
            let (namespace, name) = name.split_once('/').unwrap();
            let key = Key::new(namespace, name);
            mesh.workloads.insert(key.clone(), workload(&key, labels));
        }
        let service = Service {
            key: Key::new("m", "s"),
            origin: super::super::Origin::default(),
            cluster_ips: vec![],
            ports: Vec::new(),
            selector,
            listed: None,
        };
        let keys = |found: Vec<&Workload>| found.into_iter().map(|w| w.key.clone()).collect::<Vec<_>>();
        let found = keys(mesh.endpoint_index().workloads_of(&service));
        let walked = keys(mesh.workloads_of(&service));
        prop_assert_eq!(found, walked);
    }
}

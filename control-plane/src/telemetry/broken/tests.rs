//! Who is listed.

use super::*;
use crate::testing::mesh;

#[test]
fn workloads_of_the_mesh_whose_sidecars_speak() {
    let mesh = mesh(&["product", "payment"]);
    let ids: Vec<String> = mesh
        .workloads
        .keys()
        .map(|key| names::workload(&key.name, &key.namespace))
        .chain(["gone.shop".to_owned()])
        .collect();
    let state = |broken: bool, reported| ProxyState {
        broken: broken.then_some(Broken { since: 1_800_000_000, calls: 7 }),
        reported,
        ..ProxyState::default()
    };
    let listed = |states: Vec<ProxyState>| {
        let all = ids.iter().map(String::as_str).zip(&states);
        let listed = list(all, &mesh, 100);
        listed.into_iter().map(|one| (one.workload, one.since, one.calls)).collect::<Vec<_>>()
    };
    assert_eq!(listed(vec![state(false, 100), state(false, 100), state(true, 100)]), []);
    let all = listed(vec![state(true, 70), state(true, 69), state(true, 100)]);
    assert_eq!(all, [(ids[0].clone(), "2027-01-15T08:00:00Z".to_owned(), 7)]);
}

//! What is shifted when something is in use.

use super::*;

fn chosen(port: u16, is_taken: impl Fn(SocketAddr) -> bool) -> Layout {
    choose(port, |address| (!is_taken(address)).then_some(())).unwrap().0
}

fn all(layout: &Layout) -> Vec<SocketAddr> {
    let mut all = vec![layout.control_plane, layout.control_plane_health, layout.front()];
    for workload in &layout.workloads {
        all.extend([workload.inbound, workload.app, workload.health]);
        all.extend(workload.upstreams.iter().map(|(_, address)| *address));
    }
    all
}

#[test]
fn on_a_free_machine_everything_is_where_the_manifests_say() {
    let layout = chosen(8080, |_| false);
    assert!(layout.is_usual() && layout.shifted.is_empty());
    assert_eq!(layout.front().to_string(), "127.0.0.1:8080");
    assert_eq!(layout.workloads[3].inbound.to_string(), "127.66.0.4:8080");
    assert_eq!(layout.workloads[0].upstreams.len(), 3);
}

#[test]
fn a_program_on_8080_of_all_addresses_shifts_the_port_everywhere() {
    let layout = chosen(8080, |address| address.port() == 8080);
    assert_eq!((layout.network, layout.port), (0, 8081));
    assert!(layout.workloads.iter().all(|workload| workload.inbound.port() == 8081));
    assert!(!layout.is_usual());
    assert!(layout.shifted[0].contains("8081"), "{:?}", layout.shifted);
}

#[test]
fn a_second_demo_gets_addresses_and_a_port_of_its_own() {
    let first = chosen(8080, |_| false);
    let claims: [SocketAddr; 2] =
        ["127.66.0.254:15000".parse().unwrap(), "127.66.255.254:8080".parse().unwrap()];
    let second = chosen(8080, |address| claims.contains(&address));
    assert_eq!((second.network, second.port), (1, 8081));
    assert!(all(&second).iter().all(|address| !all(&first).contains(address)));
}

#[test]
fn nothing_is_given_away_twice_even_if_ports_collide() {
    // The shop's port is where health would be, and the app's port is taken on every address.
    let layout = chosen(15020, |address| address.port() == 18080);
    let mut addresses = all(&layout);
    addresses.sort();
    let count = addresses.len();
    addresses.dedup();
    assert_eq!(addresses.len(), count);
    assert_eq!(layout.workloads[0].app.port(), 18081);
}

#[test]
fn nothing_free_is_an_error_that_says_what_to_do() {
    let refused = choose(8080, |address| (address.port() == CLAIM).then_some(())).unwrap_err();
    assert!(refused.to_string().contains("--port"), "{refused}");
}

#[test]
fn real_sockets_hold_the_claim() {
    let (first, _held) = Layout::choose(38_080).unwrap();
    let (second, _also_held) = Layout::choose(38_080).unwrap();
    assert_ne!(first.network, second.network);
    assert_ne!(first.port, second.port);
}

//! What a change does to the snapshot, and what survives it.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use weft_proto::origin::Origin;

use super::{Standing, State};
use crate::model::{
    Addresses, AppProtocol, Balancer, BudgetSpec, ClusterSpec, EndpointSpec, EndpointsSpec,
    HostPattern, InboundListener, LimitsSpec, Locality, OutboundListener, OutlierSpec, RouteTable,
    Tracing, VirtualHost,
};
use crate::telemetry::metrics::Metrics;
use crate::xds::{Change, Kind};

const NAME: &str = "product.shop:8080";

fn listener() -> Change {
    Change::Outbound(OutboundListener {
        name: NAME.into(),
        origin: Origin::default(),
        protocol: AppProtocol::Http,
        routes: Some(NAME.into()),
        affinity: None,
        http: crate::model::HttpSettings::default(),
        tcp_cluster: None,
        tracing: Tracing::default(),
    })
}

fn routes() -> Change {
    let hosts = vec![VirtualHost { hosts: vec![HostPattern::Any], rules: Vec::new() }];
    Change::Routes(RouteTable {
        name: NAME.into(),
        hosts,
        fallback: None,
        clusters: vec![NAME.into()],
    })
}

fn cluster() -> Change {
    Change::Cluster(ClusterSpec {
        name: NAME.into(),
        origin: Origin::default(),
        connect_timeout: Duration::from_secs(1),
        balancer: Balancer::RoundRobin,
        prefer_local: false,
        slow_start: None,
        health_check: None,
        limits: LimitsSpec::default(),
        outlier: OutlierSpec {
            consecutive_failures: 5,
            max_ejected_percent: 50,
            ..OutlierSpec::default()
        },
        budget: BudgetSpec { percent: 20, min_per_second: 10 },
    })
}

fn endpoints(ports: &[u16]) -> Change {
    let endpoints = ports.iter().map(|port| EndpointSpec {
        address: ([127, 0, 0, 1], *port).into(),
        workload: "product.shop".into(),
        identity: None,
        weight: 1,
    });
    Change::Endpoints(EndpointsSpec {
        cluster: NAME.into(),
        endpoints: endpoints.map(Into::into).collect(),
    })
}

fn state() -> State {
    State::new([NAME.to_owned()], 1, Metrics::new(std::time::SystemTime::now()))
}

#[test]
fn a_target_opens_when_listener_and_routes_are_there() {
    let state = state();
    let target = state.target(NAME).unwrap();
    state.apply(vec![listener()]);
    assert!(target.load().is_none());
    state.apply(vec![endpoints(&[1]), cluster(), routes()]);
    let config = target.load().unwrap();
    assert_eq!(config.clusters[0].as_ref().unwrap().endpoints.len(), 1);
}

#[test]
fn an_endpoint_that_stays_keeps_its_history_and_an_old_snapshot_stays_whole() {
    let state = state();
    let target = state.target(NAME).unwrap();
    state.apply(vec![endpoints(&[1, 2]), cluster(), routes(), listener()]);
    let before = target.load().unwrap();
    state.apply(vec![endpoints(&[2, 3])]);
    let after = target.load().unwrap();
    let [old, new] = [&before, &after].map(|config| config.clusters[0].clone().unwrap());
    assert_eq!(old.endpoints.len(), 2);
    assert!(Arc::ptr_eq(&old.endpoints[1], &new.endpoints[0]));
    assert!(Arc::ptr_eq(&old.shared, &new.shared));
    assert_eq!(new.endpoints[1].spec.address.port(), 3);
}

#[test]
fn a_cluster_that_goes_leaves_a_hole_not_a_panic() {
    let state = state();
    let target = state.target(NAME).unwrap();
    state.apply(vec![endpoints(&[1]), cluster(), routes(), listener()]);
    state.apply(vec![Change::Removed(Kind::Cluster, NAME.into())]);
    assert!(target.load().unwrap().clusters[0].is_none());
    state.apply(vec![Change::Removed(Kind::Listener, NAME.into())]);
    assert!(target.load().is_none());
}

#[test]
fn a_proxy_that_learns_where_it_is_prefers_what_is_near() {
    let place =
        |zone: &str| Locality { region: "eu".into(), zone: zone.into(), sub_zone: String::new() };
    let state = state().at(place("a"));
    let Change::Cluster(spec) = cluster() else { panic!("a cluster") };
    let Change::Endpoints(mut placed) = endpoints(&[1, 2]) else { panic!("endpoints") };
    for (endpoint, zone) in placed.endpoints.iter_mut().zip(["a", "b"]) {
        endpoint.locality = place(zone);
    }
    let spec = Change::Cluster(ClusterSpec { prefer_local: true, ..spec });
    state.apply(vec![Change::Endpoints(placed), spec, routes(), listener()]);
    let target = state.target(NAME).unwrap();
    let chosen = || {
        let cluster = target.load().unwrap().clusters[0].clone().unwrap();
        let first = (0..2).find(|number| cluster.priority(*number) == Some(0)).unwrap();
        cluster.endpoints[first].spec.address.port()
    };
    assert_eq!(chosen(), 1);
    state.apply(vec![Change::Inbound(InboundListener {
        name: "inbound/shop/web".into(),
        origin: Origin::default(),
        ports: [].into(),
        limits: [].into(),
        access: [].into(),
        probes: [].into(),
        place: Some(place("b")),
        http: crate::model::HttpSettings::default(),
        tracing: Tracing::default(),
        logging: crate::model::Logging::default(),
    })]);
    assert_eq!(chosen(), 2);
}

/// One that intercepts connections, and whom it asks.
fn intercepting() -> (State, UnboundedReceiver<Arc<str>>) {
    let (asked, names) = unbounded_channel();
    let state = State::new([], 1, Metrics::new(std::time::SystemTime::now()));
    (state.intercepting(asked), names)
}

fn found(last: u8) -> Change {
    let name = if last == 1 { NAME.into() } else { format!("s{last}.shop:80").into() };
    let service = vec![([10, 96, 0, last], 80).into()];
    Change::Addresses(vec![Addresses { listener: name, service, endpoints: Vec::new() }])
}

#[test]
fn only_what_is_called_becomes_a_target_and_goes_when_nobody_uses_it() {
    let (state, _names) = intercepting();
    state.apply(vec![found(1), found(2), found(3)]);
    assert_eq!((state.targets().len(), state.never_called()), (0, 3));
    let listed = |state: &State| -> Vec<(String, bool)> {
        let all = state.upstreams();
        all.iter().map(|(name, target)| (name.to_string(), target.is_some())).collect()
    };
    let row = |name: &str, called| (name.to_owned(), called);
    let none = [row(NAME, false), row("s2.shop:80", false), row("s3.shop:80", false)];
    assert_eq!(listed(&state), none);
    let destination = state.destination(([10, 96, 0, 2], 80).into()).unwrap();
    let again = state.destination(([10, 96, 0, 2], 80).into()).unwrap();
    assert!(Arc::ptr_eq(&destination.target, &again.target));
    assert_eq!((state.targets().len(), state.never_called()), (1, 2));
    assert_eq!(listed(&state)[1], row("s2.shop:80", true));
    state.forget_unused();
    assert_eq!(state.targets().len(), 1, "it is held");
    drop((destination, again));
    state.forget_unused();
    assert_eq!(listed(&state), none);
    // One whose server speaks first is remembered as long as it is there.
    state.destination(([10, 96, 0, 3], 80).into()).unwrap().target.spoke_first(true);
    state.forget_unused();
    assert!(state.destination(([10, 96, 0, 3], 80).into()).unwrap().target.is_server_first());
    state.apply(vec![Change::Removed(Kind::Addresses, "s3.shop:80".into())]);
    assert_eq!((state.targets().len(), state.never_called()), (0, 2));
}

#[test]
fn what_is_configured_is_a_target_whichever_came_first() {
    let all = || vec![endpoints(&[1]), cluster(), routes(), listener()];
    for addresses_first in [true, false] {
        let (state, _names) = intercepting();
        if addresses_first {
            state.apply(vec![found(1)]);
            state.apply(all());
        } else {
            state.apply(all());
            assert!(state.target(NAME).is_none(), "found nowhere");
            state.apply(vec![found(1)]);
        }
        state.adopt();
        state.forget_unused();
        let target = state.target(NAME).unwrap();
        assert_eq!(target.standing(), Standing::InForce);
        assert!(target.retire(Duration::ZERO), "it was subscribed");
        drop(target);
        state.forget_unused();
        assert!(state.target(NAME).is_some(), "its configuration is still there");
        state.apply(vec![Change::Removed(Kind::Listener, NAME.into())]);
        state.forget_unused();
        assert!(state.target(NAME).is_none());
    }
}

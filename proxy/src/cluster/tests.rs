//! Which endpoint is chosen, for each balancer, with weights, ejection and avoidance.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weft_proto::origin::Origin;

use super::{Ask, Circuit, Cluster, Endpoint, Outcome, Sample};
use crate::model::{
    Balancer, BudgetSpec, ClusterSpec, EndpointSpec, HashPolicy, HashSource, LimitsSpec, Locality,
    OutlierSpec, PeakEwma, PlacedEndpoint, RingHash,
};
use crate::random::Random;

mod balancing;

const SETTINGS: PeakEwma =
    PeakEwma { decay: Duration::from_secs(10), default_rtt: Duration::from_millis(30) };
pub(super) const EWMA: Balancer = Balancer::PeakEwma(SETTINGS);

pub(super) fn ask(random: &Random, now: Instant) -> Ask<'_> {
    Ask { random, now, tried: &[], session: None, only: None, hash: None }
}

fn answered(endpoint: &Endpoint, time: Duration, now: Instant) {
    endpoint.latency.note(Sample::Answered(time), SETTINGS, now);
}

pub(super) fn cluster(balancer: Balancer, weights: &[u32]) -> Cluster {
    limited_to(balancer, weights, 100)
}

pub(super) fn limited_to(balancer: Balancer, weights: &[u32], max_ejected_percent: u32) -> Cluster {
    let spec = ClusterSpec {
        name: "c".into(),
        origin: Origin::default(),
        connect_timeout: Duration::from_secs(1),
        balancer,
        prefer_local: false,
        slow_start: None,
        health_check: None,
        limits: LimitsSpec::default(),
        outlier: OutlierSpec {
            consecutive_failures: 1,
            max_ejected_percent,
            ..OutlierSpec::default()
        },
        budget: BudgetSpec { percent: 20, min_per_second: 10 },
    };
    let endpoints: Vec<_> = weights
        .iter()
        .zip(1..)
        .map(|(weight, port)| EndpointSpec {
            address: ([127, 0, 0, 1], port).into(),
            workload: format!("w{port}"),
            identity: None,
            weight: *weight,
        })
        .map(PlacedEndpoint::from)
        .collect();
    Cluster::next(None, Arc::new(spec), &endpoints, &Locality::default(), 1)
}

/// One failure of this endpoint; the policy of these tests ejects at the first.
pub(super) fn fail(cluster: &Cluster, endpoint: usize) {
    let (random, endpoint) = (Random::seeded(5), &cluster.endpoints[endpoint]);
    cluster.note(endpoint, None, Outcome::Status(500), &random, Instant::now());
}

fn spread(cluster: &Cluster, picks: usize) -> Vec<usize> {
    let (random, now) = (Random::seeded(3), Instant::now());
    let mut counts = vec![0; cluster.endpoints.len()];
    for _ in 0..picks {
        let port = cluster.pick(&ask(&random, now)).unwrap().spec.address.port();
        counts[usize::from(port) - 1] += 1;
    }
    counts
}

#[test]
fn round_robin_takes_turns_by_weight() {
    assert_eq!(spread(&cluster(Balancer::RoundRobin, &[1, 1, 1]), 300), [100, 100, 100]);
    assert_eq!(spread(&cluster(Balancer::RoundRobin, &[2, 4, 6]), 600), [100, 200, 300]);
}

#[test]
fn random_and_two_choices_spread_evenly_over_equals() {
    for balancer in [Balancer::Random, Balancer::LeastRequest, EWMA] {
        for count in spread(&cluster(balancer.clone(), &[1; 4]), 4000) {
            // Five standard deviations of a binomial with p = 1/4 are 137.
            assert!(count.abs_diff(1000) < 137, "{balancer:?}: {count}");
        }
    }
}

#[test]
fn two_choices_avoid_the_loaded_and_the_slow() {
    let loaded = cluster(Balancer::LeastRequest, &[1, 1]);
    let _in_flight = loaded.endpoints[0].begin();
    assert_eq!(spread(&loaded, 100), [0, 100]);
    let slow = cluster(EWMA, &[1, 1]);
    let now = Instant::now();
    answered(&slow.endpoints[0], Duration::from_millis(500), now);
    answered(&slow.endpoints[1], Duration::from_millis(5), now);
    assert_eq!(spread(&slow, 100), [0, 100]);
}

#[test]
fn a_new_endpoint_is_tried_with_one_request_before_it_gets_more() {
    let cluster = cluster(EWMA, &[1, 1]);
    let now = Instant::now();
    answered(&cluster.endpoints[0], Duration::from_millis(1), now);
    assert_eq!(spread(&cluster, 10), [0, 10]);
    let first = cluster.endpoints[1].begin();
    assert_eq!(spread(&cluster, 10), [10, 0], "it is being found out");
    drop(first);
    answered(&cluster.endpoints[1], Duration::from_micros(100), now);
    assert_eq!(spread(&cluster, 10), [0, 10], "it is faster");
}

#[test]
fn ejected_endpoints_are_left_out_until_all_are() {
    for balancer in [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest, EWMA] {
        let cluster = cluster(balancer.clone(), &[1; 3]);
        fail(&cluster, 1);
        let counts = spread(&cluster, 300);
        assert_eq!(counts[1], 0, "{balancer:?}");
        assert!(counts[0] > 80 && counts[2] > 80, "{balancer:?}: {counts:?}");
        fail(&cluster, 0);
        fail(&cluster, 2);
        assert!(spread(&cluster, 300).iter().all(|count| *count > 60), "{balancer:?}");
    }
}

#[test]
fn the_one_that_failed_is_taken_only_if_no_other_is_left() {
    let (random, now) = (Random::seeded(3), Instant::now());
    for balancer in [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest, EWMA] {
        let two = cluster(balancer.clone(), &[1, 1]);
        for _ in 0..50 {
            let picked =
                two.pick(&Ask { tried: &two.endpoints[..1], ..ask(&random, now) }).unwrap();
            assert!(Arc::ptr_eq(picked, &two.endpoints[1]));
        }
        let one = cluster(balancer.clone(), &[1]);
        assert!(one.pick(&Ask { tried: &one.endpoints, ..ask(&random, now) }).is_some());
        assert!(cluster(balancer.clone(), &[]).pick(&ask(&random, now)).is_none());
    }
}

pub(super) fn ring(keyed: bool) -> Balancer {
    let source = HashSource::SourceAddress;
    let policies = if keyed { vec![HashPolicy { source, terminal: true }] } else { vec![] };
    Balancer::RingHash(RingHash { policies, ..RingHash::default() })
}

#[test]
fn a_key_stays_with_its_endpoint_and_no_key_is_random() {
    let cluster = cluster(ring(true), &[1; 4]);
    let (random, now) = (Random::seeded(3), Instant::now());
    let of = |hash| cluster.pick(&Ask { hash: Some(hash), ..ask(&random, now) }).unwrap();
    for hash in [0, 1 << 20, u64::MAX / 3, u64::MAX] {
        assert!((0..20).all(|_| Arc::ptr_eq(of(hash), of(hash))));
    }
    // The shares of the ring are uneven, as any ring's.
    assert!(spread(&cluster, 4000).iter().all(|count| *count > 700));
}

#[test]
fn a_key_whose_endpoint_is_out_has_another_one_and_comes_back() {
    let cluster = cluster(ring(true), &[1; 4]);
    let (random, now) = (Random::seeded(3), Instant::now());
    let ask = Ask { hash: Some(u64::MAX / 3), ..ask(&random, now) };
    let own = Arc::clone(cluster.pick(&ask).unwrap());
    let number = cluster.endpoints.iter().position(|e| Arc::ptr_eq(e, &own)).unwrap();
    fail(&cluster, number);
    let out = Ask { now: now + Duration::from_millis(50), ..ask };
    let other = cluster.pick(&out).unwrap();
    assert!(!Arc::ptr_eq(other, &own));
    assert!((0..20).all(|_| Arc::ptr_eq(cluster.pick(&out).unwrap(), other)), "always the same");
    let back = Ask { now: now + Duration::from_secs(60), ..ask };
    assert!(Arc::ptr_eq(cluster.pick(&back).unwrap(), &own));
}

#[test]
fn with_less_than_half_usable_all_are_used() {
    let cluster = cluster(Balancer::Random, &[1; 5]);
    for number in 0..2 {
        fail(&cluster, number);
    }
    let counts = spread(&cluster, 1000);
    assert_eq!((counts[0], counts[1]), (0, 0), "three of five are enough");
    fail(&cluster, 2);
    // Who is usable is counted anew some milliseconds later.
    let later = Instant::now() + Duration::from_millis(50);
    let random = Random::seeded(3);
    let picks: Vec<_> = (0..1000).map(|_| cluster.pick(&ask(&random, later)).unwrap()).collect();
    for endpoint in &cluster.endpoints {
        assert!(picks.iter().filter(|picked| Arc::ptr_eq(picked, endpoint)).count() > 100);
    }
}

#[test]
fn the_share_that_may_be_out_is_kept_by_many_workers_at_once() {
    for _ in 0..200 {
        let cluster = Arc::new(limited_to(Balancer::Random, &[1; 8], 50));
        let workers: Vec<_> = (0..4)
            .map(|worker| {
                let cluster = Arc::clone(&cluster);
                std::thread::spawn(move || {
                    (0..8).for_each(|place| fail(&cluster, (place + 2 * worker) % 8));
                })
            })
            .collect();
        workers.into_iter().for_each(|worker| worker.join().unwrap());
        let out = cluster.endpoints.iter().filter(|endpoint| !endpoint.outlier.is_closed());
        assert_eq!(out.count(), 4);
    }
}

#[test]
fn an_endpoint_comes_back_through_one_trial() {
    for balancer in [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest, EWMA] {
        let (cluster, random) = (cluster(balancer.clone(), &[1; 3]), Random::seeded(3));
        let sick = &cluster.endpoints[1];
        fail(&cluster, 1);
        let later = Instant::now() + Duration::from_secs(31);
        let mut trials = Vec::new();
        for _ in 0..300 {
            let (picked, trial) = cluster.choose(&ask(&random, later)).unwrap();
            assert_eq!(trial.is_some(), Arc::ptr_eq(picked, sick), "{balancer:?}");
            trials.extend(trial);
        }
        assert_eq!(trials.len(), 1, "{balancer:?}");
        assert_eq!(sick.outlier.circuit(later), Circuit::HalfOpen);
        cluster.note(sick, trials.pop(), Outcome::Overload, &random, later);
        assert_eq!(sick.outlier.circuit(later), Circuit::Closed, "it is busy, not ill");
        fail(&cluster, 1);
        let later = later + Duration::from_secs(301);
        let trial = (0..300).find_map(|_| cluster.choose(&ask(&random, later)).unwrap().1);
        cluster.note(sick, trial, Outcome::Local, &random, later);
        assert!(matches!(sick.outlier.circuit(later), Circuit::Open(_)));
        let counts: Vec<_> = cluster.shared.ejections().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 0, 0, 0, 1]);
    }
}

#[test]
fn a_session_stays_with_its_endpoint_while_that_is_usable() {
    let cluster = cluster(Balancer::RoundRobin, &[1; 3]);
    let (random, now) = (Random::seeded(3), Instant::now());
    let own = cluster.endpoints[1].spec.address;
    let ask = Ask { session: Some(own), ..ask(&random, now) };
    assert!((0..10).all(|_| cluster.pick(&ask).unwrap().spec.address == own));
    fail(&cluster, 1);
    assert!((0..10).all(|_| cluster.pick(&ask).unwrap().spec.address != own));
    let stranger = Ask { session: Some(([127, 0, 0, 9], 1).into()), ..ask };
    assert!(cluster.pick(&stranger).is_some());
}

fn placed(places: &[(&str, bool)], spec: ClusterSpec) -> Cluster {
    let place = |((zone, draining), number): (&(&str, bool), u16)| PlacedEndpoint {
        locality: Locality { region: "eu".into(), zone: (*zone).into(), sub_zone: String::new() },
        draining: *draining,
        ..EndpointSpec {
            address: ([127, 0, 0, 1], number).into(),
            workload: String::new(),
            identity: None,
            weight: 1,
        }
        .into()
    };
    let endpoints: Vec<_> = places.iter().zip(1..).map(place).collect();
    Cluster::next(None, Arc::new(spec), &endpoints, &own(), 1)
}

#[test]
fn the_near_ones_are_used_until_too_few_are_usable_and_then_the_load_spills() {
    for balancer in [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest, EWMA] {
        let spec = (*cluster(balancer.clone(), &[1]).spec).clone();
        let places: Vec<_> = [("a", false); 4].into_iter().chain([("b", false); 4]).collect();
        let cluster = placed(&places, ClusterSpec { prefer_local: true, ..spec });
        let near = |cluster: &Cluster| spread(cluster, 1000)[..4].iter().sum::<usize>();
        assert_eq!(near(&cluster), 1000, "{balancer:?}");
        fail(&cluster, 0);
        // A new version counts anew: the old one keeps its count for a moment.
        let cluster = Cluster::next(
            Some(&cluster),
            Arc::clone(&cluster.spec),
            &again(&cluster, &places),
            &own(),
            1,
        );
        assert_eq!(near(&cluster), 1000, "three of four are enough");
        fail(&cluster, 1);
        let cluster = Cluster::next(
            Some(&cluster),
            Arc::clone(&cluster.spec),
            &again(&cluster, &places),
            &own(),
            1,
        );
        // Two of four can take 70 %.
        let (near, counts) = (near(&cluster), spread(&cluster, 1000));
        assert!((620..780).contains(&near), "{balancer:?}: {near}");
        assert_eq!((counts[0], counts[1]), (0, 0), "{balancer:?}");
    }
}

fn own() -> Locality {
    Locality { region: "eu".into(), zone: "a".into(), sub_zone: String::new() }
}

fn again(cluster: &Cluster, places: &[(&str, bool)]) -> Vec<PlacedEndpoint> {
    let place = |(endpoint, (zone, draining)): (&Arc<Endpoint>, &(&str, bool))| PlacedEndpoint {
        spec: endpoint.spec.clone(),
        locality: Locality { zone: (*zone).into(), ..own() },
        draining: *draining,
    };
    cluster.endpoints.iter().zip(places).map(place).collect()
}

#[test]
fn who_drains_is_used_by_nobody_while_another_is_left() {
    let spec = (*cluster(Balancer::RoundRobin, &[1]).spec).clone();
    let cluster = placed(&[("a", true), ("a", false), ("a", false)], spec.clone());
    let (random, now) = (Random::seeded(3), Instant::now());
    assert_eq!(spread(&cluster, 100), [0, 50, 50]);
    let own = cluster.endpoints[0].spec.address;
    let ask = Ask { session: Some(own), ..ask(&random, now) };
    assert_ne!(cluster.pick(&ask).unwrap().spec.address, own, "its sessions move too");
    // It is no failed endpoint: the others do not panic.
    fail(&cluster, 1);
    assert_eq!(spread(&cluster, 100)[0], 0);
    assert_eq!(
        spread(&placed(&[("a", true), ("a", true)], spec), 100),
        [50, 50],
        "they still serve"
    );
}

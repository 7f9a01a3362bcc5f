//! Which endpoint is chosen, for each balancer, with weights, ejection and avoidance.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::Instant;
use weft_proto::origin::Origin;

use super::{Circuit, Cluster, Endpoint, Outcome, Sample};
use crate::model::{
    Balancer, BudgetSpec, ClusterSpec, EndpointSpec, LimitsSpec, OutlierSpec, PeakEwma,
};
use crate::random::Random;

mod balancing;

const SETTINGS: PeakEwma =
    PeakEwma { decay: Duration::from_secs(10), default_rtt: Duration::from_millis(30) };
const EWMA: Balancer = Balancer::PeakEwma(SETTINGS);

fn answered(endpoint: &Endpoint, time: Duration, now: Instant) {
    endpoint.latency.note(Sample::Answered(time), SETTINGS, now);
}

fn cluster(balancer: Balancer, weights: &[u32]) -> Cluster {
    limited_to(balancer, weights, 100)
}

fn limited_to(balancer: Balancer, weights: &[u32], max_ejected_percent: u32) -> Cluster {
    let spec = ClusterSpec {
        name: "c".into(),
        origin: Origin::default(),
        connect_timeout: Duration::from_secs(1),
        balancer,
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
        .collect();
    Cluster::next(None, Arc::new(spec), &endpoints, 1)
}

/// One failure of this endpoint; the policy of these tests ejects at the first.
fn fail(cluster: &Cluster, endpoint: usize) {
    let (random, endpoint) = (Random::seeded(5), &cluster.endpoints[endpoint]);
    cluster.note(endpoint, None, Outcome::Status(500), &random, Instant::now());
}

fn spread(cluster: &Cluster, picks: usize) -> Vec<usize> {
    let (random, now) = (Random::seeded(3), Instant::now());
    let mut counts = vec![0; cluster.endpoints.len()];
    for _ in 0..picks {
        let port = cluster.pick(&random, now, None).unwrap().spec.address.port();
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
        for count in spread(&cluster(balancer, &[1; 4]), 4000) {
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
        let cluster = cluster(balancer, &[1; 3]);
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
        let two = cluster(balancer, &[1, 1]);
        for _ in 0..50 {
            let picked = two.pick(&random, now, Some(&two.endpoints[0])).unwrap();
            assert!(Arc::ptr_eq(picked, &two.endpoints[1]));
        }
        let one = cluster(balancer, &[1]);
        assert!(one.pick(&random, now, Some(&one.endpoints[0])).is_some());
        assert!(cluster(balancer, &[]).pick(&random, now, None).is_none());
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
        let (cluster, random) = (cluster(balancer, &[1; 3]), Random::seeded(3));
        let sick = &cluster.endpoints[1];
        fail(&cluster, 1);
        let later = Instant::now() + Duration::from_secs(31);
        let mut trials = Vec::new();
        for _ in 0..300 {
            let (picked, trial) = cluster.choose(&random, later, None).unwrap();
            assert_eq!(trial.is_some(), Arc::ptr_eq(picked, sick), "{balancer:?}");
            trials.extend(trial);
        }
        assert_eq!(trials.len(), 1, "{balancer:?}");
        assert_eq!(sick.outlier.circuit(later), Circuit::HalfOpen);
        cluster.note(sick, trials.pop(), Outcome::Overload, &random, later);
        assert_eq!(sick.outlier.circuit(later), Circuit::Closed, "it is busy, not ill");
        fail(&cluster, 1);
        let later = later + Duration::from_secs(301);
        let trial = (0..300).find_map(|_| cluster.choose(&random, later, None).unwrap().1);
        cluster.note(sick, trial, Outcome::Local, &random, later);
        assert!(matches!(sick.outlier.circuit(later), Circuit::Open(_)));
        let counts: Vec<_> = cluster.shared.ejections().map(|(_, count)| count).collect();
        assert_eq!(counts, [2, 0, 0, 0, 1]);
    }
}

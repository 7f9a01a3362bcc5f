//! Whom a request may have: none that it has been at while there is another, and never one whose trial is under way.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Ask, Cluster, Endpoint, Trial};
use crate::cluster::tests::{EWMA, ask, cluster, fail, limited_to, ring};
use crate::cluster::{Circuit, Outcome};
use crate::model::Balancer;
use crate::random::Random;

fn balancers() -> [Balancer; 5] {
    [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest, EWMA, ring(true)]
}

/// Where a request goes whose every attempt fails.
fn journey(cluster: &Cluster, attempts: usize, now: Instant) -> Vec<usize> {
    let random = Random::seeded(3);
    let mut tried: Vec<Arc<Endpoint>> = Vec::new();
    for _ in 0..attempts {
        let ask = Ask { tried: &tried, hash: Some(7), ..ask(&random, now) };
        tried.push(Arc::clone(cluster.pick(&ask).unwrap()));
    }
    tried.iter().map(|endpoint| number(cluster, endpoint)).collect()
}

fn number(cluster: &Cluster, endpoint: &Arc<Endpoint>) -> usize {
    cluster.endpoints.iter().position(|other| Arc::ptr_eq(other, endpoint)).unwrap()
}

#[test]
fn every_endpoint_is_tried_before_any_is_tried_again() {
    for balancer in balancers() {
        for endpoints in 1..6 {
            let cluster = cluster(balancer.clone(), &vec![1; endpoints]);
            let way = journey(&cluster, endpoints + 3, Instant::now());
            let first: HashSet<_> = way[..endpoints].iter().collect();
            assert_eq!(first.len(), endpoints, "{balancer:?}: {way:?}");
            let twice = way.windows(2).any(|pair| pair[0] == pair[1]);
            assert!(endpoints == 1 || !twice, "{balancer:?}: not the last one again: {way:?}");
        }
    }
}

#[test]
fn an_ejected_endpoint_is_no_refuge_from_one_that_failed() {
    for balancer in balancers() {
        let cluster = cluster(balancer.clone(), &[1; 3]);
        fail(&cluster, 1);
        let way = journey(&cluster, 6, Instant::now() + Duration::from_millis(50));
        assert!(!way.contains(&1), "{balancer:?}: {way:?}");
    }
}

/// Two of three are out: all are used, each untried one first.
#[test]
fn in_panic_too_another_endpoint_comes_first() {
    for balancer in balancers() {
        let cluster = cluster(balancer.clone(), &[1; 3]);
        fail(&cluster, 0);
        fail(&cluster, 1);
        let way = journey(&cluster, 3, Instant::now() + Duration::from_millis(50));
        assert_eq!(way.iter().collect::<HashSet<_>>().len(), 3, "{balancer:?}: {way:?}");
    }
}

#[test]
fn in_panic_a_half_open_endpoint_has_one_trial_while_there_is_another() {
    for balancer in balancers() {
        let (cluster, random) = (cluster(balancer.clone(), &[1; 3]), Random::seeded(3));
        for endpoint in 0..3 {
            fail(&cluster, endpoint);
        }
        let start = Instant::now();
        let (early, due) = (start + Duration::from_millis(50), start + Duration::from_secs(31));
        let all = |now| (0..60).map(move |_| now);
        let reached: HashSet<_> = all(early)
            .map(|now| number(&cluster, cluster.choose(&ask(&random, now)).unwrap().0))
            .collect();
        assert_eq!(reached.len(), 3, "{balancer:?}: open ones are used");
        // All are due at once: three trials, and then nobody is left but those on trial.
        let mut trials = Vec::new();
        for place in 0..3 {
            let (endpoint, trial) = cluster.choose(&ask(&random, due)).unwrap();
            assert!(trial.is_some(), "{balancer:?}: {place}");
            trials.extend(trial.map(|trial| (Arc::clone(endpoint), trial)));
        }
        assert!(all(due).all(|now| cluster.choose(&ask(&random, now)).unwrap().1.is_none()));
        // One is back: it gets everything.
        let (well, trial) = trials.pop().unwrap();
        cluster.note(&well, Some(trial), Outcome::Success, &random, due);
        let chosen = all(due).map(|now| cluster.choose(&ask(&random, now)).unwrap());
        assert!({ chosen }.all(|(endpoint, _)| Arc::ptr_eq(endpoint, &well)), "{balancer:?}");
    }
}

/// What happens to a cluster; numbers are taken modulo what there is.
#[derive(Clone, Debug)]
enum Event {
    Begins { tried: Vec<usize>, key: u64 },
    Ends { which: usize, outcome: Outcome },
    Vanishes(usize),
    Passes(u64),
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        2 => Just(Outcome::Success),
        3 => Just(Outcome::Status(503)),
        2 => Just(Outcome::Local),
        1 => Just(Outcome::Overload),
    ];
    prop_oneof![
        6 => (prop::collection::vec(0..8_usize, 0..4), any::<u64>())
            .prop_map(|(tried, key)| Event::Begins { tried, key }),
        5 => (any::<usize>(), outcome).prop_map(|(which, outcome)| Event::Ends { which, outcome }),
        1 => any::<usize>().prop_map(Event::Vanishes),
        2 => (0..60_000_u64).prop_map(Event::Passes),
    ]
}

/// A request under way.
struct Request {
    endpoint: usize,
    trial: Option<Trial>,
}

/// A cluster and what the test itself knows of it.
struct Play {
    cluster: Cluster,
    random: Random,
    now: Instant,
    under_way: Vec<Request>,
}

impl Play {
    fn is_on_trial(&self, endpoint: usize) -> bool {
        self.under_way.iter().any(|request| request.endpoint == endpoint && request.trial.is_some())
    }

    fn begins(&mut self, tried: &[usize], key: u64) -> Result<(), TestCaseError> {
        let endpoints = &self.cluster.endpoints;
        let tried: Vec<_> =
            tried.iter().map(|number| Arc::clone(&endpoints[number % endpoints.len()])).collect();
        let half_open =
            |endpoint: &Endpoint| endpoint.outlier.circuit(self.now) == Circuit::HalfOpen;
        let were_half_open: Vec<_> = endpoints.iter().map(|endpoint| half_open(endpoint)).collect();
        let ask = Ask { tried: &tried, hash: Some(key), ..ask(&self.random, self.now) };
        let (picked, trial) = self.cluster.choose(&ask).unwrap();
        let endpoint = number(&self.cluster, picked);
        let is_trial = trial.is_some();
        if self.is_on_trial(endpoint) {
            prop_assert!(!is_trial, "two trials at once");
            let all = (0..endpoints.len()).all(|endpoint| self.is_on_trial(endpoint));
            prop_assert!(all, "others are there, and it went to one on trial");
        } else {
            prop_assert_eq!(is_trial, were_half_open[endpoint], "its first request is the trial");
        }
        let is_tried = |endpoint| tried.iter().any(|tried| Arc::ptr_eq(tried, endpoint));
        // Of the moment of the pick: the one that it chose may have become the trial since.
        let usable = |(number, endpoint): &(usize, &Arc<Endpoint>)| {
            (*number == self::number(&self.cluster, picked) && is_trial)
                || endpoint.is_usable(self.now)
        };
        let other = endpoints.iter().enumerate().filter(usable).any(|(_, e)| !is_tried(e));
        prop_assert!(!other || !is_tried(picked), "another endpoint comes first");
        self.under_way.push(Request { endpoint, trial });
        Ok(())
    }

    fn ends(&mut self, which: usize, outcome: Outcome) {
        if !self.under_way.is_empty() {
            let request = self.under_way.swap_remove(which % self.under_way.len());
            let endpoint = &self.cluster.endpoints[request.endpoint];
            self.cluster.note(endpoint, request.trial, outcome, &self.random, self.now);
        }
    }
}

proptest! {
    /// Whatever happens in whatever order, panic included.
    #[test]
    fn one_trial_at_a_time_and_another_endpoint_first(
        balancer in 0..5_usize, endpoints in 1..7_usize,
        percent in prop_oneof![Just(50_u32), Just(100)],
        events in prop::collection::vec(event(), 1..200),
    ) {
        let cluster = limited_to(balancers()[balancer].clone(), &vec![1; endpoints], percent);
        let (random, now) = (Random::seeded(9), Instant::now());
        let mut play = Play { cluster, random, now, under_way: Vec::new() };
        for event in events {
            match event {
                Event::Begins { tried, key } => play.begins(&tried, key)?,
                Event::Ends { which, outcome } => play.ends(which, outcome),
                Event::Vanishes(which) => if !play.under_way.is_empty() {
                    play.under_way.swap_remove(which % play.under_way.len());
                },
                Event::Passes(millis) => play.now += Duration::from_millis(millis),
            }
        }
    }
}

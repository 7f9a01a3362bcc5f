//! Shares: what each endpoint gets by its weight, and by Envoy's formula while it is new.

use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{MAX_PLACES, gcd, weighted_order};
use crate::cluster::tests::{EWMA, ask, cluster, fail, ring};
use crate::cluster::{Cluster, Outcome};
use crate::model::{Balancer, ClusterSpec, EndpointSpec, Locality, PlacedEndpoint, SlowStart};
use crate::random::Random;

const PICKS: u32 = 3000;

fn counts(cluster: &Cluster, picks: u32, now: Instant) -> Vec<u32> {
    let random = Random::seeded(3);
    let mut counts = vec![0; cluster.endpoints.len()];
    for _ in 0..picks {
        let picked = cluster.pick(&ask(&random, now)).unwrap();
        counts[cluster.endpoints.iter().position(|e| Arc::ptr_eq(e, picked)).unwrap()] += 1;
    }
    counts
}

/// Bernstein's bound: one count in ten million million is further off.
fn follows(counts: &[u32], shares: &[f64]) -> Result<(), TestCaseError> {
    let (picks, total) = (f64::from(counts.iter().sum::<u32>()), shares.iter().sum::<f64>());
    let rarity = 2e13_f64.ln();
    for (count, share) in counts.iter().zip(shares) {
        let share = share / total;
        let variance = picks * share * (1.0 - share);
        let bound = rarity / 3.0 + (rarity * rarity / 9.0 + 2.0 * rarity * variance).sqrt();
        let off = (f64::from(*count) - picks * share).abs();
        prop_assert!(off <= bound, "{counts:?}, not as {shares:?}");
    }
    Ok(())
}

/// Endpoints of these ages and weights, and now.
fn aged(spec: ClusterSpec, endpoints: &[(u32, u64)]) -> (Cluster, Instant) {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(async {
        let placed = |(weight, port): (u32, u16)| -> PlacedEndpoint {
            let address = ([127, 0, 0, 1], port).into();
            EndpointSpec { address, workload: String::new(), identity: None, weight }.into()
        };
        let (own, spec) = (Locality::default(), Arc::new(spec));
        let mut cluster = Cluster::next(None, Arc::clone(&spec), &[], &own, 1);
        let mut order: Vec<_> = endpoints.iter().zip(1..).collect();
        order.sort_by_key(|((_, age), _)| std::cmp::Reverse(*age));
        let mut before = order.first().map_or(0, |((_, age), _)| *age);
        let mut there = Vec::new();
        for ((weight, age), port) in order {
            tokio::time::advance(Duration::from_millis(before - age)).await;
            before = *age;
            there.push((*weight, port));
            let all: Vec<_> = there.iter().copied().map(placed).collect();
            cluster = Cluster::next(Some(&cluster), Arc::clone(&spec), &all, &own, 1);
        }
        tokio::time::advance(Duration::from_millis(before)).await;
        there.sort_by_key(|(_, port)| *port);
        let all: Vec<_> = there.into_iter().map(placed).collect();
        (Cluster::next(Some(&cluster), spec, &all, &own, 1), Instant::now())
    })
}

/// `envoy.extensions.load_balancing_policies.common.v3.SlowStartConfig`, as its documentation has it.
fn formula(slow: SlowStart, weight: u32, age: u64) -> f64 {
    let time_factor = age.max(1) as f64 / slow.window.as_millis() as f64;
    let part = if time_factor >= 1.0 { 1.0 } else { time_factor.powf(1.0 / slow.aggression) };
    f64::from(weight) * part.max(slow.minimum)
}

fn starting_slowly(balancer: Balancer, slow: SlowStart) -> ClusterSpec {
    ClusterSpec { slow_start: Some(slow), ..(*cluster(balancer, &[1]).spec).clone() }
}

#[test]
fn a_new_endpoint_among_old_ones() {
    let window = Duration::from_secs(10);
    for balancer in [Balancer::RoundRobin, Balancer::LeastRequest, EWMA] {
        for (aggression, minimum, age, part) in [
            (1.0, 0.1, 0, 0.1),
            (1.0, 0.1, 1000, 0.1),
            (1.0, 0.1, 5000, 0.5),
            (2.0, 0.1, 2500, 0.5),
            (0.5, 0.1, 5000, 0.25),
            (1.0, 0.3, 1000, 0.3),
            (1.0, 0.1, 10_000, 1.0),
        ] {
            let spec = starting_slowly(balancer.clone(), SlowStart { window, minimum, aggression });
            let old = (1, 60_000);
            let (cluster, now) = aged(spec, &[old, old, old, old, (1, age)]);
            let found = follows(&counts(&cluster, PICKS, now), &[1.0, 1.0, 1.0, 1.0, part]);
            assert!(found.is_ok(), "{balancer:?} {aggression} {minimum} {age}: {found:?}");
        }
    }
}

/// Nobody who is usable is old: they share by the formula among themselves.
#[test]
fn the_old_one_is_out() {
    let slow = SlowStart { window: Duration::from_secs(100), minimum: 0.01, aggression: 1.0 };
    for balancer in [Balancer::RoundRobin, Balancer::LeastRequest] {
        let ages = [200_000, 4000, 8000, 8000, 20_000];
        let (cluster, now) = aged(starting_slowly(balancer, slow), &ages.map(|age| (1, age)));
        let (old, random) = (&cluster.endpoints[0], Random::seeded(5));
        cluster.note(old, None, Outcome::Status(500), &random, now);
        let found = follows(&counts(&cluster, PICKS, now), &[0.0, 4.0, 8.0, 8.0, 20.0]);
        assert!(found.is_ok(), "{found:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn shares_grow_as_envoys(
        endpoints in prop::collection::vec((1..4_u32, 0..20_000_u64), 1..8),
        aggression in prop_oneof![Just(1.0), 0.2..5.0],
        minimum in 0.05..0.6,
        balancer in 0..2_usize,
    ) {
        let slow = SlowStart { window: Duration::from_secs(10), minimum, aggression };
        let balancer = [Balancer::RoundRobin, Balancer::LeastRequest][balancer].clone();
        let (cluster, now) = aged(starting_slowly(balancer, slow), &endpoints);
        let shares: Vec<_> =
            endpoints.iter().map(|(weight, age)| formula(slow, *weight, *age)).collect();
        let found = counts(&cluster, PICKS, now);
        follows(&found, &shares)?;
    }

    /// Each as often as its weight, and evenly: no row of turns gives anybody more than its share and a few.
    #[test]
    fn an_order_is_fair_in_every_part(weights in prop::collection::vec(1..60_u32, 1..9)) {
        let cluster = cluster(Balancer::RoundRobin, &weights);
        let members: Vec<_> = (0..weights.len()).collect();
        let order = weighted_order(&cluster.endpoints, &members);
        let divisor = weights.iter().map(|weight| u64::from(*weight)).fold(0, gcd);
        let total: u32 = weights.iter().sum();
        prop_assert_eq!(order.len() as u64 * divisor, u64::from(total));
        let mut seen = vec![0.0; weights.len()];
        for (place, number) in order.iter().enumerate() {
            seen[*number] += 1.0;
            for (seen, weight) in seen.iter().zip(&weights) {
                let due = (place + 1) as f64 * f64::from(*weight) / f64::from(total);
                let off: f64 = seen - due;
                prop_assert!(off.abs() <= 0.5 + weights.len() as f64 / 2.0, "{order:?}");
            }
        }
        for (seen, weight) in seen.iter().zip(&weights) {
            prop_assert_eq!(*seen * divisor as f64, f64::from(*weight));
        }
    }

    #[test]
    fn an_order_has_a_bound_and_everybody(weights in prop::collection::vec(any::<u32>(), 1..40)) {
        let cluster = cluster(Balancer::RoundRobin, &weights);
        let members: Vec<_> = (0..weights.len()).collect();
        let order = weighted_order(&cluster.endpoints, &members);
        prop_assert!(order.len() as u64 <= MAX_PLACES + weights.len() as u64);
        prop_assert!(members.iter().all(|number| order.contains(number)));
    }

    /// Whoever is out, somebody usable is chosen, in the long run by weight.
    #[test]
    fn the_usable_share_by_weight(
        endpoints in prop::collection::vec((1..5_u32, any::<bool>()), 1..8), balancer in 0..5_usize,
    ) {
        let balancers =
            [Balancer::RoundRobin, Balancer::Random, Balancer::LeastRequest, EWMA, ring(false)];
        let weights: Vec<_> = endpoints.iter().map(|(weight, _)| *weight).collect();
        let cluster = cluster(balancers[balancer].clone(), &weights);
        let out = endpoints.iter().filter(|(_, out)| *out).count();
        prop_assume!(2 * out <= endpoints.len() && out < endpoints.len());
        for (number, _) in endpoints.iter().enumerate().filter(|(_, (_, out))| *out) {
            fail(&cluster, number);
        }
        let found = counts(&cluster, PICKS, Instant::now());
        let share = |(weight, out): &(u32, bool)| if *out { 0.0 } else { f64::from(*weight) };
        let shares: Vec<_> = endpoints.iter().map(share).collect();
        if balancer < 3 {
            follows(&found, &shares)?;
        }
        prop_assert!(found.iter().zip(&shares).all(|(count, share)| (*count > 0) == (*share > 0.0)));
    }
}

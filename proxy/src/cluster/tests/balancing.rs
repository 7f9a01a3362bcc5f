//! Ten endpoints, one ten times slower, one failing at once: what each balancer makes of them. A simulation with a
//! clock of its own and seeded randomness, so that it says the same every time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use tokio::time::Instant;

use super::{Cluster, EWMA, SETTINGS, ask, cluster};
use crate::cluster::{InFlight, Sample};
use crate::model::Balancer;
use crate::random::Random;

const SLOW: usize = 3;
const FAILING: usize = 7;
const FAILS_AFTER: Duration = Duration::from_millis(1);
const RUN: Duration = Duration::from_secs(20);
/// After this the failing endpoint is known.
const LEARNING: Duration = Duration::from_secs(1);

/// What is simulated.
#[derive(Clone, Copy, Debug)]
struct Scene {
    /// Of a good endpoint, ±20 %.
    latency: Duration,
    /// A second, on average, at random moments.
    requests: f64,
    seed: u64,
}

/// What came of it.
#[derive(Debug)]
struct Outcome {
    /// Of the requests that were served.
    p99: Duration,
    /// Share of the requests that the failing endpoint got once it was known.
    failing: f64,
    requests: usize,
}

fn simulate(balancer: Balancer, scene: Scene) -> Outcome {
    let mut cluster = cluster(balancer, &[1; 10]);
    // Only the balancer is looked at.
    std::sync::Arc::get_mut(&mut cluster.spec).unwrap().outlier.consecutive_failures = 0;
    let (choice, nature) = (Random::seeded(scene.seed), Random::seeded(!scene.seed));
    let start = Instant::now();
    let mut now = start;
    let mut under_way: BinaryHeap<Reverse<(Instant, u64)>> = BinaryHeap::new();
    let mut requests: Vec<Option<Request>> = Vec::new();
    let (mut served, mut late, mut wrong) = (Vec::new(), 0_usize, 0_usize);
    while now < start + RUN {
        while let Some(Reverse((at, number))) = under_way.peek().copied().filter(|r| r.0.0 <= now) {
            under_way.pop();
            let request = requests[usize::try_from(number).unwrap()].take().unwrap();
            served.extend(request.end(&cluster, at));
        }
        let endpoint = cluster.pick(&ask(&choice, now)).unwrap();
        let place = usize::from(endpoint.spec.address.port()) - 1;
        if now > start + LEARNING {
            late += 1;
            wrong += usize::from(place == FAILING);
        }
        let takes = match place {
            FAILING => FAILS_AFTER,
            SLOW => scene.latency.mul_f64(8.0 + 4.0 * nature.unit()),
            _ => scene.latency.mul_f64(0.8 + 0.4 * nature.unit()),
        };
        under_way.push(Reverse((now + takes, requests.len() as u64)));
        requests.push(Some(Request { place, started: now, _in_flight: endpoint.begin() }));
        now += Duration::from_secs_f64(-(1.0 - nature.unit()).ln() / scene.requests);
    }
    served.sort_unstable();
    #[allow(clippy::cast_precision_loss, reason = "counts are small")]
    let failing = wrong as f64 / late as f64;
    Outcome { p99: served[served.len() * 99 / 100], failing, requests: requests.len() }
}

struct Request {
    place: usize,
    started: Instant,
    _in_flight: InFlight,
}

impl Request {
    /// The latency, if it was served.
    fn end(self, cluster: &Cluster, now: Instant) -> Option<Duration> {
        let latency = now - self.started;
        let failed = self.place == FAILING;
        if matches!(cluster.spec.balancer, Balancer::PeakEwma(_)) {
            let sample = if failed { Sample::Failed(latency) } else { Sample::Answered(latency) };
            cluster.endpoints[self.place].latency.note(sample, SETTINGS, now);
        }
        (!failed).then_some(latency)
    }
}

#[test]
fn peak_ewma_halves_the_p99_of_round_robin_and_leaves_the_failing_one_alone() {
    for (millis, requests) in [(1, 2000.0), (10, 200.0), (10, 2000.0), (50, 1000.0)] {
        for seed in 1..=3 {
            let scene = Scene { latency: Duration::from_millis(millis), requests, seed };
            let turns = simulate(Balancer::RoundRobin, scene);
            let ewma = simulate(EWMA, scene);
            let what = format!("{scene:?}\n  in turn {turns:?}\n  EWMA    {ewma:?}");
            println!("{what}");
            assert!(turns.requests > 1000 && (0.08..0.12).contains(&turns.failing), "{what}");
            assert!(ewma.p99.as_secs_f64() <= 0.5 * turns.p99.as_secs_f64(), "{what}");
            assert!(ewma.failing <= 0.01, "{what}");
        }
    }
}

/// Least request cannot tell failing fast from serving fast: what the test above asks for is not to be had for free.
#[test]
fn least_request_falls_for_the_failing_one() {
    let scene = Scene { latency: Duration::from_millis(10), requests: 2000.0, seed: 1 };
    let least = simulate(Balancer::LeastRequest, scene);
    assert!(least.failing > 0.12, "{least:?}");
}

//! When an endpoint leaves, for how long, and how it comes back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::{Circuit, Claim, Outcome, Outlier, Reason, may_eject};
use crate::model::{FailurePercentage, OutlierSpec};

const BASE: Duration = Duration::from_secs(30);
const SPEC: OutlierSpec = OutlierSpec {
    consecutive_failures: 3,
    consecutive_gateway: 0,
    consecutive_local: None,
    failure_percentage: None,
    base_ejection: BASE,
    max_ejection: Duration::from_secs(300),
    jitter: Duration::ZERO,
    max_ejected_percent: 50,
};
const MOMENT: Duration = Duration::from_millis(1);

/// Reasons after each of these outcomes.
fn reasons(spec: &OutlierSpec, outcomes: &[Outcome]) -> Vec<Option<Reason>> {
    let (outlier, now) = (Outlier::new(), Instant::now());
    outcomes.iter().map(|outcome| outlier.note(*outcome, spec, now)).collect()
}

type Case<'a> = (&'a str, OutlierSpec, &'a [Outcome], &'a [Option<Reason>]);

#[test]
fn what_counts_as_failures_in_a_row() {
    use Outcome::{Local, Overload, Status, Success};
    let (bad, gateway) = (Status(500), Status(502));
    let row = |limit| OutlierSpec { consecutive_failures: limit, ..SPEC };
    let gateway_only = OutlierSpec { consecutive_gateway: 2, ..row(0) };
    let split = OutlierSpec { consecutive_local: Some(2), ..row(3) };
    let failures = Some(Reason::ConsecutiveFailures);
    let gateways = Some(Reason::ConsecutiveGateway);
    let local = Some(Reason::ConsecutiveLocal);
    let cases: [Case<'_>; 9] = [
        ("the third", SPEC, &[bad, Local, bad], &[None, None, failures]),
        ("a success between", SPEC, &[bad, bad, Success, bad], &[None; 4]),
        ("overload is no failure", SPEC, &[bad, bad, Overload], &[None; 3]),
        ("and no success", SPEC, &[bad, bad, Overload, bad], &[None, None, None, failures]),
        ("off", row(0), &[bad; 4], &[None; 4]),
        (
            "502 to 504 apart",
            gateway_only,
            &[gateway, bad, gateway, gateway],
            &[None, None, None, gateways],
        ),
        ("the way is a gateway's", gateway_only, &[Local, gateway], &[None, gateways]),
        (
            "the way apart",
            split,
            &[bad, Local, bad, Local, Local],
            &[None, None, None, None, local],
        ),
        (
            "which does not count twice",
            split,
            &[bad, bad, Local, bad],
            &[None, None, None, failures],
        ),
    ];
    for (what, spec, outcomes, expected) in cases {
        assert_eq!(reasons(&spec, outcomes), expected, "{what}");
    }
}

#[test]
fn an_answer_of_any_kind_ends_a_row_of_failures_of_the_way() {
    let spec = OutlierSpec { consecutive_local: Some(2), consecutive_failures: 0, ..SPEC };
    let outcomes = [Outcome::Local, Outcome::Status(500), Outcome::Local];
    assert_eq!(reasons(&spec, &outcomes), [None; 3]);
}

#[test]
fn half_of_enough_requests_eject_and_old_ones_are_forgotten() {
    let share = FailurePercentage { threshold: 50, minimum: 10, window: Duration::from_secs(8) };
    let spec = OutlierSpec { consecutive_failures: 0, failure_percentage: Some(share), ..SPEC };
    let turns = |count: usize| {
        let outcomes = [Outcome::Status(500), Outcome::Success];
        outcomes.into_iter().cycle().take(count).collect::<Vec<_>>()
    };
    let mut expected = vec![None; 11];
    expected[10] = Some(Reason::FailurePercentage);
    assert_eq!(reasons(&spec, &turns(11)), expected, "the eleventh is a failure and one too many");

    let (outlier, now) = (Outlier::new(), Instant::now());
    for outcome in turns(8) {
        assert_eq!(outlier.note(outcome, &spec, now), None);
    }
    let later = now + share.window + MOMENT;
    for outcome in turns(9) {
        assert_eq!(outlier.note(outcome, &spec, later), None, "the window has moved on");
    }
}

/// Ejects, lets the time pass, fails the trial, and so on: how long each ejection is.
#[test]
fn each_further_ejection_lasts_twice_as_long_up_to_the_bound() {
    let outlier = Outlier::new();
    let mut now = Instant::now();
    assert!(outlier.eject(&SPEC, 0.0, now));
    for seconds in [30, 60, 120, 240, 300, 300] {
        let length = Duration::from_secs(seconds);
        assert_eq!(outlier.circuit(now), Circuit::Open(length));
        assert!(outlier.is_ejected(now + length - MOMENT));
        now += length;
        assert!(!outlier.is_ejected(now) && outlier.is_due(now));
        assert_eq!((outlier.circuit(now), outlier.claim(now)), (Circuit::HalfOpen, Claim::Trial));
        outlier.reopen(&SPEC, 0.0, now);
    }
}

#[test]
fn an_endpoint_that_stays_well_is_forgiven() {
    let outlier = Outlier::new();
    let mut now = Instant::now();
    let length = |now: &mut Instant, well: Duration| {
        *now += well;
        assert!(outlier.eject(&SPEC, 0.0, *now));
        let Circuit::Open(length) = outlier.circuit(*now) else { panic!("not ejected") };
        *now += length;
        assert_eq!(outlier.claim(*now), Claim::Trial);
        outlier.close(*now);
        assert_eq!(outlier.circuit(*now), Circuit::Closed);
        length.as_secs()
    };
    assert_eq!(length(&mut now, Duration::ZERO), 30);
    assert_eq!(length(&mut now, MOMENT), 60);
    assert_eq!(length(&mut now, MOMENT), 120);
    assert_eq!(length(&mut now, 2 * BASE), 60, "two doublings are forgotten");
    assert_eq!(length(&mut now, 100 * BASE), 30);
}

#[test]
fn jitter_only_lengthens() {
    let spec = OutlierSpec { jitter: Duration::from_secs(3), ..SPEC };
    for (jitter, seconds) in [(0.0, 30), (0.5, 31), (1.0, 33)] {
        let (outlier, now) = (Outlier::new(), Instant::now());
        outlier.eject(&spec, jitter, now);
        let Circuit::Open(left) = outlier.circuit(now) else { panic!("not ejected") };
        assert_eq!(left.as_secs(), seconds);
    }
}

#[test]
fn a_trial_that_nobody_waits_for_leaves_the_next_request_to_be_one() {
    let (outlier, now) = (Outlier::new(), Instant::now());
    outlier.eject(&SPEC, 0.0, now);
    assert_eq!(outlier.claim(now), Claim::Ordinary, "there was no other endpoint");
    let later = now + BASE;
    assert_eq!(outlier.claim(later), Claim::Trial);
    assert!(outlier.is_ejected(later + 100 * BASE), "one trial, however long it takes");
    assert_eq!(outlier.claim(later), Claim::Lost, "somebody else is the trial");
    assert_eq!(outlier.note(Outcome::Status(500), &SPEC, later), None, "an old attempt");
    outlier.abandon(later);
    assert_eq!(outlier.claim(later), Claim::Trial);
}

#[test]
fn the_share_bounds_ejection_and_the_last_endpoint_stays() {
    let allowed = |endpoints, out, percent| {
        may_eject(&OutlierSpec { max_ejected_percent: percent, ..SPEC }, endpoints, out)
    };
    assert!(!allowed(1, 0, 100));
    assert!(allowed(2, 0, 10));
    assert!(allowed(4, 1, 50));
    assert!(!allowed(4, 2, 50));
    assert!(!allowed(4, 0, 0));
}

/// Workers that see the endpoint due at the same moment: one is the trial, in every round. They spin for the start of
/// a round, so that they really meet; a load and a store in place of the exchange are found within a second or two.
#[test]
fn of_many_workers_exactly_one_is_the_trial() {
    const WORKERS: usize = 2;
    const OVER: usize = usize::MAX;
    let outlier = Outlier::new();
    let start = Instant::now();
    outlier.eject(&SPEC, 0.0, start);
    let now = start + BASE;
    let [round, arrived, trials] = [const { AtomicUsize::new(0) }; 3];
    let mut double = None;
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                let mut last = 0;
                while last != OVER {
                    spin_until(|| round.load(SeqCst) != last);
                    last = round.load(SeqCst);
                    if last != OVER && outlier.claim(now) == Claim::Trial {
                        trials.fetch_add(1, SeqCst);
                    }
                    arrived.fetch_add(1, SeqCst);
                }
            });
        }
        // As many rounds as fit into the time: on a busy machine each waits for a processor.
        for this in 1.. {
            round.store(this, SeqCst);
            spin_until(|| arrived.load(SeqCst) == this * WORKERS);
            let found = trials.swap(0, SeqCst);
            outlier.abandon(now);
            if found != 1 {
                double = Some((this, found));
            }
            if double.is_some() || (this > 1000 && start.elapsed() > Duration::from_secs(2)) {
                break;
            }
        }
        round.store(OVER, SeqCst);
    });
    assert_eq!(double, None, "round and trials");
}

/// Gives way now and then: there may be fewer processors than threads.
fn spin_until(done: impl Fn() -> bool) {
    for turn in 1_u32.. {
        if done() {
            return;
        }
        if turn.is_multiple_of(128) {
            std::thread::yield_now();
        }
        std::hint::spin_loop();
    }
}

/// The same endpoint, said plainly: lists and a clock, no atomics.
#[derive(Default)]
struct Naive {
    rows: [u32; 3],
    history: VecDeque<(u64, bool)>,
    /// End of the ejection; `Some(None)` while a trial is under way.
    out: Option<Option<u64>>,
    ejections: u32,
    back: u64,
}

#[derive(Clone, Copy, Debug)]
enum Event {
    Ends(Outcome),
    Passes(u64),
    Chosen,
    TrialEnds(bool),
    TrialLost,
}

impl Naive {
    fn length(&self, times: u32) -> u64 {
        (30_000_u64 << times.min(16)).min(300_000)
    }

    fn ends(&mut self, outcome: Outcome, at: u64, share: &FailurePercentage) {
        if self.out.is_some() || outcome == Outcome::Overload {
            return;
        }
        let failed = outcome != Outcome::Success;
        let slot = u64::try_from(share.window.as_millis()).unwrap() / 8;
        self.history.push_back((at / slot, failed));
        self.history.retain(|(slot_then, _)| at / slot - slot_then < 8);
        let [server, gateway, local] = &mut self.rows;
        match outcome {
            Outcome::Success => (*server, *gateway, *local) = (0, 0, 0),
            Outcome::Status(502..=504) => {
                (*server, *gateway, *local) = (*server + 1, *gateway + 1, 0)
            }
            Outcome::Status(_) => (*server, *gateway, *local) = (*server + 1, 0, 0),
            Outcome::Local | Outcome::Overload => *local += 1,
        }
        let failures = self.history.iter().filter(|(_, failed)| *failed).count();
        let share = failed
            && self.history.len() >= share.minimum as usize
            && failures * 100 >= self.history.len() * share.threshold as usize;
        let in_a_row = failed && self.rows.iter().zip([5, 3, 2]).any(|(row, limit)| *row >= limit);
        if share || in_a_row {
            let well = u32::try_from((at - self.back) / 30_000).unwrap();
            let times = self.ejections.saturating_sub(well);
            self.out = Some(Some(at + self.length(times)));
            self.ejections = times + 1;
            self.rows = [0; 3];
            self.history.clear();
        }
    }
}

fn event() -> impl Strategy<Value = Event> {
    let outcome = prop_oneof![
        4 => Just(Outcome::Success),
        3 => Just(Outcome::Status(500)),
        3 => Just(Outcome::Status(503)),
        3 => Just(Outcome::Local),
        1 => Just(Outcome::Overload),
    ];
    prop_oneof![
        12 => outcome.prop_map(Event::Ends),
        3 => (0..4_000_u64).prop_map(Event::Passes),
        1 => (0..400_000_u64).prop_map(Event::Passes),
        3 => Just(Event::Chosen),
        1 => any::<bool>().prop_map(Event::TrialEnds),
        1 => Just(Event::TrialLost),
    ]
}

proptest! {
    #[test]
    fn agrees_with_the_plain_model(events in prop::collection::vec(event(), 1..300)) {
        let share =
            FailurePercentage { threshold: 40, minimum: 6, window: Duration::from_secs(8) };
        let spec = OutlierSpec {
            consecutive_failures: 5,
            consecutive_gateway: 3,
            consecutive_local: Some(2),
            failure_percentage: Some(share),
            ..SPEC
        };
        let outlier = Outlier::new();
        let (mut naive, born, mut at) = (Naive::default(), outlier.born, 0);
        for event in events {
            let now = born + Duration::from_millis(at);
            match event {
                Event::Passes(millis) => at += millis,
                Event::Ends(outcome) => {
                    naive.ends(outcome, at, &share);
                    if outlier.note(outcome, &spec, now).is_some() {
                        outlier.forget();
                        prop_assert!(outlier.eject(&spec, 0.0, now));
                    }
                }
                Event::Chosen => {
                    let due = naive.out.flatten().is_some_and(|until| at >= until);
                    if due {
                        naive.out = Some(None);
                    }
                    prop_assert_eq!(outlier.claim(now) == Claim::Trial, due);
                }
                Event::TrialEnds(well) if naive.out == Some(None) => {
                    if well {
                        (naive.out, naive.back) = (None, at);
                        outlier.close(now);
                    } else {
                        naive.out = Some(Some(at + naive.length(naive.ejections)));
                        naive.ejections += 1;
                        outlier.reopen(&spec, 0.0, now);
                    }
                }
                Event::TrialLost if naive.out == Some(None) => {
                    naive.out = Some(Some(at));
                    outlier.abandon(now);
                }
                Event::TrialEnds(_) | Event::TrialLost => {}
            }
            let now = born + Duration::from_millis(at);
            let expected = match naive.out {
                None => Circuit::Closed,
                Some(Some(until)) if at < until => {
                    Circuit::Open(Duration::from_millis(until - at))
                }
                Some(_) => Circuit::HalfOpen,
            };
            prop_assert_eq!(outlier.circuit(now), expected);
        }
    }
}

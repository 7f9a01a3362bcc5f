//! The floor, the share, and the window.

use std::time::Duration;

use proptest::prelude::*;
use tokio::time::Instant;

use super::Budget;
use crate::model::BudgetSpec;

const SPEC: BudgetSpec = BudgetSpec { percent: 20, min_per_second: 1 };

fn granted(budget: &Budget, asked: u32, now: Instant) -> u32 {
    (0..asked).map(|_| u32::from(budget.withdraw(&SPEC, now))).sum()
}

#[test]
fn without_traffic_only_the_floor() {
    let (budget, now) = (Budget::new(), Instant::now());
    assert_eq!(granted(&budget, 100, now), 10);
}

#[test]
fn with_traffic_a_share_more() {
    let (budget, now) = (Budget::new(), Instant::now());
    (0..1000).for_each(|_| budget.deposit(now));
    assert_eq!(granted(&budget, 1000, now), 210);
}

#[test]
fn what_was_spent_comes_back_when_its_second_leaves_the_window() {
    let (budget, now) = (Budget::new(), Instant::now());
    (0..1000).for_each(|_| budget.deposit(now));
    assert_eq!(granted(&budget, 1000, now), 210);
    assert_eq!(granted(&budget, 1000, now + Duration::from_secs(9)), 0);
    assert_eq!(granted(&budget, 1000, now + Duration::from_secs(11)), 10);
}

proptest! {
    /// In any ten seconds: no more than the share and the floor, and no less.
    #[test]
    fn a_window_never_grants_more_than_its_share_and_the_floor(
        percent in 0..100_u32, min_per_second in 0..4_u32,
        events in prop::collection::vec((0..3_000_u64, 0..20_u32, 0..20_u32), 1..60),
    ) {
        let spec = BudgetSpec { percent, min_per_second };
        let budget = Budget::new();
        let (mut at, mut requests, mut retries) = (0, Vec::new(), Vec::new());
        for (passes, deposits, asked) in events {
            at += passes;
            let now = budget.born + Duration::from_millis(at);
            let second = at / 1000;
            for _ in 0..deposits {
                budget.deposit(now);
                requests.push(second);
            }
            for _ in 0..asked {
                let recent = |all: &[u64]| all.iter().filter(|then| **then + 10 > second).count();
                let allowed = recent(&requests) as u64 * u64::from(percent) / 100
                    + 10 * u64::from(min_per_second);
                let granted = budget.withdraw(&spec, now);
                prop_assert_eq!(granted, (recent(&retries) as u64) < allowed);
                if granted {
                    retries.push(second);
                }
            }
        }
    }
}

//! The floor, the share, and the window.

use std::time::Duration;

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

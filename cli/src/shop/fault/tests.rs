//! The share holds in short runs, and a seed can be repeated.

use proptest::prelude::*;

use super::*;

fn failures(seed: u64, charges: impl Iterator<Item = u64>) -> u64 {
    charges.filter(|&charge| fails(seed, charge)).count() as u64
}

#[test]
fn of_every_twenty_charges_three_fail() {
    for block in 0..500 {
        assert_eq!(failures(1, block * BLOCK..(block + 1) * BLOCK), FAILING, "block {block}");
    }
    assert!((share() - 0.15).abs() < f64::EPSILON);
}

#[test]
fn never_do_two_charges_in_a_row_fail() {
    for seed in 0..20 {
        assert!((0..5_000).all(|charge| !(fails(seed, charge) && fails(seed, charge + 1))));
    }
}

#[test]
fn seeds_differ_and_repeat() {
    let failing = |seed| (0..200).filter(|&charge| fails(seed, charge)).collect::<Vec<_>>();
    assert_eq!(failing(7), failing(7));
    assert_ne!(failing(7), failing(8));
}

proptest! {
    #[test]
    fn no_run_of_charges_fails_more_often_than_stated(seed: u64, from in 0..10_000u64, run in 0..500u64) {
        prop_assert!(failures(seed, from..from + run) <= most_of(run));
    }
}

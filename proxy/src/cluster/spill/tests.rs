//! The table of Envoy's documentation ("priority levels", "panic threshold"), and what holds of every mesh.

use proptest::prelude::*;

use super::{Count, Spill};

fn spill(counts: &[(usize, usize)]) -> Spill {
    let counts: Vec<_> =
        counts.iter().map(|(usable, all)| Count { usable: *usable, all: *all }).collect();
    Spill::of(&counts)
}

#[test]
fn load_spills_smoothly() {
    for (usable, load) in [
        // Of 100 endpoints each: P0, P1.
        ([100, 100], [100, 0]),
        ([72, 72], [100, 0]),
        ([71, 71], [99, 1]),
        ([50, 60], [70, 30]),
        ([25, 100], [35, 65]),
        ([0, 100], [0, 100]),
        ([25, 25], [50, 50]),
        ([5, 65], [8, 92]),
    ] {
        let spill = spill(&usable.map(|usable| (usable, 100)));
        assert_eq!(spill.load[..2], load, "{usable:?}");
    }
}

#[test]
fn three_priorities_share_what_there_is() {
    let of = |usable: [usize; 3]| spill(&usable.map(|usable| (usable, 100)));
    assert_eq!(of([100, 100, 100]).load[..3], [100, 0, 0]);
    assert_eq!(of([25, 25, 100]).load[..3], [35, 35, 30]);
    assert_eq!(of([20, 20, 60]).load[..3], [28, 28, 44]);
}

#[test]
fn panic_only_where_all_together_cannot_take_it() {
    let of = |usable: [usize; 2]| spill(&usable.map(|usable| (usable, 100)));
    assert_eq!(of([20, 100]).panic[..2], [false, false], "the other one takes it");
    assert_eq!(of([49, 20]).panic[..2], [true, true]);
    assert_eq!(of([55, 10]).panic[..2], [false, true]);
    assert!(!spill(&[(1, 2)]).panic[0]);
    assert!(spill(&[(1, 3)]).panic[0]);
}

#[test]
fn where_all_panic_the_load_follows_the_number_of_endpoints() {
    let total = spill(&[(0, 10), (0, 30)]);
    assert_eq!(
        (total.load[..2].to_vec(), total.panic[..2].to_vec()),
        (vec![25, 75], vec![true, true])
    );
    assert_eq!(spill(&[(0, 0), (0, 3)]).load[..2], [0, 100]);
    assert_eq!(spill(&[]).load[0], 100);
}

proptest! {
    #[test]
    fn loads_add_up_and_numbers_follow_them(
        counts in proptest::collection::vec((0_usize..40, 0_usize..40), 1..=4)
    ) {
        let counts: Vec<_> = counts.into_iter().map(|(a, b)| (a.min(b), a.max(b))).collect();
        let spill = spill(&counts);
        prop_assert_eq!(spill.load.iter().map(|load| u32::from(*load)).sum::<u32>(), 100);
        let mut got = [0_u8; 4];
        (0..100).for_each(|number| got[spill.priority(number)] += 1);
        prop_assert_eq!(got, spill.load);
        // Nobody without endpoints gets anything if somebody has some.
        for (load, (_, all)) in spill.load.iter().zip(&counts) {
            prop_assert!(*load == 0 || *all > 0 || counts.iter().all(|(_, all)| *all == 0));
        }
    }
}

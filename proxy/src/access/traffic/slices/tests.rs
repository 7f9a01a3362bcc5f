//! The ring.

use std::time::Duration;

use tokio::time::Instant;

use super::{SLICE, SLICES, Slices, number, since};

#[test]
fn what_is_over_is_counted_no_more() {
    let mut slices = Slices::default();
    for slice in [0, 0, 1, 5] {
        slices.add(slice);
    }
    assert_eq!([0, 1, 2, 5, 6].map(|first| slices.since(first)), [4, 2, 1, 1, 0]);
    // One slice short of a whole round: the oldest are still there.
    slices.add(SLICES as u64 - 1);
    assert_eq!(slices.since(0), 5);
    // Now those of the first two are not, whether they were overwritten or passed over.
    slices.add(SLICES as u64 + 1);
    assert_eq!(slices.since(0), 3);
    slices.add(1000);
    assert_eq!((slices.since(0), slices.since(1000), slices.since(1001)), (1, 1, 0));
}

#[test]
fn who_comes_late_counts_all_the_same() {
    let mut slices = Slices::first(7);
    slices.add(6);
    assert_eq!((slices.since(7), slices.since(8)), (2, 0));
}

#[test]
fn it_is_over_when_the_span_has_passed() {
    let slices = Slices::first(3);
    assert!(!slices.is_over(3) && !slices.is_over(3 + SLICES as u64 - 1));
    assert!(slices.is_over(3 + SLICES as u64));
    assert!(Slices::default().is_over(0));
}

#[test]
fn a_time_back_is_a_whole_slice_back() {
    let origin = Instant::now();
    let at = |seconds| origin + Duration::from_secs(seconds);
    assert_eq!(number(origin, at(59)), 1);
    for (now, seconds, expected) in [
        (10, 600, (0, 10)),
        (100, 1, (3, 10)),
        (100, 60, (1, 70)),
        (1000, 600, (13, 1000 - 13 * SLICE)),
        (1000, 9999, (13, 1000 - 13 * SLICE)),
    ] {
        assert_eq!(since(origin, at(now), seconds), expected, "{now} {seconds}");
    }
}

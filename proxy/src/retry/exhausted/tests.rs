//! Trails are known again by either id, for a while.

use std::time::Duration;

use super::*;

#[test]
fn a_trail_is_known_by_either_id_for_ten_seconds() {
    let (one, other) = (HeaderValue::from_static("one"), HeaderValue::from_static("other"));
    let trail = |trace: u128, id| Trail { trace_id: Some(TraceId::from(trace)), request_id: id };
    let (known, now) = (Exhausted::default(), Instant::now());
    assert!(!known.knows(&trail(7, Some(&one)), now));
    known.note(&trail(7, Some(&one)), now);
    assert!(known.knows(&trail(7, None), now));
    assert!(known.knows(&trail(8, Some(&one)), now));
    assert!(!known.knows(&trail(8, Some(&other)), now));
    assert!(!known.knows(&Trail::default(), now));
    assert!(known.knows(&trail(7, None), now + Duration::from_secs(9)));
    assert!(!known.knows(&trail(7, None), now + Duration::from_secs(11)));
}

#[test]
fn of_many_the_newest_are_known_and_strangers_are_not() {
    let (known, now) = (Exhausted::default(), Instant::now());
    let trail = |trace: u128| Trail { trace_id: Some(TraceId::from(trace)), request_id: None };
    for trace in 1..=100_000 {
        known.note(&trail(trace), now);
        assert!(known.knows(&trail(trace), now));
    }
    let strangers = (200_000..300_000).filter(|trace| known.knows(&trail(*trace), now)).count();
    assert_eq!(strangers, 0);
}

//! Every reason for which a pod counts where nobody is ready, and every one for which it does not.

use std::time::Duration;

use super::{Counts, HELD, Seen, Standing, Target, counts};
use crate::model::Key;

const READY: Duration = Duration::from_secs(100);

fn target() -> Target {
    let address = "10.0.0.1".parse().unwrap();
    Target { pod: Key::new("shop", "a"), uid: "1".to_owned(), address }
}

/// The pod that the slice names, unwell.
fn unwell() -> Standing {
    let addresses = ["fd00::1", "10.0.0.1"].map(|ip| ip.parse().unwrap()).to_vec();
    Standing { uid: "1".to_owned(), addresses, ..Standing::default() }
}

#[test]
fn who_was_seen_ready_counts_for_a_while_and_who_is_well_for_as_long_as_he_is() {
    let moment = Duration::from_millis(1);
    let well = Standing { well: true, ..unwell() };
    let until = Counts::Until(READY + HELD);
    for (what, standing, ready, now, expected) in [
        ("just now", unwell(), Some(READY), READY, until),
        ("a moment before the end", unwell(), Some(READY), READY + HELD - moment, until),
        ("at the end", unwell(), Some(READY), READY + HELD, Counts::No),
        ("never ready", unwell(), None, READY, Counts::No),
        ("well, never ready", well.clone(), None, READY, Counts::Yes),
        ("well, ready long ago", well, Some(READY), READY + 9 * HELD, Counts::Yes),
    ] {
        assert_eq!(counts(&target(), Some(&standing), ready, now), expected, "{what}");
    }
}

#[test]
fn who_ends_or_is_another_never_counts() {
    let address = |ip: &str| vec![ip.parse().unwrap()];
    for well in [false, true] {
        let pod = Standing { well, ..unwell() };
        for (what, standing) in [
            ("gone", None),
            ("ending", Some(Standing { ends: true, ..pod.clone() })),
            ("made anew", Some(Standing { uid: "2".to_owned(), ..pod.clone() })),
            ("elsewhere", Some(Standing { addresses: address("10.0.0.2"), ..pod.clone() })),
            ("nowhere", Some(Standing { addresses: Vec::new(), ..pod.clone() })),
        ] {
            let found = counts(&target(), standing.as_ref(), Some(READY), READY);
            assert_eq!(found, Counts::No, "{what}, well: {well}");
        }
        // A slice that does not tell which pod it means.
        let nobody = Target { uid: String::new(), ..target() };
        let standing = Standing { uid: String::new(), ..pod };
        assert_eq!(counts(&nobody, Some(&standing), Some(READY), READY), Counts::No);
    }
}

#[test]
fn what_was_seen_is_of_one_service_and_forgotten_when_it_cannot_count() {
    let (web, api) = (Key::new("shop", "web"), Key::new("shop", "api"));
    let other = Target { uid: "2".to_owned(), ..target() };
    let mut seen = Seen::default();
    seen.ceased(&web, vec![target()], READY);
    assert_eq!(seen.ready(&web, &target()), Some(READY));
    assert_eq!((seen.ready(&api, &target()), seen.ready(&web, &other)), (None, None));
    seen.ceased(&web, vec![target()], READY + HELD / 2);
    assert_eq!(seen.ready(&web, &target()), Some(READY + HELD / 2), "the last time counts");
    seen.ceased(&api, vec![other], READY + 2 * HELD);
    assert_eq!((seen.ready(&web, &target()), seen.until.len()), (None, 1));
}

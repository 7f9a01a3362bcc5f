//! Which of a watch's errors is said, and when it tries again.

use std::collections::BTreeSet;
use std::time::Duration;

use kube::runtime::watcher::{Error, Event};

use super::{LONGEST, Outage, Pace};

#[test]
fn an_outage_begins_once_and_ends_with_what_is_told() {
    let failure = || Err::<Event<()>, _>(Error::NoResourceVersion);
    let mut outage = Outage::default();
    assert!(!outage.begins(&Ok(Event::Apply(()))));
    assert!(outage.begins(&failure()));
    assert!(!outage.begins(&failure()));
    assert!(!outage.begins::<()>(&Ok(Event::Init)));
    assert!(!outage.begins(&failure()), "the list failed as well");
    assert!(!outage.begins::<()>(&Ok(Event::InitDone)));
    assert!(outage.begins(&failure()), "the next one");
}

#[test]
fn attempts_become_rare_and_stay_apart() {
    let first = Pace::default().next().unwrap();
    assert!(first < Duration::from_secs(2), "{first:?}");
    let waits: BTreeSet<_> = Pace::default().skip(6).take(20).collect();
    assert!(waits.iter().all(|wait| (LONGEST / 2..=LONGEST).contains(wait)), "{waits:?}");
    assert!(waits.len() > 10, "{waits:?}");
}

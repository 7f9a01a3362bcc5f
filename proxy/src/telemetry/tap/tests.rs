//! Who is shown what, and what becomes of what is too much.

use super::*;
use crate::telemetry::tests::end;

fn wanted(most: u32, filter: RequestFilter) -> OpenTap {
    OpenTap { id: 7, filter: Some(filter), most }
}

fn offer(taps: &Taps, path: &str, status: u16) {
    let record = || RequestRecord { path: path.to_owned(), ..RequestRecord::default() };
    taps.offer(&RequestEnd { path, status, ..end() }, record);
}

#[tokio::test(start_paused = true)]
async fn what_is_wanted_is_shown_and_what_is_too_much_is_counted() {
    let taps = Taps::default();
    assert!(!taps.is_open());
    let filter = RequestFilter { path: "/charge".into(), ..RequestFilter::default() };
    let mut tap = taps.open(wanted(3, filter)).unwrap();
    assert!(taps.is_open());
    for _ in 0..5 {
        offer(&taps, "/charge/7", 200);
        offer(&taps, "/other", 200);
    }
    let mut shown = 0;
    while tap.requests.try_recv().is_ok() {
        shown += 1;
    }
    assert_eq!((shown, tap.dropped(), tap.dropped()), (3, 2, 0));
    // The next second is another one.
    tokio::time::advance(std::time::Duration::from_secs(1)).await;
    offer(&taps, "/charge", 503);
    assert!(tap.requests.try_recv().is_ok());
    drop(tap);
    assert!(!taps.is_open());
}

#[tokio::test(start_paused = true)]
async fn there_is_a_bound_of_everything() {
    let taps = Taps::default();
    let all: Vec<_> = (0..MAX_TAPS)
        .map(|_| taps.open(wanted(u32::MAX, RequestFilter::default())).unwrap())
        .collect();
    assert!(taps.open(wanted(1, RequestFilter::default())).is_none());
    for _ in 0..MAX_WAITING * 2 {
        offer(&taps, "/", 200);
    }
    // Nobody reads.
    assert!(all.iter().all(|tap| tap.dropped() == MAX_WAITING as u64));
}

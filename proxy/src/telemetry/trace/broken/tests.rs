//! The means over time that the judgement rests on, and the whole of it in real time.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{SLOT, Watch, mean};

#[test]
fn means_over_time_survive_the_wrap_of_the_sum() {
    assert!((mean((0, 0), (100, 50)) - 0.5).abs() < 1e-9);
    let top = u64::MAX >> super::COUNT_BITS;
    assert!((mean((0, top - 9), (100, 90)) - 1.0).abs() < 1e-9);
    assert!(mean((0, 10), (100, 8)).abs() < 1e-9, "a race is nothing");
    assert!(mean((5, 0), (5, 8)).abs() < 1e-9);
}

#[test]
fn requests_under_way_are_counted_with_their_time() {
    let (watch, whole) = (Watch::new(), Instant::now());
    let (_, before) = watch.take();
    let (first, second) = (watch.given(), watch.given());
    let both = Instant::now();
    while both.elapsed() < Duration::from_millis(20) {
        std::hint::spin_loop();
    }
    watch.called(false);
    let both = both.elapsed();
    drop((first, second));
    let (slot, after) = watch.take();
    let least = 2.0 * both.as_secs_f64() / whole.elapsed().as_secs_f64();
    assert_eq!((slot.calls, slot.met), (1, 2));
    let mean = mean(before, after);
    // It counts microseconds.
    assert!(mean > least - 0.001 && mean <= 2.0, "{mean}, at least {least}");
    let (slot, again) = watch.take();
    assert_eq!((slot.calls, slot.met), (0, 0));
    assert_eq!(again.1, after.1, "nothing is under way");
}

#[tokio::test]
async fn one_that_calls_from_its_requests_is_named_and_one_that_hands_on_is_cleared() {
    let watch = Watch::new();
    let running = Arc::clone(&watch);
    let run = tokio::spawn(async move { running.run().await });
    let deadline = tokio::time::Instant::now() + Duration::from_secs(120);
    let mut requests = tokio::time::interval(Duration::from_millis(40));
    while watch.broken().is_none() {
        assert!(tokio::time::Instant::now() < deadline, "not named");
        requests.tick().await;
        let request = watch.given();
        watch.called(false);
        tokio::time::sleep(SLOT / 50).await;
        drop(request);
    }
    assert!(watch.broken().unwrap().calls >= 12);
    watch.called(true);
    assert_eq!(watch.broken(), None);
    run.abort();
}

//! What is let through, what waits, and what is shed.

use std::sync::atomic::{AtomicU32, Ordering::SeqCst};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use tokio::time::Instant;

use super::Limits;
use crate::error::{Replay, Token};
use crate::model::LimitsSpec;
use crate::upstream::Version;

fn limits(spec: LimitsSpec) -> Limits {
    Limits::next(None, spec)
}

fn spec() -> LimitsSpec {
    LimitsSpec::default()
}

#[tokio::test]
async fn without_limits_nothing_is_shed_or_counted() {
    let limits = limits(spec());
    let mut held = Vec::new();
    for _ in 0..2000 {
        held.push(limits.admit(Version::Http1).await.unwrap());
    }
    assert_eq!(limits.in_use(), [0, 0, 0]);
    assert!(limits.retry().unwrap().is_none());
}

#[tokio::test]
async fn the_request_over_the_limit_is_shed_at_once_and_never_sent_again() {
    for version in [Version::Http1, Version::Http2] {
        let limits = limits(LimitsSpec { requests: Some(2), ..spec() });
        let first = limits.admit(version).await.unwrap();
        let _second = limits.admit(version).await.unwrap();
        let error = limits.admit(version).await.unwrap_err();
        assert_eq!(error.token(), Token::RequestLimitReached);
        assert_eq!(error.replay(), Replay::Never);
        drop(first);
        limits.admit(version).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_a_connection_so_long_and_no_longer() {
    let limits = limits(LimitsSpec { connections: Some(1), ..spec() });
    let first = limits.admit(Version::Http1).await.unwrap();
    let started = Instant::now();
    let error = limits.admit(Version::Http1).await.unwrap_err();
    assert_eq!(error.token(), Token::PendingLimitReached);
    assert_eq!(started.elapsed(), Duration::from_millis(50));
    limits.admit(Version::Http2).await.expect("requests of HTTP/2 share a connection");
    let (waiting, ()) = tokio::join!(limits.admit(Version::Http1), async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        drop(first);
    });
    waiting.unwrap();
    assert_eq!(limits.in_use(), [0, 0, 0]);
}

#[tokio::test(start_paused = true)]
async fn the_queue_is_bounded_and_in_order() {
    let limits = Arc::new(limits(LimitsSpec { connections: Some(1), pending: 3, ..spec() }));
    let first = limits.admit(Version::Http1).await.unwrap();
    let served = Arc::new(AtomicU32::new(0));
    let mut waiting = Vec::new();
    for place in 0..3 {
        let (limits, served) = (Arc::clone(&limits), Arc::clone(&served));
        waiting.push(tokio::spawn(async move {
            let slot = limits.admit(Version::Http1).await.unwrap();
            assert_eq!(served.fetch_add(1, SeqCst), place);
            drop(slot);
        }));
        tokio::task::yield_now().await;
    }
    let started = Instant::now();
    let error = limits.admit(Version::Http1).await.unwrap_err();
    assert_eq!((error.token(), started.elapsed()), (Token::PendingLimitReached, Duration::ZERO));
    drop(first);
    for one in waiting {
        one.await.unwrap();
    }
}

#[tokio::test]
async fn retries_have_a_limit_of_their_own() {
    let limits = limits(LimitsSpec { retries: Some(1), ..spec() });
    let first = limits.retry().unwrap();
    assert!(limits.retry().is_none());
    drop(first);
    assert!(limits.retry().unwrap().is_some());
}

#[tokio::test]
async fn what_is_under_way_survives_a_change() {
    let before = limits(LimitsSpec { requests: Some(2), connections: Some(1), ..spec() });
    let _first = before.admit(Version::Http1).await.unwrap();
    let same = LimitsSpec { requests: Some(1), connections: Some(1), pending: 0, ..spec() };
    let after = Limits::next(Some(&before), same);
    assert_eq!(after.admit(Version::Http2).await.unwrap_err().token(), Token::RequestLimitReached);
    assert_eq!(after.slot().await.unwrap_err().token(), Token::PendingLimitReached);
}

/// Many threads at one limit: it is never exceeded, and in the end nothing is held. A load and a store in place of
/// the exchange lose counts, which the end finds.
#[test]
fn workers_share_a_limit_to_the_number() {
    const LIMIT: u32 = 5;
    let limits = limits(LimitsSpec { retries: Some(LIMIT), ..spec() });
    let (now, most) = (AtomicU32::new(0), AtomicU32::new(0));
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                start.wait();
                let mut held = Vec::new();
                for round in 0..100_000 {
                    if let Some(one) = limits.retry() {
                        most.fetch_max(now.fetch_add(1, SeqCst) + 1, SeqCst);
                        held.push(one);
                    }
                    if round % 3 == 0
                        && let Some(one) = held.pop()
                    {
                        // Order: counted out before it is given back, or the count could only be too high.
                        now.fetch_sub(1, SeqCst);
                        drop(one);
                    }
                }
                now.fetch_sub(u32::try_from(held.len()).unwrap(), SeqCst);
            });
        }
    });
    assert_eq!(limits.in_use(), [0, 0, 0]);
    assert_eq!(most.into_inner(), LIMIT);
}

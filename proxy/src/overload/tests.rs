//! What happens when too little is left, with limits that are passed at once.

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::header::RETRY_AFTER;
use tokio::time::{Instant, timeout};

use super::{HASTE, Limit, Overload, Pressure, QUIET, STALLED, Shed, watch};
use crate::error::Token;
use crate::telemetry::metrics::Metrics;

/// Watched, with so many bytes as the limit, until it is known whether they are too few.
async fn watched(limit: Limit) -> (Overload, Arc<AtomicUsize>) {
    let (overload, relieved) = (Overload::default(), Arc::new(AtomicUsize::new(0)));
    let count = Arc::clone(&relieved);
    tokio::spawn(watch(overload.clone(), limit, move || {
        count.fetch_add(1, Relaxed);
    }));
    tokio::time::sleep(Duration::from_millis(10)).await;
    (overload, relieved)
}

#[tokio::test(start_paused = true)]
async fn without_memory_requests_and_connections_are_turned_away() {
    let (overload, relieved) = watched(Limit::Resident(1)).await;
    let metrics = Metrics::default();
    overload.tell(&metrics);
    let error = overload.admit().unwrap_err();
    assert_eq!((error.token(), error.is_unprocessed()), (Token::MemoryLimitReached, true));
    assert!(error.headers().iter().any(|(name, value)| name == RETRY_AFTER && value == "1"));
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    assert!(!overload.takes(&TcpStream::connect(listener.local_addr().unwrap()).unwrap()));
    let text = metrics.encode();
    for line in [
        "weft_memory_shed_total{what=\"connection\"} 1",
        "weft_memory_shed_total{what=\"request\"} 1",
        "weft_memory_shed_total{what=\"idle\"} 0",
        "weft_memory_limit_bytes 1",
        "weft_memory_shedding 1",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{text}");
    }
    let before = relieved.load(Relaxed);
    assert!(before >= 1);
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert!((before + 4..=before + 6).contains(&relieved.load(Relaxed)), "once a second");
}

#[tokio::test(start_paused = true)]
async fn with_memory_or_without_a_limit_nothing_is() {
    for limit in [Limit::Resident(u64::MAX), Limit::None] {
        let (overload, relieved) = watched(limit).await;
        assert!(!overload.is_shedding() && overload.admit().is_ok());
        assert_eq!(relieved.load(Relaxed), 0);
        assert!(timeout(Duration::from_secs(60), overload.hurried()).await.is_err());
        assert!(timeout(Duration::from_secs(60), overload.quiet(|| 0, || true)).await.is_err());
    }
}

#[tokio::test(start_paused = true)]
async fn who_only_waits_is_let_go_and_who_moves_is_not() {
    let (overload, _) = watched(Limit::Resident(1)).await;
    let started = Instant::now();
    overload.hurried().await;
    assert!(started.elapsed() >= HASTE / 5);
    let started = Instant::now();
    assert_eq!(overload.quiet(|| 7, || false).await, Shed::Idle);
    assert_eq!(overload.quiet(|| 7, || true).await, Shed::Stalled);
    assert!(started.elapsed() >= 2 * QUIET);
    let moved = AtomicU64::new(0);
    let moving = overload.quiet(|| moved.fetch_add(1, Relaxed), || true);
    assert!(timeout(Duration::from_secs(60), moving).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn the_last_descriptors_are_for_nobody_outside() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let few = Overload::new(4);
    assert!(!few.takes(&stream));
    assert_eq!(few.lends(&stream).unwrap_err().token(), Token::ConnectionLimitReached);
    assert!(few.admit().is_ok(), "requests go on");
    tokio::spawn(watch(few.clone(), Limit::None, || {}));
    assert_eq!(few.quiet(|| 7, || false).await, Shed::Idle);
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(
        timeout(Duration::from_secs(60), few.quiet(|| 7, || false)).await.is_err(),
        "it is over"
    );
    let many = Overload::new(100_000);
    assert!(many.takes(&stream) && many.lends(&stream).is_ok());
}

#[tokio::test(start_paused = true)]
async fn where_it_is_tight_only_those_go_who_owe_something() {
    let overload = Overload::default();
    overload.0.pressure.send_replace(Pressure::Tight);
    let started = Instant::now();
    assert_eq!(overload.quiet(|| 7, || true).await, Shed::Stalled);
    assert!(started.elapsed() >= STALLED);
    assert!(timeout(Duration::from_secs(60), overload.quiet(|| 7, || false)).await.is_err());
    overload.hurried().await;
    assert!(overload.admit().is_ok(), "requests go on");
}

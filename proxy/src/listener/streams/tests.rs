//! Clients that take all, nothing, or too little, with the clock in hand.

use std::future::poll_fn;

use super::*;
use crate::listener::HttpLimits;

const STALL: Duration = Duration::from_secs(30);

/// How long a stream lives whose body does this every so often; at most an hour.
async fn lives(every: Duration, turn: impl Fn() + Send + Sync + 'static) -> Duration {
    let account = Account::new(&HttpLimits::default());
    let streams = Streams::new(&Wire::new(), &account, STALL);
    let started = Instant::now();
    let (alive, mut ended) = tokio::sync::oneshot::channel::<()>();
    let mut interval = tokio::time::interval(every);
    streams.execute(async move {
        // Dropped with the stream.
        let _alive = alive;
        poll_fn(|cx| {
            while interval.poll_tick(cx).is_ready() {
                turn();
            }
            Poll::<()>::Pending
        })
        .await;
    });
    let _ = tokio::time::timeout(Duration::from_secs(3600), &mut ended).await;
    started.elapsed().min(Duration::from_secs(3600))
}

#[tokio::test(start_paused = true)]
async fn who_takes_nothing_or_too_little_is_reset() {
    let hour = Duration::from_secs(3600);
    let second = Duration::from_secs(1);
    // The next piece is asked for as the last one goes.
    let cases: [(&str, Duration, usize, bool); 5] = [
        ("takes nothing", 2 * hour, 16_384, true),
        ("takes a byte each second", second, 1, true),
        ("takes 30 bytes each second, 900 in 30", second, 30, true),
        ("takes 40 bytes each second, 1200 in 30", second, 40, false),
        ("takes a chunk every 29 s", 29 * second, 16_384, false),
    ];
    for (client, every, bytes, is_reset) in cases {
        let lived = lives(every, move || progress::gave(bytes)).await;
        let about = STALL..STALL + 2 * second;
        assert_eq!(about.contains(&lived), is_reset, "{client}: {lived:?}");
        assert!(is_reset || lived == hour, "{client}: {lived:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn who_has_nothing_to_take_is_left_alone() {
    let hour = Duration::from_secs(3600);
    assert_eq!(lives(2 * hour, progress::empty).await, hour);
    let event = || {
        progress::gave(20);
        progress::empty();
    };
    assert_eq!(lives(Duration::from_secs(10), event).await, hour, "small events, all taken");
}

/// What waits is charged to the connection until it is taken: a piece of any size, and no more than the last.
#[tokio::test(start_paused = true)]
async fn what_waits_is_held_until_it_is_taken() {
    const KIB: usize = 1024;
    let cases: [(&'static [usize], bool, usize); 6] = [
        (&[], false, 4 * KIB),
        (&[20], false, 8 * KIB),
        (&[20], true, 4 * KIB),
        (&[9 * KIB], false, 13 * KIB),
        (&[9 * KIB, 9 * KIB, 20], false, 8 * KIB),
        (&[500 * KIB], false, 20 * KIB),
    ];
    for (pieces, is_taken, held) in cases {
        let account = Account::new(&HttpLimits::default());
        let streams = Streams::new(&Wire::new(), &account, STALL);
        let mut turns = pieces.iter().copied();
        streams.execute(poll_fn(move |cx| {
            match turns.next() {
                Some(piece) => progress::gave(piece),
                None if is_taken => progress::empty(),
                None => return Poll::Pending,
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        }));
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(account.held(), held, "{pieces:?}, taken: {is_taken}");
    }
}

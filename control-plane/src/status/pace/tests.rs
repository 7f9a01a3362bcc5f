//! Rates, by a clock that the test sets.

use super::*;

const SECOND: Duration = Duration::from_secs(1);

#[tokio::test(start_paused = true)]
async fn the_first_write_waits_for_the_arrival_and_the_next_five_seconds() {
    let now = Instant::now();
    let mut pace = Pace::new(now);
    assert_eq!(pace.due(Change::Material, true), now);
    assert_eq!(pace.due(Change::Material, false), now + ARRIVES);
    pace.written(now + SECOND);
    assert_eq!(pace.due(Change::Material, true), now + SECOND + EACH);
    assert_eq!(pace.due(Change::Count, true), now + SECOND + EACH_COUNT);
    pace.refused(now + 2 * SECOND);
    assert_eq!(pace.due(Change::Material, true), now + 2 * SECOND + REFUSED);
    pace.renewed(now + 3 * SECOND);
    assert_eq!(pace.due(Change::Material, true), now + SECOND + EACH);
}

#[tokio::test(start_paused = true)]
async fn all_objects_together_are_written_at_a_bounded_rate() {
    let now = Instant::now();
    let mut budget = Budget::new(now);
    let burst = (0..100).filter(|_| budget.take(now)).count();
    assert_eq!(burst, 20);
    let later = now + SECOND / 2;
    assert_eq!((0..100).filter(|_| budget.take(later)).count(), 10);
    let much_later = now + 100 * SECOND;
    assert_eq!((0..100).filter(|_| budget.take(much_later)).count(), 20);
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_does_not_answer_is_asked_less_and_less() {
    let now = Instant::now();
    let mut budget = Budget::new(now);
    let mut at = now;
    let mut pauses = Vec::new();
    for _ in 0..7 {
        // Four at once fail together: one pause.
        for _ in 0..4 {
            budget.unanswered(at);
        }
        let mut wait = 0;
        while !budget.take(at + SECOND * wait) {
            wait += 1;
        }
        pauses.push(wait);
        at += SECOND * wait;
    }
    assert_eq!(pauses, [1, 2, 4, 8, 16, 30, 30]);
    budget.answered();
    budget.unanswered(at);
    assert!(budget.take(at + SECOND));
}

#[tokio::test(start_paused = true)]
async fn silence_is_waited_out_once() {
    let now = Instant::now();
    let mut pace = Pace::new(now);
    assert!(!pace.waits_out(false, now));
    assert!(pace.waits_out(true, now));
    assert!(pace.waits_out(true, now + 9 * SECOND));
    assert!(!pace.waits_out(true, now + 10 * SECOND));
    assert!(!pace.waits_out(true, now + 11 * SECOND));
    assert!(!pace.waits_out(false, now + 12 * SECOND));
    assert!(pace.waits_out(true, now + 13 * SECOND), "another silence");
}

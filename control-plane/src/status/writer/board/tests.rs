//! What is looked at and what is written, by a clock that the test sets.

use serde_json::json;

use super::*;
use crate::xds::{Absence, Missing};

const STAMP: &str = "2026-01-01T00:00:00Z";
const SECOND: Duration = Duration::from_secs(1);

fn key(name: &str) -> ObjectKey {
    ("TrafficPolicy".to_owned(), "shop".to_owned(), name.to_owned())
}

fn policy(name: &str, generation: i64) -> (ObjectKey, Arc<Value>) {
    let metadata = json!({ "namespace": "shop", "name": name, "generation": generation });
    (key(name), Arc::new(json!({ "metadata": metadata, "spec": {} })))
}

fn receipt(concerned: usize, programmed: usize) -> Receipt {
    Receipt { generation: Some(9), concerned, programmed, ..Receipt::default() }
}

/// The API server's answer to a job.
fn done(job: &Job) -> Outcome {
    let mut object = (*job.object).clone();
    object["status"] = merge(&job.object, &job.verdict, STAMP).unwrap().0;
    Outcome::Written(Arc::new(object))
}

#[tokio::test(start_paused = true)]
async fn what_has_arrived_is_written_at_once_and_then_rests() {
    let now = Instant::now();
    let mut board = Board::new(now);
    board.take_objects(&Objects::from([policy("a", 1)]), now);
    assert_eq!(board.choose(), [key("a")]);
    assert!(board.is_urgent(now));
    let job = board.judge(&key("a"), &receipt(2, 2), STAMP, now).expect("a status to write");
    assert!(board.choose().is_empty(), "it is being written");
    board.ended(&key("a"), done(&job), now);
    assert_eq!(board.choose(), [key("a")]);
    assert!(board.judge(&key("a"), &receipt(2, 2), STAMP, now).is_none());
    assert!(board.choose().is_empty(), "nothing is left to do");
    assert!(!board.is_urgent(now));
    board.second();
    assert_eq!(board.choose(), [key("a")], "it is looked at again in its turn");
}

#[tokio::test(start_paused = true)]
async fn what_has_not_arrived_is_said_after_a_while_and_then_seldom() {
    let now = Instant::now();
    let mut board = Board::new(now);
    board.take_objects(&Objects::from([policy("a", 1)]), now);
    let mut judge = |after: Duration, programmed| {
        board.choose();
        let now = now + after;
        let job = board.judge(&key("a"), &receipt(3, programmed), STAMP, now)?;
        board.ended(&key("a"), done(&job), now);
        Some(())
    };
    assert_eq!(judge(Duration::from_millis(200), 1), None);
    assert_eq!(judge(SECOND, 1), Some(()));
    assert_eq!(judge(SECOND * 3, 2), None);
    assert_eq!(judge(SECOND * 6, 2), Some(()));
    assert_eq!(judge(SECOND * 7, 3), None);
    assert_eq!(judge(SECOND * 11, 3), Some(()));
    assert_eq!(judge(SECOND * 20, 3), None);
}

#[tokio::test(start_paused = true)]
async fn many_objects_are_all_looked_at_and_written_at_the_rate() {
    let now = Instant::now();
    let mut board = Board::new(now);
    let objects: Objects = (0..250).map(|number| policy(&format!("p{number:03}"), 1)).collect();
    board.take_objects(&objects, now);
    let (mut written, mut seen) = (0, std::collections::BTreeSet::new());
    for second in 0..14 {
        let now = now + SECOND * second;
        let chosen = board.choose();
        assert!(chosen.len() <= AT_ONCE);
        for key in chosen {
            seen.insert(key.clone());
            if let Some(job) = board.judge(&key, &receipt(1, 1), STAMP, now) {
                board.ended(&key, done(&job), now);
                written += 1;
            }
        }
        assert!(written <= 20 * (second + 1), "{written} in second {second}");
    }
    assert_eq!((written, seen.len()), (250, 250));
}

#[tokio::test(start_paused = true)]
async fn a_new_finding_a_new_generation_and_a_deletion_are_noticed() {
    let now = Instant::now();
    let mut board = Board::new(now);
    board.take_objects(&Objects::from([policy("a", 1), policy("b", 1)]), now);
    for name in ["a", "b"] {
        let job = board.judge(&key(name), &receipt(1, 1), STAMP, now).unwrap();
        board.ended(&key(name), done(&job), now);
        assert!(board.judge(&key(name), &receipt(1, 1), STAMP, now).is_none());
    }
    board.choose();
    assert!(board.choose().is_empty());
    let said =
        Finding::new(crate::finding::Code::InvalidObject, "bad").about("TrafficPolicy shop/b");
    board.take_findings(&[said]);
    assert_eq!(board.choose(), [key("b")]);
    let later = now + SECOND * 10;
    let job = board.judge(&key("b"), &receipt(1, 1), STAMP, later).expect("it is not accepted");
    board.ended(&key("b"), Outcome::Refused("no".to_owned()), later);
    assert!(board.judge(&key("b"), &receipt(1, 1), STAMP, later + SECOND).is_none());
    drop(job);
    board.take_objects(&Objects::from([policy("a", 2)]), later);
    assert_eq!(board.choose(), [key("a")]);
}

/// What is said already outlasts the silence of a replica for a while; what is new does not wait for it.
#[tokio::test(start_paused = true)]
async fn a_silent_replica_takes_nothing_back_at_once() {
    let now = Instant::now();
    let mut board = Board::new(now);
    let silent = Missing { replica: "cp-2".to_owned(), absence: Absence::Silent };
    let silent = Receipt { missing: vec![silent], ..receipt(2, 2) };
    let says = |job: &Job| {
        let Verdict::Policy(_, conditions) = &job.verdict else { panic!() };
        conditions[1].status
    };
    board.take_objects(&Objects::from([policy("a", 1)]), now);
    let job = board.judge(&key("a"), &receipt(2, 2), STAMP, now).expect("a status to write");
    board.ended(&key("a"), done(&job), now);
    board.choose();
    let mut judge = |after: u32, receipt: &Receipt| {
        let now = now + SECOND * after;
        let job = board.judge(&key("a"), receipt, STAMP, now)?;
        let said = says(&job);
        board.ended(&key("a"), done(&job), now);
        Some(said)
    };
    assert_eq!(judge(20, &silent), None);
    assert_eq!(judge(29, &silent), None);
    assert_eq!(judge(30, &silent), Some("Unknown"));
    assert_eq!(judge(40, &receipt(2, 2)), Some("True"));
    assert_eq!(judge(50, &silent), None, "another silence");

    let later = now + SECOND * 60;
    board.take_objects(&Objects::from([policy("b", 2)]), later);
    assert!(board.judge(&key("b"), &silent, STAMP, later).is_none());
    let job = board.judge(&key("b"), &silent, STAMP, later + SECOND);
    assert_eq!(job.as_ref().map(says), Some("Unknown"));
}

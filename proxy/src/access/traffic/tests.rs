//! What is kept, and what becomes of what has no room.

use std::time::Duration;

use weft_proto::telemetry as wire;

use super::room::{MAX_BYTES, MAX_ENTRIES};
use super::*;

const MINUTE: Duration = Duration::from_secs(60);

fn gateway() -> SpiffeId {
    "spiffe://a.test/ns/shop/sa/gateway".parse().unwrap()
}

fn from(last: u8) -> IpAddr {
    [10, 0, 0, last].into()
}

fn ask(seconds: u32) -> wire::AskTraffic {
    wire::AskTraffic { id: 7, seconds }
}

/// `gateway 10.0.0.1:80 GET /a 2`, from all messages.
fn lines(messages: &[wire::AccessTraffic]) -> Vec<String> {
    let mut lines = Vec::new();
    for caller in messages.iter().flat_map(|message| &message.callers) {
        let who = caller.identity.rsplit('/').next().unwrap();
        let who = format!("{who} {}:{}", caller.address, caller.port);
        for request in &caller.requests {
            let wire::RequestTraffic { method, path, requests } = request;
            lines.push(format!("{who} {method} {path} {requests}"));
        }
        if caller.connections > 0 {
            lines.push(format!("{who} bytes {}", caller.connections));
        }
    }
    lines
}

#[tokio::test(start_paused = true)]
async fn the_books_of_all_workers_are_one() {
    let (traffic, id) = (Traffic::new(2), gateway());
    let now = Instant::now();
    for worker in [0, 1, 0] {
        let page = traffic.page(worker, Some(&id), from(1), 80);
        page.request("GET", "/a", now);
        page.request("POST", "/a", now);
    }
    traffic.page(1, None, from(2), 81).connection(now);
    let _silent = traffic.page(0, None, from(3), 81);
    let answer = traffic.answer(ask(600), now);
    assert_eq!(answer.len(), 1);
    assert_eq!((answer[0].id, answer[0].more, answer[0].beyond), (7, false, 0));
    assert_eq!(
        lines(&answer),
        [" 10.0.0.2:81 bytes 1", "gateway 10.0.0.1:80 GET /a 3", "gateway 10.0.0.1:80 POST /a 3"]
    );
}

#[tokio::test(start_paused = true)]
async fn ten_minutes_later_all_is_forgotten() {
    let traffic = Traffic::new(1);
    let page = traffic.page(0, None, from(1), 80);
    page.request("GET", "/old", Instant::now());
    tokio::time::advance(9 * MINUTE).await;
    page.request("GET", "/new", Instant::now());
    let told = |seconds| lines(&traffic.answer(ask(seconds), Instant::now()));
    assert_eq!(told(600), [" 10.0.0.1:80 GET /new 1", " 10.0.0.1:80 GET /old 1"]);
    assert_eq!(told(60), [" 10.0.0.1:80 GET /new 1"]);
    traffic.sweep(Instant::now());
    assert_eq!(traffic.size().0, 3);
    tokio::time::advance(2 * MINUTE).await;
    traffic.sweep(Instant::now());
    assert_eq!(traffic.size().0, 2);
    // A page that a connection holds stays.
    tokio::time::advance(20 * MINUTE).await;
    traffic.sweep(Instant::now());
    assert_eq!(traffic.size().0, 1);
    drop(page);
    traffic.sweep(Instant::now());
    assert_eq!(traffic.size(), (0, 0));
    assert!(told(600).is_empty());
}

#[tokio::test(start_paused = true)]
async fn what_has_no_room_is_counted_with_less_said() {
    let (traffic, now) = (Traffic::new(1), Instant::now());
    let page = traffic.page(0, None, from(1), 80);
    for number in 0..MAX_OF_CALLER + 100 {
        page.request("GET", &format!("/{number}"), now);
    }
    page.request("GET", &"/long".repeat(MAX_TEXT), now);
    page.request(&"LONG".repeat(MAX_METHOD), "/", now);
    let told = lines(&traffic.answer(ask(600), now));
    assert_eq!(told.len(), MAX_OF_CALLER + 2);
    assert!(told.contains(&" 10.0.0.1:80 GET  101".to_owned()), "without path");
    assert!(told.contains(&" 10.0.0.1:80   1".to_owned()), "without method");
}

#[tokio::test(start_paused = true)]
async fn whoever_asks_for_everything_takes_no_more_than_the_room() {
    let (traffic, now) = (Traffic::new(2), Instant::now());
    let mut asked = 0;
    for caller in 0..=255 {
        for port in 0..60 {
            let page = traffic.page(usize::from(port) % 2, None, from(caller), port);
            for number in 0..3 {
                page.request(&format!("M{caller}"), &format!("/{}/{number}", "x".repeat(200)), now);
                asked += 1;
            }
        }
    }
    let (entries, bytes) = traffic.size();
    assert!(entries <= MAX_ENTRIES && bytes <= MAX_BYTES, "{entries} entries, {bytes} bytes");
    assert!(entries > MAX_ENTRIES / 4, "{entries} entries, {bytes} bytes");
    let answer = traffic.answer(ask(600), now);
    let told: u64 = answer
        .iter()
        .flat_map(|message| &message.callers)
        .flat_map(|caller| &caller.requests)
        .map(|request| request.requests)
        .sum();
    assert_eq!(told + answer[0].beyond, asked, "each is counted");
    assert!(answer[0].beyond > 0);
    println!("full: {entries} entries, {bytes} bytes");
}

#[tokio::test(start_paused = true)]
async fn a_large_answer_comes_in_pieces() {
    let (traffic, now) = (Traffic::new(1), Instant::now());
    for caller in 0..3 {
        let page = traffic.page(0, None, from(caller), 80);
        for number in 0..1500 {
            page.request("GET", &format!("/{}/{number}", "x".repeat(150)), now);
        }
    }
    let answer = traffic.answer(ask(600), now);
    assert!(answer.len() > 2, "{}", answer.len());
    assert_eq!(lines(&answer).len(), 4500);
    let more: Vec<bool> = answer.iter().map(|message| message.more).collect();
    assert!(!more[more.len() - 1] && more[..more.len() - 1].iter().all(|more| *more));
    for message in &answer {
        let size = prost::Message::encoded_len(message);
        assert!(size < 300 * 1024, "{size}");
    }
}

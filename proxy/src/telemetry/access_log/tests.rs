//! Which requests are logged, and that a reader who does not read costs lines only.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::writer::MAX_BYTES;
use super::{AccessLog, Sink};
use crate::config::AccessLogMode;
use crate::error::Token;
use crate::telemetry::metrics::{Direction, Metrics};
use crate::telemetry::tests::end;
use crate::telemetry::{ConnectionEnd, RequestEnd};

const DEADLINE: Duration = Duration::from_secs(20);

fn connection(error: Option<Token>) -> ConnectionEnd<'static> {
    ConnectionEnd {
        direction: Direction::Outbound,
        service: "db.shop:5432",
        route: "",
        peer_identity: "",
        peer_address: None,
        mtls: false,
        sent: 1,
        received: 2,
        duration: Duration::ZERO,
        error,
        denial: None,
    }
}

async fn logged(mode: AccessLogMode) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let sink = Sink::File(file.path().to_owned());
    let log = AccessLog::open(mode, &sink, "web-v1.shop", &Metrics::default()).unwrap();
    for (path, status, error) in [
        ("/ok", 200, None),
        ("/notfound", 404, None),
        ("/noroute", 404, Some(Token::RouteNotFound)),
        ("/broken", 500, None),
    ] {
        log.request(&RequestEnd { path, status, error, ..end() }, None);
    }
    log.connection(&connection(None));
    log.connection(&connection(Some(Token::ConnectionRefused)));
    log.shutdown(DEADLINE).await;
    let text = std::fs::read_to_string(file.path()).unwrap();
    let line = |line: &str| {
        let line: serde_json::Value = serde_json::from_str(line).unwrap();
        line.get("path").unwrap_or(&line["protocol"]).as_str().unwrap().to_owned()
    };
    text.lines().map(line).collect()
}

#[tokio::test]
async fn modes() {
    assert_eq!(logged(AccessLogMode::Off).await, [""; 0]);
    assert_eq!(logged(AccessLogMode::Errors).await, ["/noroute", "/broken", "tcp"]);
    let all = ["/ok", "/notfound", "/noroute", "/broken", "tcp", "tcp"];
    assert_eq!(logged(AccessLogMode::All).await, all);
}

/// A reader that lets one write through per permit.
struct Gate {
    permits: Receiver<()>,
    written: Sender<Vec<u8>>,
}

impl Write for Gate {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.permits.recv().map_err(|_| io::ErrorKind::BrokenPipe)?;
        self.written.send(bytes.to_vec()).map_err(|_| io::ErrorKind::BrokenPipe)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn gated() -> (AccessLog, Metrics, Sender<()>, Receiver<Vec<u8>>) {
    let (permit, permits) = channel();
    let (written, output) = channel();
    let metrics = Metrics::default();
    let gate = Box::new(Gate { permits, written });
    let log = AccessLog::to(gate, false, "web-v1.shop", &metrics).unwrap();
    (log, metrics, permit, output)
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_lines_and_no_time() {
    let (log, metrics, permit, output) = gated();
    let path = format!("/{}", "x".repeat(500));
    let start = Instant::now();
    let count = 20_000;
    for _ in 0..count {
        log.request(&RequestEnd { path: &path, ..end() }, None);
    }
    assert!(start.elapsed() < Duration::from_secs(10), "requests waited: {:?}", start.elapsed());
    let dropped = log.dropped();
    assert!(dropped > 0);
    assert!(metrics.encode().contains(&format!("weft_access_log_dropped_total {dropped}")));
    // The reader is back: what was kept comes out whole, and everything is accounted for.
    (0..1000).for_each(|_| permit.send(()).unwrap());
    log.shutdown(DEADLINE).await;
    let out: Vec<u8> = output.try_iter().flatten().collect();
    assert!(out.len() <= MAX_BYTES, "{} bytes waited", out.len());
    let lines = String::from_utf8(out).unwrap();
    assert!(lines.lines().all(|line| line.starts_with('{') && line.ends_with('}')));
    assert_eq!(lines.lines().count() as u64 + dropped, count);
}

#[tokio::test]
async fn the_exit_does_not_wait_for_a_reader_that_does_not_read() {
    let (log, _metrics, permit, _output) = gated();
    log.request(&end(), None);
    let start = Instant::now();
    log.shutdown(Duration::from_millis(100)).await;
    assert!(start.elapsed() < Duration::from_secs(2), "{:?}", start.elapsed());
    log.request(&end(), None);
    assert_eq!(log.dropped(), 1, "a line after the end");
    drop(permit);
}

#[tokio::test]
async fn a_reader_that_is_gone_costs_lines() {
    let (log, _metrics, permit, output) = gated();
    drop((permit, output));
    log.request(&end(), None);
    log.request(&end(), None);
    log.shutdown(DEADLINE).await;
    assert_eq!(log.dropped(), 2);
}

#[tokio::test]
async fn an_idle_log_ends_at_once() {
    let (log, _metrics, _permit, output) = gated();
    let start = Instant::now();
    log.shutdown(DEADLINE).await;
    assert!(start.elapsed() < DEADLINE);
    assert_eq!(output.try_iter().count(), 0);
}

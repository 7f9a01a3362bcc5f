//! Which requests are logged, and that a reader who does not read costs lines only.

use std::io::{self, Write};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, Instant};

use super::{AccessLog, Fields, Options, Settings, Sink, is_chosen};
use crate::config::AccessLogMode;
use crate::error::Token;
use crate::log::writer::MAX_BYTES;
use crate::model::{LogRules, Logging};
use crate::telemetry::metrics::{Direction, Metrics};
use crate::telemetry::tests::end;
use crate::telemetry::{ConnectionEnd, RequestEnd};

const DEADLINE: Duration = Duration::from_secs(60);

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

fn options(mode: Option<AccessLogMode>, sink: Sink) -> Options {
    Options {
        mode,
        sink,
        workload: "web-v1.shop".to_owned(),
        identity: "spiffe://demo.local/ns/shop/sa/web".to_owned(),
        settings: Settings::default(),
        resource: opentelemetry_sdk::Resource::builder_empty().build(),
    }
}

/// Paths of the lines, under a flag and what the configuration says.
async fn logged(mode: Option<AccessLogMode>, rules: Option<LogRules>) -> Vec<String> {
    let file = tempfile::NamedTempFile::new().unwrap();
    let options = options(mode, Sink::File(file.path().to_owned()));
    let log = AccessLog::open(options, &Metrics::default()).unwrap();
    log.configure(&Logging { rules, collector: None });
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
    use AccessLogMode::{All, Errors, Off};
    let nothing: [&str; 0] = [];
    let errors = ["/noroute", "/broken", "tcp"];
    let all = ["/ok", "/notfound", "/noroute", "/broken", "tcp", "tcp"];
    let rules = |successes| Some(LogRules { successes, fields: Fields::ALL });
    for (mode, rules, expected) in [
        (None, None, &nothing[..]),
        (None, rules(0.0), &errors),
        (None, rules(1.0), &all),
        (Some(Off), rules(1.0), &nothing),
        (Some(Errors), rules(1.0), &errors),
        (Some(All), rules(0.0), &all),
        (Some(All), None, &all),
    ] {
        assert_eq!(logged(mode, rules).await, expected, "{mode:?} {rules:?}");
    }
}

#[tokio::test]
async fn what_is_logged_changes_with_the_configuration() {
    let file = tempfile::NamedTempFile::new().unwrap();
    let log =
        AccessLog::open(options(None, Sink::File(file.path().to_owned())), &Metrics::default())
            .unwrap();
    let rules = |fields| Some(LogRules { successes: 1.0, fields });
    log.request(&RequestEnd { path: "/before", ..end() }, None);
    log.configure(&Logging { rules: rules(Fields::ALL), collector: None });
    log.request(&RequestEnd { path: "/all", ..end() }, None);
    log.configure(&Logging { rules: rules(Fields::of(["path"]).unwrap()), collector: None });
    log.request(&RequestEnd { path: "/some", ..end() }, None);
    log.configure(&Logging::default());
    log.request(&RequestEnd { path: "/after", ..end() }, None);
    log.shutdown(DEADLINE).await;
    let text = std::fs::read_to_string(file.path()).unwrap();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!((lines.len(), lines[1]), (2, r#"{"path":"/some"}"#), "{text}");
    assert!(lines[0].contains("/all") && lines[0].contains("identity"), "{text}");
}

#[test]
fn the_share_of_successes_is_kept_with_a_trace_and_without() {
    let count = |share, trace: bool| {
        let chosen = (0..20_000_u128).filter(|n| {
            let id =
                trace.then(|| n.wrapping_mul(0x9E37_79B9_7F4A_7C15_F39C_C060_5CED_C835).into());
            is_chosen(share, id, &format!("id-{n}"))
        });
        chosen.count()
    };
    for trace in [true, false] {
        assert_eq!((count(0.0, trace), count(1.0, trace)), (0, 20_000));
        // 20,000 draws at a tenth: 2,000, standard deviation 42.
        assert!((1_750..2_250).contains(&count(0.1, trace)), "{}", count(0.1, trace));
    }
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
    let options = options(Some(AccessLogMode::All), Sink::Stdout);
    let log = AccessLog::to(gate, options, &metrics).unwrap();
    (log, metrics, permit, output)
}

#[tokio::test]
async fn a_reader_that_does_not_read_costs_lines_and_no_time() {
    let (log, metrics, permit, output) = gated();
    let path = format!("/{}", "x".repeat(500));
    let count = 8_000;
    // One that waited for the reader would do so for ever.
    for _ in 0..count {
        log.request(&RequestEnd { path: &path, ..end() }, None);
    }
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
    assert!(start.elapsed() < DEADLINE, "{:?}", start.elapsed());
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

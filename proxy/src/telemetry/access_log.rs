//! The access log: one JSON line for a request or an opaque connection, when it has ended. Written to by
//! [`super::Telemetry`]; off unless a flag or the configuration asks for it.
//!
//! 1. [`mod@line`]: a line, its fields and their bounds.
//! 2. `otlp`: the same as a log record of OTLP, for collectors.
//!
//! A line is made by the data worker and handed to queues that are bounded; threads of their own write and send. A
//! reader that is slow, gone or full costs lines, which are counted, and never a request. Whatever a client
//! sent is escaped, so that no line can be forged and no terminal be driven.
//!
//! What failed is always logged; of the rest a share, chosen by the trace (without one by the request's id), so that
//! all sidecars of one trace choose alike where their shares are alike.

mod line;
mod otlp;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use arc_swap::ArcSwapOption;
use opentelemetry::trace::TraceId;
use opentelemetry_sdk::Resource;

use self::line::Line;
use self::otlp::LogLine;
use super::export::otlp::About;
use super::export::{Exporter, Otlp};
use super::metrics::{LOG_LINES_DROPPED, Metrics};
use super::trace::is_in_share;
use super::{ConnectionEnd, RequestEnd};
use crate::config::AccessLogMode;
use crate::log::writer::Writer;
use crate::model::{LogRules, Logging};

pub use line::Fields;
pub use otlp::Settings;

/// How long a line waits for company.
const GATHER: Duration = Duration::from_millis(100);

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// Whose log it is, and where it goes.
#[derive(Debug)]
pub struct Options {
    /// What a flag asks for; goes before the configuration. `None`: as the configuration says.
    pub mode: Option<AccessLogMode>,
    /// Where lines go.
    pub sink: Sink,
    /// `product-v1.shop`.
    pub workload: String,
    /// Its SPIFFE id.
    pub identity: String,
    /// What the environment says of collectors.
    pub settings: Settings,
    /// What collectors are told of the workload.
    pub resource: Resource,
}

/// The access log. Cheap to clone; the default is off for good.
#[derive(Clone, Debug, Default)]
pub struct AccessLog(Option<Arc<Log>>);

#[derive(Debug)]
struct Log {
    /// A flag has said what is logged.
    fixed: bool,
    rules: ArcSwapOption<LogRules>,
    workload: String,
    identity: String,
    /// Taken by the first line's writer.
    sink: std::sync::Mutex<Option<Out>>,
    /// Its thread starts when something is to be logged.
    writer: OnceLock<Writer>,
    /// To a collector of the environment.
    otlp: Otlp,
    disabled: bool,
    exporter: Arc<Exporter<LogLine>>,
}

struct Out(Box<dyn io::Write + Send>);

impl std::fmt::Debug for Out {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Out")
    }
}

impl AccessLog {
    /// A log that waits to be told what to log, unless a flag has.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not be started.
    pub fn open(options: Options, metrics: &Metrics) -> io::Result<Self> {
        let out: Box<dyn io::Write + Send> = match &options.sink {
            Sink::Stdout => Box::new(io::stdout()),
            Sink::File(path) => {
                Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        Self::to(out, options, metrics)
    }

    fn to(out: Box<dyn io::Write + Send>, options: Options, metrics: &Metrics) -> io::Result<Self> {
        let Settings { disabled, otlp } = options.settings;
        let log = Arc::new(Log {
            fixed: options.mode.is_some(),
            rules: ArcSwapOption::empty(),
            workload: options.workload,
            identity: options.identity,
            sink: std::sync::Mutex::new(Some(Out(out))),
            writer: OnceLock::new(),
            exporter: Exporter::new(&otlp, About::new(&options.resource)),
            otlp,
            disabled,
        });
        let counted = Arc::clone(&log);
        metrics.watch(LOG_LINES_DROPPED, move || counted.dropped());
        let successes = match options.mode {
            None | Some(AccessLogMode::Off) => None,
            Some(AccessLogMode::Errors) => Some(0.0),
            Some(AccessLogMode::All) => Some(1.0),
        };
        log.follow(successes.map(|successes| LogRules { successes, fields: Fields::ALL }))?;
        if !log.disabled {
            log.exporter.collect_at(log.otlp.collector.clone());
        }
        Ok(Self(Some(log)))
    }

    /// What the configuration says now, as far as no flag and no variable says otherwise.
    pub fn configure(&self, logging: &Logging) {
        let Some(log) = &self.0 else { return };
        if !log.fixed
            && let Err(error) = log.follow(logging.rules)
        {
            tracing::error!(%error, "no thread for the access log; nothing is logged");
        }
        if !log.disabled && log.otlp.collector.is_none() {
            log.exporter.collect_at(logging.collector.clone());
        }
    }

    /// Logs a request. Never blocks.
    pub fn request(&self, end: &RequestEnd<'_>, trace_id: Option<TraceId>) {
        let Some(log) = &self.0 else { return };
        let rules = log.rules.load();
        let Some(rules) = rules.as_deref() else { return };
        let failed = end.error.is_some() || end.observation().is_failure();
        if failed || is_chosen(rules.successes, trace_id, end.request_id) {
            let now = SystemTime::now();
            let line = Line::of_request(end, trace_id, log.speaker(), now);
            log.write(&line, rules.fields, Kept { at: now, trace_id, failed });
        }
    }

    /// Logs an opaque connection. Never blocks.
    pub fn connection(&self, end: &ConnectionEnd<'_>) {
        let Some(log) = &self.0 else { return };
        let rules = log.rules.load();
        let Some(rules) = rules.as_deref() else { return };
        let (failed, id) =
            (end.error.is_some(), end.peer_address.map(|address| address.to_string()));
        if failed || is_chosen(rules.successes, None, &id.unwrap_or_default()) {
            let now = SystemTime::now();
            let line = Line::of_connection(end, log.speaker(), now);
            log.write(&line, rules.fields, Kept { at: now, trace_id: None, failed });
        }
    }

    /// Lines that were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |log| log.dropped())
    }

    /// Writes and sends what waits, for at most `limit`, and ends the log. Later lines are dropped.
    pub async fn shutdown(&self, limit: Duration) {
        let Some(log) = &self.0 else { return };
        let written = async {
            if let Some(writer) = log.writer.get() {
                writer.shutdown(limit).await;
            }
        };
        tokio::join!(written, log.exporter.shutdown(limit));
    }
}

/// Is a request that went well among those that are logged? Whoever chooses trace ids chooses this too.
fn is_chosen(share: f64, trace_id: Option<TraceId>, request_id: &str) -> bool {
    if share <= 0.0 || share >= 1.0 {
        return share > 0.0;
    }
    let id = trace_id.unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        request_id.hash(&mut hasher);
        TraceId::from(u128::from(hasher.finish()))
    });
    is_in_share(id, share)
}

/// What a collector is told beside the line.
#[derive(Clone, Copy)]
struct Kept {
    at: SystemTime,
    trace_id: Option<TraceId>,
    failed: bool,
}

/// Whose line it is.
#[derive(Clone, Copy, Debug)]
struct Speaker<'a> {
    workload: &'a str,
    identity: &'a str,
}

impl Log {
    fn speaker(&self) -> Speaker<'_> {
        Speaker { workload: &self.workload, identity: &self.identity }
    }

    /// Logs by these rules from now on. The thread starts with the first.
    fn follow(&self, rules: Option<LogRules>) -> io::Result<()> {
        if rules.is_some() && self.writer.get().is_none() {
            let out = self.sink.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take();
            if let Some(Out(out)) = out {
                let writer = Writer::spawn("weft-access-log", out, GATHER)?;
                // Whoever took the sink is the only one.
                let _ = self.writer.set(writer);
            }
        }
        self.rules.store(rules.map(Arc::new));
        Ok(())
    }

    fn dropped(&self) -> u64 {
        self.writer.get().map_or(0, Writer::dropped) + self.exporter.dropped()
    }

    fn write(&self, line: &Line<'_>, fields: Fields, kept: Kept) {
        let mut text = Vec::with_capacity(768);
        if serde_json::to_writer(&mut text, &line.chosen(fields)).is_err() {
            return;
        }
        if self.exporter.is_open() {
            let Kept { at, trace_id, failed } = kept;
            let text = text.clone().into_boxed_slice();
            self.exporter.push(Box::new(LogLine { at, trace_id, failed, text }));
        }
        text.push(b'\n');
        if let Some(writer) = self.writer.get() {
            writer.push(text);
        }
    }
}

#[cfg(test)]
mod tests;

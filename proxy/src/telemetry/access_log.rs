//! The access log: one JSON line for a request or an opaque connection, when it has ended. Written to by
//! [`super::Telemetry`]; off unless asked for.
//!
//! A line is made by the data worker and handed to a queue that is bounded in bytes; a thread of its own
//! writes. A reader that is slow or gone costs lines, which are counted, and never a request. Whatever a client
//! sent is escaped, so that no line can be forged and no terminal be driven.

mod line;
mod writer;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::trace::TraceId;

use self::line::Line;
use self::writer::Writer;
use super::metrics::{LOG_LINES_DROPPED, Metrics};
use super::{ConnectionEnd, RequestEnd};
use crate::config::AccessLogMode;

/// Where lines go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Sink {
    /// Standard output.
    Stdout,
    /// A file, appended to.
    File(PathBuf),
}

/// The access log. Cheap to clone; the default is off.
#[derive(Clone, Debug, Default)]
pub struct AccessLog(Option<Arc<Log>>);

#[derive(Debug)]
struct Log {
    errors_only: bool,
    workload: String,
    writer: Writer,
}

impl AccessLog {
    /// A log of the workload (`product-v1.shop`). Starts its thread unless it is off.
    ///
    /// # Errors
    /// The file cannot be opened, or the thread not be started.
    pub fn open(
        mode: AccessLogMode,
        sink: &Sink,
        workload: &str,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let errors_only = match mode {
            AccessLogMode::Off => return Ok(Self::default()),
            AccessLogMode::Errors => true,
            AccessLogMode::All => false,
        };
        let out: Box<dyn io::Write + Send> = match sink {
            Sink::Stdout => Box::new(io::stdout()),
            Sink::File(path) => {
                Box::new(std::fs::OpenOptions::new().create(true).append(true).open(path)?)
            }
        };
        Self::to(out, errors_only, workload, metrics)
    }

    fn to(
        out: Box<dyn io::Write + Send>,
        errors_only: bool,
        workload: &str,
        metrics: &Metrics,
    ) -> io::Result<Self> {
        let writer = Writer::spawn(out)?;
        let counted = writer.clone();
        metrics.watch(LOG_LINES_DROPPED, move || counted.dropped());
        Ok(Self(Some(Arc::new(Log { errors_only, workload: workload.to_owned(), writer }))))
    }

    /// Logs a request. Never blocks.
    pub fn request(&self, end: &RequestEnd<'_>, trace_id: Option<TraceId>) {
        let Some(log) = &self.0 else { return };
        if log.errors_only && end.error.is_none() && !end.observation().is_failure() {
            return;
        }
        log.write(&Line::of_request(end, trace_id, &log.workload, SystemTime::now()));
    }

    /// Logs an opaque connection. Never blocks.
    pub fn connection(&self, end: &ConnectionEnd<'_>) {
        let Some(log) = &self.0 else { return };
        if !log.errors_only || end.error.is_some() {
            log.write(&Line::of_connection(end, &log.workload, SystemTime::now()));
        }
    }

    /// Lines that were dropped since the start.
    #[must_use]
    pub fn dropped(&self) -> u64 {
        self.0.as_ref().map_or(0, |log| log.writer.dropped())
    }

    /// Writes what waits, for at most `limit`, and ends the log. Later lines are dropped.
    pub async fn shutdown(&self, limit: Duration) {
        if let Some(log) = &self.0 {
            log.writer.shutdown(limit).await;
        }
    }
}

impl Log {
    fn write(&self, line: &Line<'_>) {
        let mut text = Vec::with_capacity(640);
        if serde_json::to_writer(&mut text, line).is_ok() {
            text.push(b'\n');
            self.writer.push(text);
        }
    }
}

#[cfg(test)]
mod tests;

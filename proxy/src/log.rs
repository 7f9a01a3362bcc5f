//! The process's own log: text on a terminal, JSON lines elsewhere, on standard error. Level by `WEFT_LOG`
//! (`info`, `weft_proxy=debug`), `info` if unset. Requests have their own log, `telemetry::access_log`.
//!
//! Whoever logs must not wait for a reader: a container's runtime that does not empty its pipes would otherwise stop
//! the worker that has something to say, and all of its requests. Lines are queued, and dropped where they are too
//! many; [`Log`] writes what waits before the process ends.

pub(crate) mod writer;

use std::io::{self, IsTerminal as _};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use self::writer::Writer;

/// Bound of the last lines' way out.
const FLUSH: Duration = Duration::from_millis(300);

/// The log, while the process lives.
#[derive(Debug)]
pub(crate) struct Log(Option<Writer>);

/// Starts logging. A second call (tests) changes nothing.
pub(crate) fn start() -> Log {
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let writer = Writer::spawn("weft-log", Box::new(io::stderr()), Duration::ZERO).ok();
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_writer(Lines(writer.clone()));
    let started = if io::stderr().is_terminal() {
        builder.try_init()
    } else {
        builder.json().flatten_event(true).try_init()
    };
    Log(writer.filter(|_| started.is_ok()))
}

impl Drop for Log {
    fn drop(&mut self) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build();
        if let (Some(writer), Ok(runtime)) = (&self.0, runtime) {
            runtime.block_on(writer.shutdown(FLUSH));
        }
    }
}

/// Where events go: into the queue, or without one straight out.
#[derive(Debug)]
struct Lines(Option<Writer>);

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line(self.0.as_ref())
    }
}

/// One event; it is written with one call.
#[derive(Debug)]
struct Line<'a>(Option<&'a Writer>);

impl io::Write for Line<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.0 {
            Some(writer) => {
                writer.push(bytes.to_vec());
                Ok(bytes.len())
            }
            None => io::stderr().write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

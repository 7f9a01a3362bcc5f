//! The process's own log: text on a terminal, JSON lines elsewhere, on standard error. Level by `WEFT_LOG`
//! (`info`, `weft_proxy=debug`), `info` if unset. Requests have their own log, `telemetry::access_log`.

use std::io::IsTerminal as _;

use tracing_subscriber::EnvFilter;

/// Starts logging. A second call (tests) changes nothing.
pub(crate) fn start() {
    let filter = EnvFilter::try_from_env("WEFT_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    if std::io::stderr().is_terminal() {
        let _ = builder.try_init();
    } else {
        let _ = builder.json().flatten_event(true).try_init();
    }
}

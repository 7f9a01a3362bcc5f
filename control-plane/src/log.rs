//! The program's log: `tracing` to stderr, for people or for machines.
//!
//! Set up once by `main`, before anything that could log. Libraries and tests never call it.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::TryInitError;

use crate::config::{LogConfig, LogFormat};

/// Why there is no log.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LogError {
    /// The filter cannot be read.
    #[error("--log {filter:?}: {source}")]
    Filter {
        /// As given.
        filter: String,
        /// What is wrong with it.
        source: tracing_subscriber::filter::ParseError,
    },
    /// The process has a log already.
    #[error(transparent)]
    Init(#[from] TryInitError),
}

/// What a library says too often: each attempt to reach the API server that fails, at level error. Those who ask it say
/// so once. A filter can still ask for it.
const SILENT: &str = "kube_client::client::builder=off";

/// Starts to log.
pub(crate) fn init(config: &LogConfig) -> Result<(), LogError> {
    use tracing_subscriber::util::SubscriberInitExt;
    let filter = EnvFilter::builder()
        .parse(format!("{SILENT},{}", config.filter))
        .map_err(|source| LogError::Filter { filter: config.filter.clone(), source })?;
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let terminal = std::io::stderr().is_terminal();
    let json = match config.format {
        LogFormat::Auto => !terminal,
        LogFormat::Text => false,
        LogFormat::Json => true,
    };
    if json {
        builder.json().flatten_event(true).with_current_span(false).finish().try_init()?;
    } else if terminal {
        // Colours unless `NO_COLOR` says otherwise, which the builder looks at itself.
        builder.with_target(false).finish().try_init()?;
    } else {
        builder.with_ansi(false).with_target(false).finish().try_init()?;
    }
    Ok(())
}

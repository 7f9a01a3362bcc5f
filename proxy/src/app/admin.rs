//! What the sidecar tells about itself and lets itself be told: fills `admin`'s endpoints with what is in force.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};

use super::{App, view};
use crate::admin::{AdminSource, Answer, ConfigPart, Socket, serve_health, serve_socket};
use crate::drain;
use crate::readiness::Readiness;
use crate::workers::Shared;

/// Name of the admin socket in the state directory.
pub(crate) const SOCKET: &str = "admin.sock";

struct Source {
    shared: Shared,
    readiness: Readiness,
    inbound: Arc<drain::Trigger>,
    grace: Duration,
}

/// Opens the admin socket and, if there is to be one, the health port. Runs until the control thread ends.
///
/// # Errors
/// If the socket cannot be bound.
pub(super) fn start(app: &mut App, inbound: &Arc<drain::Trigger>) -> anyhow::Result<()> {
    let source: Arc<dyn AdminSource> = Arc::new(Source {
        shared: app.shared.clone(),
        readiness: app.readiness.clone(),
        inbound: Arc::clone(inbound),
        grace: app.config.drain_grace,
    });
    if let Some(socket) = app.health.take() {
        let source = Arc::clone(&source);
        tokio::spawn(async move {
            if let Err(error) = serve_health(socket, source).await {
                tracing::error!(%error, "the health port is closed");
            }
        });
    }
    let socket = Socket::bind(&app.store.directory().join(SOCKET))?;
    tokio::spawn(serve_socket(socket, source));
    Ok(())
}

impl AdminSource for Source {
    fn missing(&self) -> Vec<String> {
        let mut missing = self.readiness.missing();
        if self.inbound.is_draining() {
            missing.push("draining".to_owned());
        }
        missing
    }

    fn metrics(&self) -> String {
        self.shared.telemetry.metrics.encode()
    }

    fn config(&self, part: ConfigPart) -> Value {
        let state = &self.shared.state;
        match part {
            ConfigPart::Routes => view::routes(state),
            ConfigPart::Clusters => view::clusters(state),
            ConfigPart::Endpoints => view::endpoints(state),
            ConfigPart::Listeners => view::listeners(state),
            ConfigPart::Certificate => view::certificate(&self.shared.tls),
        }
    }

    fn stats(&self) -> Value {
        let spans = self.shared.telemetry.tracing.counts();
        json!({
            "workload": &*self.shared.workload,
            "inbound_connections": self.inbound.open(),
            "draining": self.inbound.is_draining(),
            "collector": self.shared.telemetry.tracing.collector(),
            "spans": {
                "started": spans.started, "exported": spans.exported, "dropped": spans.dropped,
            },
            "log_lines_dropped": self.shared.telemetry.access_log.dropped(),
        })
    }

    fn drain(&self) -> Answer {
        let (inbound, grace) = (Arc::clone(&self.inbound), self.grace);
        // Order: connections are asked before callers are told, who then come no more.
        inbound.start();
        self.shared.telemetry.metrics.draining(true);
        Box::pin(async move {
            let drained = inbound.drain(grace).await;
            json!({ "drained": drained, "open": inbound.open() })
        })
    }
}

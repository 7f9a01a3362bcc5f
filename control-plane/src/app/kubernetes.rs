//! What a control plane in a cluster does besides: it injects sidecars, takes part in the election, and writes status
//! while it leads.
//!
//! Built and run by [`super::App`].

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;

use super::source::Cluster;
use crate::admin::InjectorView;
use crate::clock::Clock;
use crate::injection::{Injector, Settings};
use crate::status::{Inputs as StatusInputs, Lease, StatusWriter};
use crate::webhook::{self, Options, Webhook};

/// The parts, ready to run.
#[derive(Debug)]
pub(super) struct Kubernetes {
    webhook: Webhook,
    lease: Lease,
    status: StatusWriter,
}

/// What the parts hear from the others.
pub(super) struct Inputs {
    /// The mesh's roots as PEM.
    pub(super) bundle: watch::Receiver<Arc<str>>,
    /// For statuses.
    pub(super) status: StatusInputs,
    /// True once the control plane stops.
    pub(super) stopping: watch::Receiver<bool>,
}

impl Kubernetes {
    /// Binds the injector's port. `advertised` is where injected sidecars find the control plane.
    ///
    /// # Errors
    /// If the address is taken.
    pub(super) fn build(
        cluster: &Cluster,
        advertised: &str,
        inputs: Inputs,
        clock: Clock,
    ) -> Result<Self> {
        let Cluster { client, config } = cluster;
        let Inputs { bundle, status, stopping } = inputs;
        let (lease, leads) =
            Lease::new(client.clone(), &config.namespace, config.pod.clone(), stopping.clone());
        let options = Options {
            listen: config.webhook,
            namespace: config.namespace.clone(),
            names: webhook::service_names(&config.namespace),
            settings: Settings {
                proxy_image: config.proxy_image.clone(),
                init_image: config.init_image.clone(),
                control_plane: advertised.to_owned(),
                injector: Injector::Webhook,
            },
        };
        let heard = webhook::Inputs { bundle, leader: leads.clone(), stopping };
        let bound = Webhook::bind(options, client.clone(), heard, clock.clone());
        let webhook = bound.with_context(|| format!("cannot listen on {}", config.webhook))?;
        let status = StatusWriter::new(client.clone(), status, leads, clock);
        Ok(Self { webhook, lease, status })
    }

    /// For readiness and `/metrics`.
    pub(super) fn injector(&self) -> InjectorView {
        InjectorView { ready: self.webhook.ready(), counts: self.webhook.counts() }
    }

    /// Runs for ever; ends early only when the control plane stops.
    pub(super) async fn run(self) {
        // Boxed: the injector's future is large.
        tokio::join!(Box::pin(self.webhook.run()), self.lease.run(), self.status.run());
    }
}

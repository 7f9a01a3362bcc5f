//! What a control plane in a cluster does besides: it injects sidecars, takes part in the election, and writes status
//! while it leads; else it tells the one that leads what its own proxies run.
//!
//! Built and run by [`super::App`].

use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio_rustls::rustls::ClientConfig;
use tonic::service::Routes;
use weft_certs::SpiffeId;

use super::source::Cluster;
use crate::admin::InjectorView;
use crate::clock::Clock;
use crate::injection::{Injector, Settings};
use crate::status::{Inputs as StatusInputs, Lease, Own, ReceiptsService, Replicas, StatusWriter};
use crate::trust::{self, TrustService};
use crate::webhook::{self, Options, Webhook};

/// The parts, ready to run.
#[derive(Debug)]
pub(super) struct Kubernetes {
    webhook: Webhook,
    lease: Lease,
    status: StatusWriter,
    receipts: ReceiptsService,
    trust: TrustService,
}

/// What the parts hear from the others.
pub(super) struct Inputs {
    /// The mesh's roots as PEM.
    pub(super) bundle: watch::Receiver<Arc<str>>,
    /// For statuses.
    pub(super) status: StatusInputs,
    /// What all replicas have certificates for, and this one's.
    pub(super) identity: SpiffeId,
    pub(super) tls: watch::Receiver<Arc<ClientConfig>>,
    /// What other replicas ask of the mesh's roots.
    pub(super) trust: trust::Own,
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
        let Inputs { bundle, status, identity, tls, trust, stopping } = inputs;
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
        let receipts = ReceiptsService::new(status.receipts.clone(), identity.clone());
        let (namespace, pod) = (config.namespace.clone(), config.pod.clone());
        let trust = TrustService::new(trust, identity.clone());
        let replicas = Replicas::new(Own { namespace, pod, identity, tls, clock: clock.clone() });
        let status = StatusWriter::new(client.clone(), status, leads, clock).with(replicas);
        Ok(Self { webhook, lease, status, receipts, trust })
    }

    /// Adds what other replicas ask.
    pub(super) fn serve(&self, routes: Routes) -> Routes {
        routes
            .add_service(self.receipts.clone().into_server())
            .add_service(self.trust.clone().into_server())
    }

    /// For readiness and `/metrics`.
    pub(super) fn injector(&self) -> InjectorView {
        InjectorView { ready: self.webhook.ready(), counts: self.webhook.counts() }
    }

    /// Whether the injector has stopped, and the API server is answered.
    pub(super) fn drained(&self) -> watch::Receiver<bool> {
        self.webhook.drained()
    }

    /// Runs for ever; ends early only when the control plane stops.
    pub(super) async fn run(self) {
        // Boxed: the injector's future is large.
        tokio::join!(Box::pin(self.webhook.run()), self.lease.run(), self.status.run());
    }
}

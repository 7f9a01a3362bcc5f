//! The admission webhook: the API server asks about every pod of the mesh before it is made, and gets a sidecar for it.
//!
//! Built by `app` on Kubernetes, in every replica. `review` answers one question by `injection`; `server` is the HTTPS port;
//! `certificate` and `secret` keep the port's certificate, `configuration` tells the API server whose certificates to
//! believe; `trust_bundle` puts the mesh's roots into each namespace before its first pod; `events` tells owners of pods that
//! were skipped; `counts` is for `/metrics`. Replicas share what they make through the API server and through nothing else.
//!
//! The webhook is `failurePolicy: Fail`: while it does not answer, no pod of the mesh is made. So nothing here may
//! wait longer than [`ANSWER_TIMEOUT`], and nothing that is not needed for the answer may delay it.

mod certificate;
mod configuration;
mod counts;
mod events;
mod review;
mod secret;
mod server;
mod trust_bundle;

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use kube::Client;
use tokio::sync::watch;

pub use self::counts::{Counts, Numbers};

use self::configuration::Configuration;
use self::events::Events;
use self::review::Reviewer;
use self::secret::Keeper;
use self::server::{LAME_DUCK, Server};
use self::trust_bundle::TrustBundles;
use crate::clock::Clock;
use crate::injection::Settings;

/// Bound: of one answer. The API server waits 10 s.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(8);
/// Who writes what is written here, for the API server's record of owners of fields.
const FIELD_MANAGER: &str = "weft-control-plane";
/// The MutatingWebhookConfiguration.
const CONFIGURATION: &str = "weft-injector";
/// The Secret with the port's certificate.
const SECRET: &str = "weft-webhook";

/// What an operator decides.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where the API server connects.
    pub listen: SocketAddr,
    /// The control plane's own namespace: where the Secret lies.
    pub namespace: String,
    /// DNS names by which the API server calls; see [`service_names`].
    pub names: Vec<String>,
    /// What pods get.
    pub settings: Settings,
}

/// What other parts of the control plane know.
#[derive(Clone, Debug)]
pub struct Inputs {
    /// The mesh's roots as PEM, and their changes.
    pub bundle: watch::Receiver<Arc<str>>,
    /// Whether this replica keeps ConfigMaps up to date that no admission touches.
    pub leader: watch::Receiver<bool>,
    /// True once the control plane stops: for a while requests are answered, then no more are taken.
    pub stopping: watch::Receiver<bool>,
}

/// A webhook that holds its port and is ready to [`Webhook::run`].
pub struct Webhook {
    server: Server,
    reviewer: Arc<Reviewer>,
    keeper: Keeper,
    configuration: Configuration,
    trust_bundles: TrustBundles,
    events: Events,
    counts: Arc<Counts>,
    ready: watch::Receiver<bool>,
    drained: watch::Receiver<bool>,
}

/// The names of a Service of the control plane's, `weft-control-plane` in `namespace`.
#[must_use]
pub fn service_names(namespace: &str) -> Vec<String> {
    let name = format!("weft-control-plane.{namespace}.svc");
    vec![name.clone(), name + ".cluster.local"]
}

impl Webhook {
    /// Binds the port. Needs a tokio runtime; asks the API server nothing yet.
    ///
    /// # Errors
    /// If the address is taken.
    pub fn bind(
        options: Options,
        client: Client,
        inputs: Inputs,
        clock: Clock,
    ) -> io::Result<Self> {
        let counts = Arc::<Counts>::default();
        let (keeper, held) = Keeper::new(client.clone(), &options, clock, counts.clone());
        let (configuration, serving) = Configuration::new(client.clone(), &options.namespace, held);
        let server = Server::bind(options.listen, serving.clone(), inputs.stopping, LAME_DUCK)?;
        let (trust_bundles, ensure) =
            TrustBundles::new(client.clone(), inputs.bundle, inputs.leader, counts.clone());
        let (events, tell) = Events::new(client, counts.clone());
        let reviewer = Reviewer::new(options.settings, ensure, tell, counts.clone());
        let (ready, drained) = (server.ready(), server.drained());
        Ok(Self {
            server,
            reviewer: Arc::new(reviewer),
            keeper,
            configuration,
            trust_bundles,
            events,
            counts,
            ready,
            drained,
        })
    }

    /// Where it listens, with the real port.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.server.address()
    }

    /// Whether it has a certificate that the API server believes, and so can answer. Belongs into the pod's readiness.
    #[must_use]
    pub fn ready(&self) -> watch::Receiver<bool> {
        self.ready.clone()
    }

    /// Whether it has stopped, and everything is answered: within six seconds after the control plane does.
    #[must_use]
    pub fn drained(&self) -> watch::Receiver<bool> {
        self.drained.clone()
    }

    /// For `/metrics`.
    #[must_use]
    pub fn counts(&self) -> Arc<Counts> {
        self.counts.clone()
    }

    /// Serves for ever. Cancel: at any time; connections end with it.
    pub async fn run(self) {
        tokio::join!(
            self.server.run(self.reviewer),
            self.keeper.run(),
            self.configuration.run(),
            self.trust_bundles.run(),
            self.events.run(),
        );
    }
}

impl fmt::Debug for Webhook {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Webhook").field("server", &self.server).finish_non_exhaustive()
    }
}

/// Whether the API server refused because the object was changed, or made, by somebody else meanwhile.
fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
}

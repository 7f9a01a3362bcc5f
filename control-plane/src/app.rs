//! The composition root: builds every part of the control plane once, wires them, starts and stops them.
//!
//! `main` and tests call it; no other file creates a part or knows how they hang together. Everything that can
//! fail for a reason outside (files, ports, keys) fails in [`App::build`], before anything runs.

mod in_force;
mod kubernetes;
mod source;
mod state_dir;
mod trust_domain;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tonic::service::Routes;
use weft_certs::SpiffeId;

use self::in_force::InForce;
use self::kubernetes::{Inputs, Kubernetes};
use self::source::{Cluster, Source};
use self::state_dir::StateDir;
use crate::admin::{Admin, Asking, PublishLatency, View};
use crate::ca::{CertificateAuthority, IdentityService, Issuer, IssuerView};
use crate::clock::Clock;
use crate::config::Config;
use crate::model::Mesh;
use crate::server::{Server, ServerLeaf, Tls};
use crate::status::Inputs as StatusInputs;
use crate::telemetry::{Draining, TelemetryService};
use crate::trust::{self, Trust};
use crate::xds;

/// Namespace and service account of the control plane itself.
const OWN_NAMESPACE: &str = "weft-system";
const OWN_SERVICE_ACCOUNT: &str = "weft-control-plane";

/// A control plane that holds its port and its socket and is ready to [`App::run`].
#[derive(Debug)]
pub struct App {
    source: Source,
    in_force: InForce,
    ca: Arc<CertificateAuthority>,
    issuer: Option<Issuer>,
    trust: Arc<Trust>,
    port: Port,
    publisher: xds::Publisher,
    generation: watch::Receiver<u64>,
    latency: Arc<PublishLatency>,
    routes: Routes,
    admin: Admin,
    kubernetes: Option<Kubernetes>,
    stopping: watch::Sender<bool>,
    // Order: last, so that the directory is free only when everything in it is closed.
    _state: StateDir,
}

/// The gRPC port and what it shows of itself.
#[derive(Debug)]
struct Port {
    server: Server,
    identity: SpiffeId,
    leaf: ServerLeaf,
    tls: Tls,
}

/// What everything else stands on.
struct Ground {
    state: StateDir,
    cluster: Option<Cluster>,
    source: Source,
    in_force: InForce,
    ca: Arc<CertificateAuthority>,
    /// What brings it another CA from outside, and how that stands.
    issuer: Option<Issuer>,
    issuer_view: watch::Receiver<IssuerView>,
    /// Where it is said who is leaving.
    drains: watch::Sender<Draining>,
}

impl Ground {
    async fn open(config: &Config, clock: &Clock) -> Result<Self> {
        let state = StateDir::open(&config.state_dir)?;
        let cluster = Cluster::find(&config.source).await?;
        let source = Source::open(&config.source, cluster.as_ref()).await?;
        let (authority, store) = source.authority(config, &state, cluster.as_ref(), clock).await?;
        let (drains, draining) = watch::channel(Draining::default());
        let trust_domain = authority.trust_domain().clone();
        let view = watch::Sender::<IssuerView>::default();
        let (issuer_view, said) = (view.subscribe(), (draining, view.subscribe()));
        let in_force = InForce::new(source.mesh(), source.findings(), said, trust_domain);
        let ca = CertificateAuthority::new(authority, store, in_force.mesh(), clock.clone());
        let ca = Arc::new(ca);
        // Order: before the first certificate is issued.
        ca.record_leaf_life().await;
        let issuer = Source::issuer(config, cluster.as_ref());
        let issuer = issuer.map(|issuer| Issuer::new(ca.clone(), issuer, view));
        Ok(Self { state, cluster, source, in_force, ca, issuer, issuer_view, drains })
    }
}

/// What the services share.
struct Planes {
    cache: Arc<xds::Cache>,
    registry: Arc<xds::Registry>,
    publisher: xds::Publisher,
    telemetry: TelemetryService,
    /// What is known here of sidecars' roots.
    roots: trust::Own,
}

impl Planes {
    fn new(
        ca: &Arc<CertificateAuthority>,
        mesh: watch::Receiver<Arc<Mesh>>,
        drains: watch::Sender<Draining>,
        (stopping, clock): (&watch::Sender<bool>, &Clock),
    ) -> Self {
        let (cache, registry) = (xds::Cache::new(), xds::Registry::new());
        let publisher = xds::Publisher::new(mesh.clone(), ca.bundle_pem(), cache.clone());
        let telemetry = TelemetryService::new(mesh, drains, stopping.subscribe(), clock.clone());
        let telemetry = telemetry.renewing(ca.clone());
        let roots = trust::Own {
            ca: ca.clone(),
            registry: registry.clone(),
            telemetry: telemetry.clone(),
            clock: clock.clone(),
        };
        Self { cache, registry, publisher, telemetry, roots }
    }
}

impl App {
    /// Reads the configuration, opens the CA, binds the port and the admin socket. Needs a tokio runtime.
    ///
    /// # Errors
    /// If the configuration directory cannot be read or there is no API server, the state is in use, open to others or
    /// damaged, the trust domain is another than the CA's, or an address is taken. Broken configuration is a finding,
    /// not an error.
    pub async fn build(config: &Config, clock: Clock) -> Result<Self> {
        let Ground { state, cluster, source, in_force, ca, issuer, issuer_view, drains } =
            Ground::open(config, &clock).await?;
        let mesh = || in_force.mesh();
        let port = Port::open(config.listen, &ca, clock.clone())?;

        let stopping = watch::Sender::new(false);
        let planes = Planes::new(&ca, mesh(), drains, (&stopping, &clock));
        let Planes { cache, registry, publisher, telemetry, roots } = planes;
        let (generation, latency) = (cache.watch(), Arc::<PublishLatency>::default());
        let limits = xds::Limits::default();
        let ads = xds::Server::new(cache.clone(), registry.clone(), limits, stopping.subscribe());
        let identity = IdentityService::new(ca.clone(), cluster.as_ref().map(Cluster::reviewer));
        let routes = for_sidecars(ads, identity, telemetry.clone());

        let address = port.server.address();
        let advertised = config.advertise.clone().unwrap_or_else(|| address.to_string());
        let receipts = xds::Receipts::new(cache, registry.clone());
        let status = status_inputs(&source, &in_force, &publisher, receipts);
        let trust = port.trust(cluster.as_ref(), (roots.clone(), mesh(), issuer_view));
        let (bundle, stopping_too) = (ca.bundle_pem(), stopping.subscribe());
        let (identity, tls) = (port.identity.clone(), port.leaf.client_config());
        let inputs = Inputs { bundle, status, identity, tls, trust: roots, stopping: stopping_too };
        let build = |cluster: &Cluster| Kubernetes::build(cluster, &advertised, inputs, clock);
        let kubernetes = cluster.as_ref().map(build).transpose()?;
        let routes = kubernetes.iter().fold(routes, |routes, part| part.serve(routes));
        let view = View {
            mesh_name: config.mesh.clone(),
            advertised,
            grpc_address: address,
            identity: port.identity.clone(),
            mesh: mesh(),
            findings: in_force.findings(),
            ca: ca.clone(),
            trust: trust.clone(),
            asking: Asking::new(&telemetry),
            telemetry,
            registry,
            generation: generation.clone(),
            latency: latency.clone(),
            stopping: stopping.subscribe(),
            injector: kubernetes.as_ref().map(Kubernetes::injector),
        };
        let admin = Admin::bind(&config.state_dir.join("admin.sock"), config.health, view).await?;
        Ok(Self {
            source,
            in_force,
            ca,
            issuer,
            trust,
            port,
            publisher,
            generation,
            latency,
            routes,
            admin,
            kubernetes,
            stopping,
            _state: state,
        })
    }

    /// Where proxies connect, with the real port.
    #[must_use]
    pub fn grpc_address(&self) -> SocketAddr {
        self.port.server.address()
    }

    /// The admin socket.
    #[must_use]
    pub fn admin_socket(&self) -> &Path {
        self.admin.path()
    }

    /// Serves until `shutdown`, then stops within about a second, in a cluster within seven: streams end, ports close, the admin
    /// socket is removed.
    ///
    /// # Errors
    /// If a part ends that never should.
    pub async fn run(self, shutdown: impl Future<Output = ()>) -> Result<()> {
        let Port { server, leaf, tls, .. } = self.port;
        tracing::info!(
            address = %server.address(),
            admin = %self.admin.path().display(),
            trust_domain = %tls.trust_domain,
            "the control plane is running"
        );
        let (ca, latency, mesh) = (self.ca, self.latency, self.in_force.mesh());
        let trust = self.trust;
        let mut parts = JoinSet::new();
        parts.spawn(named("the configuration source", self.source.run()));
        parts.spawn(named("the mesh in force", self.in_force.run()));
        parts.spawn(named("the xDS publisher", self.publisher.run()));
        parts.spawn(named("the publisher's onlooker", async move {
            latency.follow(mesh, self.generation).await;
        }));
        parts.spawn(named("the renewal of the server's certificate", leaf.run()));
        parts.spawn(named("the CA", async move { ca.run().await }));
        parts.spawn(named("the mesh's roots", async move { trust.follow().await }));
        if let Some(issuer) = self.issuer {
            parts.spawn(named("the issuer from outside", issuer.run()));
        }
        parts.spawn(named("the admin socket", self.admin.run()));
        let drained = self.kubernetes.as_ref().map(Kubernetes::drained);
        if let Some(kubernetes) = self.kubernetes {
            parts.spawn(named("the cluster's part", kubernetes.run()));
        }

        let mut stopped = self.stopping.subscribe();
        let serving = server.run(tls, self.routes, async move {
            // An error means that the sender is gone, which is a stop as well.
            let _ = stopped.wait_for(|stopping| *stopping).await;
        });
        tokio::pin!(serving);
        let result = tokio::select! {
            () = shutdown => Ok(()),
            ended = &mut serving => return ended.context("the gRPC port"),
            Some(ended) = parts.join_next() => Err(unexpected(ended)),
        };
        tracing::info!("the control plane is stopping");
        // Order: streams end and readiness goes first, then the port, then the injector, which the API server still asks; the
        // rest is dropped with its tasks.
        self.stopping.send_replace(true);
        serving.await.context("the gRPC port")?;
        if let Some(mut drained) = drained {
            // An error means that it is gone already.
            let _ = drained.wait_for(|drained| *drained).await;
        }
        parts.shutdown().await;
        result
    }
}

impl Port {
    fn open(address: SocketAddr, ca: &Arc<CertificateAuthority>, clock: Clock) -> Result<Self> {
        let trust_domain = ca.trust_domain();
        let identity = SpiffeId::workload(&trust_domain, OWN_NAMESPACE, OWN_SERVICE_ACCOUNT)?;
        let leaf = ServerLeaf::issue(ca.clone(), identity.clone())?;
        let tls = Tls { config: leaf.config(), trust_domain, clock };
        let server =
            Server::bind(address).with_context(|| format!("cannot listen on {address}"))?;
        Ok(Self { server, identity, leaf, tls })
    }

    /// The mesh's roots; a cluster's other replicas are asked with the port's own certificate.
    fn trust(
        &self,
        cluster: Option<&Cluster>,
        (own, mesh, issuer): (trust::Own, watch::Receiver<Arc<Mesh>>, watch::Receiver<IssuerView>),
    ) -> Arc<Trust> {
        let clock = own.clock.clone();
        let replicas = cluster.map(|cluster| {
            cluster.replicas(self.identity.clone(), self.leaf.client_config(), clock)
        });
        Arc::new(Trust::new(own, mesh, issuer, replicas))
    }
}

/// What sidecars ask.
fn for_sidecars(
    ads: xds::Server,
    identity: IdentityService,
    telemetry: TelemetryService,
) -> Routes {
    Routes::new(ads).add_service(identity.into_server()).add_service(telemetry.into_server())
}

/// What the status of objects follows from.
fn status_inputs(
    source: &Source,
    in_force: &InForce,
    publisher: &xds::Publisher,
    receipts: xds::Receipts,
) -> StatusInputs {
    StatusInputs {
        objects: source.objects(),
        mesh: in_force.mesh(),
        findings: in_force.findings(),
        published: publisher.published(),
        receipts,
    }
}

async fn named(name: &'static str, part: impl Future<Output = ()>) -> &'static str {
    part.await;
    name
}

fn unexpected(ended: Result<&'static str, JoinError>) -> anyhow::Error {
    match ended {
        Ok(name) => anyhow::anyhow!("{name} ended"),
        Err(error) => anyhow::Error::new(error).context("a part of the control plane failed"),
    }
}

#[cfg(test)]
mod tests;

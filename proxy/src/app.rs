//! The composition root: builds every part once, starts them in order, and stops them in order. Nothing else
//! in the crate creates a component, reads a file or binds a socket on its own.
//!
//! Order of the start: sockets first (a port that is taken is an error, not a surprise later), then the last
//! good configuration and certificate from the state directory, then the control thread; the workers begin to
//! accept when the sidecar is ready, or after [`HOLD`], so that a client that is early waits in the backlog
//! instead of being refused.
//!
//! Order of the stop (SIGTERM): readiness off, no new connections, those that are open finish within the grace,
//! what is left is cut, spans are flushed. `weft-proxy drain` does the first half for callers only.

mod admin;
mod control;
mod subscriptions;
mod view;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::Context as _;
use nix::sys::resource::{Resource, getrlimit};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::sync::watch;
use weft_proto::names;

use crate::bootstrap::Bootstrap;
use crate::cluster::Endpoint;
use crate::config::{Config, Transparent};
use crate::inbound::Apps;
use crate::model::EndpointSpec;
use crate::outbound::PASSTHROUGH;
use crate::overload::Overload;
use crate::readiness::Readiness;
use crate::state::{State, Target};
use crate::store::Store;
use crate::telemetry::Telemetry;
use crate::telemetry::access_log::{self, AccessLog, Sink};
use crate::telemetry::metrics::{Direction, EdgeKey, Metrics};
use crate::telemetry::recent::Recent;
use crate::telemetry::tap::Taps;
use crate::telemetry::trace::{Settings, Tracing, Workload, resource};
use crate::tls::TlsStore;
use crate::workers::{Behind, Door, Intercepted, Shared, Stop};
use crate::{drain, listener};

/// How long connections wait for a sidecar that is not ready.
const HOLD: Duration = Duration::from_secs(5);

/// Name of the sidecar's container in a pod.
const CONTAINER: &str = "weft-proxy";

/// A sidecar that is built and has its sockets, but serves nobody yet.
pub struct App {
    config: Config,
    bootstrap: Bootstrap,
    store: Arc<Store>,
    doors: Vec<Door>,
    health: Option<std::net::TcpListener>,
    shared: Shared,
    readiness: Readiness,
    /// Taken by [`Self::run`].
    stopping: Option<Stopping>,
    /// Service ports that are used and not subscribed. Taken by [`Self::run`]. Bound: one message a Service port.
    asked: Option<UnboundedReceiver<Arc<str>>>,
}

/// The senders of what everybody watches.
struct Stopping {
    inbound: drain::Trigger,
    outbound: drain::Trigger,
    accepting: watch::Sender<bool>,
    running: watch::Sender<bool>,
}

impl std::fmt::Debug for App {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("App").field("config", &self.config).finish_non_exhaustive()
    }
}

impl App {
    /// Reads the bootstrap, locks the state directory and binds every socket.
    ///
    /// # Errors
    /// In words for people: which file, port or directory, and why.
    pub fn build(config: Config) -> anyhow::Result<Self> {
        let bootstrap = Bootstrap::load(&config.bootstrap)?;
        let store = Arc::new(Store::open(&config.state_dir)?);
        let telemetry = Arc::new(telemetry(&config, &bootstrap)?);
        let (sender, asked) = unbounded_channel();
        let target = |name: String| match config.is_on_demand() {
            true => Target::on_demand(name.into(), sender.clone()),
            false => Target::new(name),
        };
        let upstreams = config.upstream.iter().map(|upstream| target(upstream.service.clone()));
        let metrics = telemetry.metrics.clone();
        let state = State::with_targets(upstreams, config.workers, metrics);
        let state = state.at(bootstrap.locality.clone());
        let state = Arc::new(match config.transparent {
            Some(_) => state.intercepting(sender.clone()),
            None => state,
        });
        view::watch(&state, &telemetry.metrics);
        view::health::watch(&state, &telemetry.metrics);
        view::watch_limits(&state, &telemetry.metrics);
        view::watch_upstreams(&state, &telemetry.metrics);
        let overload = Overload::new(most_files());
        overload.tell(&telemetry.metrics);
        let doors = doors(&config, &bootstrap, &state)?;
        let health = config.health.map(listener::bind).transpose()?;
        let denials = Arc::clone(state.denials());
        let tls = Arc::new(TlsStore::new(config.key_exchange, denials));
        tls.show(&telemetry.metrics);
        let (inbound, inbound_source) = drain::channel();
        let (outbound, outbound_source) = drain::channel();
        let (accepting, not_accepting) = watch::channel(false);
        let (running, not_running) = watch::channel(false);
        let readiness = Readiness {
            tls: Arc::clone(&tls),
            state: Arc::clone(&state),
            serves: config.transparent.is_some() || !config.inbound.is_empty(),
            sync: None,
        };
        let intercepted = config
            .transparent
            .map(|_| intercepted(&bootstrap.workload, config.workers, &telemetry.metrics));
        let shared = Shared {
            workload: bootstrap.workload.as_str().into(),
            state,
            tls,
            telemetry,
            exhausted: Arc::default(),
            limits: listener::Limits { flags: config.http, all: Arc::default(), overload },
            mirrors: Arc::default(),
            intercepted,
            inbound: inbound_source,
            outbound: outbound_source,
            stop: Stop { accepting: not_accepting, running: not_running },
        };
        let stopping = Some(Stopping { inbound, outbound, accepting, running });
        let asked = Some(asked);
        Ok(Self { config, bootstrap, store, doors, health, shared, readiness, stopping, asked })
    }
}

/// Descriptors that this process may have, sockets included.
fn most_files() -> u64 {
    getrlimit(Resource::RLIMIT_NOFILE).map_or(u64::MAX, |(soft, _)| soft)
}

/// Order: inbound ports first, so that the message about a port that is taken names the one that matters most.
fn doors(config: &Config, bootstrap: &Bootstrap, state: &State) -> anyhow::Result<Vec<Door>> {
    let mut doors = Vec::new();
    for flag in &config.inbound {
        let spec = EndpointSpec {
            address: flag.app,
            workload: bootstrap.workload.clone(),
            identity: None,
            weight: 1,
        };
        let app = Arc::new(Endpoint::new(spec, config.workers));
        let behind = Behind::Application { port: flag.listen.port(), app };
        doors.push(Door { socket: listener::bind(flag.listen)?, behind });
    }
    for flag in &config.upstream {
        let target = state.target(&flag.service).context("every upstream is a target")?;
        let behind = Behind::Service(target);
        doors.push(Door { socket: listener::bind(flag.listen)?, behind });
    }
    if let Some(ports) = config.transparent {
        doors.extend(intercepting(ports)?);
    }
    Ok(doors)
}

/// Of both families. Without IPv6 on this machine nothing is redirected to its sockets, so they are no loss.
fn intercepting(ports: Transparent) -> anyhow::Result<Vec<Door>> {
    let v4 = [
        ((Ipv4Addr::UNSPECIFIED, ports.inbound).into(), Behind::Inbound),
        ((Ipv4Addr::LOCALHOST, ports.outbound).into(), Behind::Outbound),
    ];
    let v6 = [
        ((Ipv6Addr::UNSPECIFIED, ports.inbound).into(), Behind::Inbound),
        ((Ipv6Addr::LOCALHOST, ports.outbound).into(), Behind::Outbound),
    ];
    let mut doors = Vec::new();
    for (address, behind) in v4 {
        doors.push(Door { socket: listener::bind(address)?, behind });
    }
    for (address, behind) in v6 {
        match listener::bind(address) {
            Ok(socket) => doors.push(Door { socket, behind }),
            Err(error) if error.kind() == std::io::ErrorKind::AddrInUse => return Err(error.into()),
            Err(error) => tracing::info!(%error, "no IPv6 here"),
        }
    }
    Ok(doors)
}

fn intercepted(workload: &str, workers: usize, metrics: &Metrics) -> Intercepted {
    let passed = metrics.edge(EdgeKey::unrouted(Direction::Outbound, PASSTHROUGH));
    let apps = Arc::new(Apps::new(workload, workers));
    Intercepted { apps, addresses: own_addresses().into(), passed }
}

/// The addresses of this machine, or of the pod whose network this is. They do not change while it lives.
fn own_addresses() -> Vec<IpAddr> {
    let interfaces = match nix::ifaddrs::getifaddrs() {
        Ok(interfaces) => interfaces,
        Err(error) => {
            tracing::warn!(%error, "the workload cannot be recognised where it calls itself");
            return Vec::new();
        }
    };
    let addresses = interfaces.filter_map(|interface| {
        let address = interface.address?;
        let v4 = address.as_sockaddr_in().map(|address| IpAddr::from(address.ip()));
        v4.or_else(|| address.as_sockaddr_in6().map(|address| IpAddr::from(address.ip())))
    });
    addresses.filter(|address| !address.is_loopback()).collect()
}

fn telemetry(config: &Config, bootstrap: &Bootstrap) -> std::io::Result<Telemetry> {
    let (settings, problems) = Settings::from_vars(|name| config.otel.get(name).cloned());
    for problem in problems {
        tracing::warn!(%problem, "environment");
    }
    let metrics = Metrics::with_series(SystemTime::now(), config.metrics_series);
    let (name, namespace) = names::parse_workload(&bootstrap.workload).unwrap_or_default();
    let instance = match bootstrap.in_pod {
        // As OpenTelemetry's conventions for Kubernetes make it: namespace, pod, container.
        true => format!("{namespace}.{name}.{CONTAINER}"),
        false => bootstrap.workload.clone(),
    };
    let workload = Workload {
        name: called(&bootstrap.service.name, name),
        namespace: namespace.to_owned(),
        version: bootstrap.service.version.clone(),
        instance,
        pod: bootstrap.in_pod.then(|| name.to_owned()),
    };
    let (of_logs, problems) =
        access_log::Settings::from_vars(|name| config.otel.get(name).cloned());
    for problem in problems {
        tracing::warn!(%problem, "environment");
    }
    let options = access_log::Options {
        mode: config.access_log,
        sink: Sink::Stdout,
        workload: bootstrap.workload.clone(),
        identity: bootstrap.identity.to_string(),
        settings: of_logs,
        resource: resource(&settings, &workload),
    };
    let tracing = Tracing::new(settings, &workload, &metrics);
    let access_log = AccessLog::open(options, &metrics)?;
    let recent = Recent::slow_from(config.slow_request);
    Ok(Telemetry { metrics, tracing, access_log, recent, taps: Taps::default() })
}

fn called<'a>(display: &'a str, own: &'a str) -> String {
    if display.is_empty() { own.to_owned() } else { display.to_owned() }
}

/// `weft-proxy drain`: has the sidecar of that state directory take no more calls, and waits until it has none or
/// its grace is over.
///
/// # Errors
/// If no sidecar answers there.
pub fn drain(state_dir: &Path) -> anyhow::Result<()> {
    let socket = state_dir.join(admin::SOCKET);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let answer = runtime
        .block_on(crate::admin::drain(&socket))
        .with_context(|| format!("no sidecar answers at {}", socket.display()))?;
    tracing::info!(%answer, "drained");
    Ok(())
}

//! Two sidecars and an application in one process, for unit tests of the data path. The configuration is put
//! in by hand, everything else is real: sockets, TLS, HTTP. Tests of whole processes live in `tests/`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, SystemTime};

use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use weft_certs::{Authority, Lifetimes, SpiffeId, TrustDomain};
use weft_proto::origin::Origin;

use crate::cluster::Endpoint;
use crate::inbound::Inbound;
use crate::listener::Limits;
use crate::model::{
    Action, AppProtocol, Balancer, BudgetSpec, ClusterSpec, EndpointSpec, EndpointsSpec, HeaderOps,
    HostPattern, InboundListener, InboundPort, LimitsSpec, Matcher, MtlsMode, OutboundListener,
    OutlierSpec, RetryPolicy, RouteTable, Rule, Split, Tracing, VirtualHost,
};
use crate::outbound::Outbound;
use crate::overload::Overload;
use crate::random::Random;
use crate::state::State;
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Metrics;
use crate::telemetry::trace::{Settings, Tracing as Traces, Workload};
use crate::tls::TlsStore;
use crate::upstream::Upstream;
use crate::xds::Change;
use crate::{drain, listener};

pub(crate) const SERVICE: &str = "app.test:80";

/// What the application does with a request.
pub(crate) type Handler =
    Arc<dyn Fn(&Request<Incoming>) -> Response<Full<bytes::Bytes>> + Send + Sync>;

/// An application, its sidecar, and a caller's sidecar.
pub(crate) struct Pair {
    /// Where the caller connects.
    pub(crate) entry: SocketAddr,
    /// The receiving sidecar's port.
    pub(crate) inbound: SocketAddr,
    /// Requests that the application has seen.
    pub(crate) seen: Arc<AtomicUsize>,
    /// The caller's configuration.
    pub(crate) state: Arc<State>,
    /// Whom both sidecars trust.
    pub(crate) authority: Authority,
    /// Drains the receiving sidecar.
    pub(crate) drain: drain::Trigger,
    /// Keeps the listeners open.
    pub(crate) stop: watch::Sender<bool>,
}

/// Settings of a [`Pair`]; what is `None` takes the ordinary value.
#[derive(Default)]
pub(crate) struct Setup {
    pub(crate) handler: Option<Handler>,
    pub(crate) protocol: Option<AppProtocol>,
    pub(crate) mtls: Option<MtlsMode>,
    pub(crate) expected: Option<&'static str>,
    pub(crate) retry: RetryPolicy,
    pub(crate) timeout: Option<Duration>,
    /// Nobody listens behind the receiving sidecar.
    pub(crate) no_app: bool,
}

/// Stops tokio's clock: a limit passes when the test advances the clock, not because the machine is slow. While every
/// task waits for I/O a paused clock runs ahead, so one never waits; for a minute, so that what hangs comes to an end.
pub(crate) fn stop_the_clock() {
    tokio::time::pause();
    let begun = std::time::Instant::now();
    tokio::spawn(async move {
        while begun.elapsed() < Duration::from_secs(60) {
            tokio::task::yield_now().await;
        }
    });
}

/// A loopback address of the caller's own, any port: what is closed there is not opened by another test by chance.
pub(crate) fn own_address() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(1);
    let [high, low] = GIVEN.fetch_add(1, Relaxed).to_be_bytes();
    let process = u8::try_from(std::process::id() % 100).unwrap();
    SocketAddr::from(([127, 100 + process, high, low], 0))
}

/// Where nobody is, now and later.
pub(crate) fn nobody() -> SocketAddr {
    SocketAddr::new(own_address().ip(), 1)
}

pub(crate) fn authority() -> Authority {
    let domain: TrustDomain = "test.local".parse().unwrap();
    Authority::create(&domain, SystemTime::now(), Lifetimes::default()).unwrap()
}

pub(crate) fn tls(authority: &Authority, account: &str) -> Arc<TlsStore> {
    let id = SpiffeId::workload(authority.trust_domain(), "test", account).unwrap();
    let leaf = authority.leaf_for(&id, Duration::from_secs(3600), SystemTime::now()).unwrap();
    let store = TlsStore::default();
    store.set(Some((&leaf, authority.bundle()))).unwrap();
    Arc::new(store)
}

impl Pair {
    pub(crate) async fn start(setup: Setup) -> Self {
        let authority = authority();
        let seen = Arc::new(AtomicUsize::new(0));
        let app = app(setup.handler.clone(), Arc::clone(&seen), setup.no_app).await;
        let (stop, stopped) = watch::channel(false);
        let (drain, source) = drain::channel();
        let protocol = setup.protocol.unwrap_or(AppProtocol::Http);
        let mtls = setup.mtls.unwrap_or(MtlsMode::Strict);
        let inbound =
            start_inbound(tls(&authority, "app"), app, (protocol, mtls), source, stopped.clone());
        let state = Arc::new(State::new([SERVICE.to_owned()], 1, Metrics::new(SystemTime::now())));
        let expected = setup.expected.unwrap_or("spiffe://test.local/ns/test/sa/app");
        state.apply(changes(&setup, protocol, &[(inbound, Some(expected))]));
        let entry = start_outbound(tls(&authority, "caller"), &state, stopped);
        Self { entry, inbound, seen, state, authority, drain, stop }
    }

    /// A second sidecar of the same identity, with nobody behind it.
    pub(crate) async fn deserted(&self) -> SocketAddr {
        let nobody = app(None, Arc::default(), true).await;
        let (_, source) = drain::channel();
        let tls = tls(&self.authority, "app");
        start_inbound(
            tls,
            nobody,
            (AppProtocol::Http, MtlsMode::Strict),
            source,
            self.stop.subscribe(),
        )
    }

    /// The two sides of a sidecar, for looks at what a connection costs.
    pub(crate) fn sides(&self) -> (Arc<Outbound>, Arc<Inbound>) {
        let tls = tls(&self.authority, "app");
        let state = Arc::clone(&self.state);
        (before(&self.state, Arc::clone(&tls)), behind(80, self.inbound, state, tls))
    }

    pub(crate) fn seen(&self) -> usize {
        self.seen.load(Relaxed)
    }

    /// One request on a connection of its own; status, headers and body.
    pub(crate) async fn get(&self, path: &str) -> (StatusCode, http::HeaderMap, String) {
        let request = Request::get(path).header("host", "app.test").body(String::new()).unwrap();
        send(self.entry, request).await
    }
}

pub(crate) async fn send(
    entry: SocketAddr,
    request: Request<String>,
) -> (StatusCode, http::HeaderMap, String) {
    let io = TokioIo::new(TcpStream::connect(entry).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    (parts.status, parts.headers, String::from_utf8(body.to_vec()).unwrap())
}

async fn app(handler: Option<Handler>, seen: Arc<AtomicUsize>, absent: bool) -> SocketAddr {
    if absent {
        return nobody();
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let handler = handler.unwrap_or_else(|| Arc::new(|request| Response::new(echo(request))));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let (handler, seen) = (Arc::clone(&handler), Arc::clone(&seen));
            let service = service_fn(move |request: Request<Incoming>| {
                seen.fetch_add(1, Relaxed);
                let response = handler(&request);
                async move {
                    let _ = request.into_body().collect().await;
                    Ok::<_, Infallible>(response)
                }
            });
            let http = hyper::server::conn::http1::Builder::new();
            tokio::spawn(http.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

/// Method, target and headers, line by line.
fn echo(request: &Request<Incoming>) -> Full<bytes::Bytes> {
    let mut text = format!("{} {}\n", request.method(), request.uri());
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\n", value.to_str().unwrap_or("?"));
    }
    Full::new(text.into())
}

pub(crate) fn telemetry() -> Arc<Telemetry> {
    let metrics = Metrics::new(SystemTime::now());
    let workload = Workload {
        name: "app".into(),
        namespace: "test".into(),
        version: String::new(),
        instance: "app.test".into(),
        pod: None,
    };
    let settings = Settings { disabled: true, ..Settings::default() };
    let tracing = Traces::new(settings, &workload, &metrics);
    Arc::new(Telemetry { metrics, tracing, ..Telemetry::default() })
}

pub(crate) fn start_inbound(
    tls: Arc<TlsStore>,
    app: SocketAddr,
    (protocol, mtls): (AppProtocol, MtlsMode),
    drain: drain::Source,
    mut stop: watch::Receiver<bool>,
) -> SocketAddr {
    let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let state = Arc::new(State::new([], 1, Metrics::new(SystemTime::now())));
    state.apply(vec![Change::Inbound(InboundListener {
        place: None,
        name: "inbound/test/app".into(),
        origin: Origin::default(),
        ports: [(address.port(), InboundPort { protocol, mtls })].into(),
        limits: std::collections::BTreeMap::new(),
        access: std::collections::BTreeMap::new(),
        probes: std::collections::BTreeMap::new(),
        http: crate::model::HttpSettings::default(),
        tracing: Tracing::default(),
        logging: crate::model::Logging::default(),
    })]);
    let inbound = behind(address.port(), app, state, tls);
    let run = listener::run(socket, drain, Overload::default(), move |stream, client, watch| {
        tokio::spawn(Arc::clone(&inbound).handle_connection(stream, client, watch));
    });
    tokio::spawn(async move {
        tokio::select! {
            _ = run => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    address
}

fn behind(port: u16, app: SocketAddr, state: Arc<State>, tls: Arc<TlsStore>) -> Arc<Inbound> {
    let spec =
        EndpointSpec { address: app, workload: "app.test".into(), identity: None, weight: 1 };
    Arc::new(Inbound {
        port,
        workload: "app.test".into(),
        app: Arc::new(Endpoint::new(spec, 1)),
        state,
        upstream: Upstream { worker: 0, tls, own: None, overload: Overload::default() },
        telemetry: telemetry(),
        exhausted: Arc::default(),
        limits: Limits::default(),
    })
}

pub(crate) fn start_outbound(
    tls: Arc<TlsStore>,
    state: &Arc<State>,
    mut stop: watch::Receiver<bool>,
) -> SocketAddr {
    let socket = listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    let outbound = before(state, tls);
    let (trigger, source) = drain::channel();
    tokio::spawn(async move {
        let _trigger = trigger;
        let run =
            listener::run(socket, source, Overload::default(), move |stream, client, watch| {
                tokio::spawn(Arc::clone(&outbound).handle_connection(stream, client, watch));
            });
        tokio::select! {
            _ = run => {}
            _ = stop.wait_for(|stop| *stop) => {}
        }
    });
    address
}

fn before(state: &Arc<State>, tls: Arc<TlsStore>) -> Arc<Outbound> {
    Arc::new(Outbound {
        target: state.target(SERVICE).unwrap(),
        service: SERVICE.into(),
        only: None,
        upstream: Upstream { worker: 0, tls, own: None, overload: Overload::default() },
        telemetry: telemetry(),
        exhausted: Arc::default(),
        limits: Limits::default(),
        mirrors: Arc::default(),
        random: Arc::new(Random::seeded(1)),
    })
}

fn rule(setup: &Setup) -> Rule {
    Rule {
        origin: Origin { kind: "Service".into(), name: "app".into(), ..Origin::default() },
        matcher: Matcher::default(),
        request_headers: HeaderOps::default(),
        response_headers: HeaderOps::default(),
        rewrite: None,
        mirrors: Vec::new(),
        action: Action::Forward(vec![Split {
            cluster: 0,
            weight: 1,
            request_headers: HeaderOps::default(),
            response_headers: HeaderOps::default(),
            host: None,
        }]),
        timeout: setup.timeout,
        grpc_timeout: true,
        retry: setup.retry.clone(),
        sampling: None,
    }
}

/// One rule that sends everything to one cluster with these endpoints.
pub(crate) fn changes(
    setup: &Setup,
    protocol: AppProtocol,
    endpoints: &[(SocketAddr, Option<&str>)],
) -> Vec<Change> {
    let name = || SERVICE.to_owned();
    let endpoints = endpoints.iter().map(|(address, identity)| EndpointSpec {
        address: *address,
        workload: "app.test".into(),
        identity: identity.map(|id| SpiffeId::parse(id).unwrap()),
        weight: 1,
    });
    vec![
        Change::Endpoints(EndpointsSpec {
            cluster: name(),
            endpoints: endpoints.map(Into::into).collect(),
        }),
        Change::Cluster(ClusterSpec {
            name: name(),
            origin: Origin::default(),
            connect_timeout: Duration::from_secs(60),
            balancer: Balancer::RoundRobin,
            prefer_local: false,
            slow_start: None,
            health_check: None,
            limits: LimitsSpec::default(),
            outlier: OutlierSpec {
                consecutive_failures: 5,
                max_ejected_percent: 50,
                ..OutlierSpec::default()
            },
            budget: BudgetSpec { percent: 20, min_per_second: 10 },
        }),
        Change::Routes(RouteTable {
            name: name(),
            hosts: vec![VirtualHost { hosts: vec![HostPattern::Any], rules: vec![rule(setup)] }],
            fallback: None,
            clusters: vec![name()],
        }),
        Change::Outbound(OutboundListener {
            name: name(),
            origin: Origin::default(),
            protocol,
            routes: (protocol != AppProtocol::Tcp).then(name),
            affinity: None,
            http: crate::model::HttpSettings::default(),
            tcp_cluster: (protocol != AppProtocol::Http).then(name),
            tracing: Tracing::default(),
        }),
    ]
}

//! What a person or an injector may set: flags and environment, resolved once into [`Config`]. Nobody else
//! reads either.

mod init;
mod pod;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};
use weft_certs::tls::KeyExchange;

use crate::bootstrap::Source;
use crate::interception::{HEALTH_PORT, INBOUND_PORT, Init, OUTBOUND_PORT};
use crate::model::HttpSettings;
use crate::overload::Limit;
use crate::telemetry::metrics::DEFAULT_SERIES;

/// Of metrics; each costs some hundred bytes, and a scrape has all of them.
const MOST_SERIES: usize = 1_000_000;
/// The port that `weft-proxy init` leaves alone.
const HEALTH: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), HEALTH_PORT);

/// Everything that is settled before the sidecar starts.
#[derive(Clone, Debug)]
pub struct Config {
    /// Who we are and where the control plane is.
    pub bootstrap: Source,
    /// Where key, certificate and last good configuration lie.
    pub state_dir: PathBuf,
    /// Ports of the workload.
    pub inbound: Vec<InboundFlag>,
    /// Service ports that the application calls; see `on_demand_above`.
    pub upstream: Vec<UpstreamFlag>,
    /// The application's connections are intercepted, on these ports.
    pub transparent: Option<Transparent>,
    /// With more Service ports than this each is subscribed on first use.
    pub on_demand_above: usize,
    /// How long one that was subscribed on first use is kept without a connection.
    pub upstream_idle: Duration,
    /// `/ready`, `/live`, `/metrics`; `None` serves them on the admin socket only.
    pub health: Option<SocketAddr>,
    /// Threads of the data path, at least 1.
    pub workers: usize,
    /// Which requests are logged; `None`: as the configuration says.
    pub access_log: Option<AccessLogMode>,
    /// A request that takes so long is slow; see [`crate::telemetry::recent`].
    pub slow_request: Duration,
    /// Series of metrics about requests and connections.
    pub metrics_series: usize,
    /// How TLS with other sidecars comes to its secrets.
    pub key_exchange: KeyExchange,
    /// How long a drain waits for what is under way.
    pub drain_grace: Duration,
    /// How much memory there is.
    pub memory: Limit,
    /// Limits of HTTP connections that are accepted, as far as they are set here.
    pub http: HttpSettings,
    /// `OTEL_*`, by name.
    pub otel: BTreeMap<String, String>,
}

/// Which requests the access log takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum AccessLogMode {
    /// None.
    Off,
    /// Those that failed.
    Errors,
    /// All.
    All,
}

/// `--post-quantum`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum PostQuantum {
    /// X25519MLKEM768 with every peer that can.
    Prefer,
    /// X25519, as before; with sidecars that prefer the other too.
    Off,
}

/// What the command line asks for.
#[derive(Debug)]
pub enum Command {
    /// Run the sidecar.
    Run(Box<Config>),
    /// Ask a running sidecar to take no more calls.
    Drain {
        /// Its state directory.
        state_dir: PathBuf,
    },
    /// Lead from stdin and stdout to the admin socket of a running sidecar.
    Relay {
        /// Its state directory.
        state_dir: PathBuf,
    },
    /// Lead the pod's traffic through the sidecar, or no longer.
    Init(Box<Init>),
}

/// The Weft sidecar: carries a workload's traffic over mutual TLS.
#[derive(Debug, Parser)]
#[command(name = "weft-proxy", version, args_conflicts_with_subcommands = true)]
struct Cli {
    #[command(subcommand)]
    verb: Option<Verb>,
    #[command(flatten)]
    run: RunArgs,
    #[command(flatten)]
    http: HttpArgs,
    #[command(flatten)]
    pod: pod::PodArgs,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Take no more calls: readiness off, connections of callers end in order; the application's own calls go
    /// on. Returns when the callers are gone or the grace is over.
    Drain {
        /// State directory of the sidecar.
        #[arg(long, env = "WEFT_STATE_DIR")]
        state_dir: PathBuf,
    },
    /// Connect stdin and stdout to the sidecar's admin socket: so weft reaches it from outside the container. Whoever may
    /// run it may ask it anything.
    Relay {
        /// State directory of the sidecar.
        #[arg(long, env = "WEFT_STATE_DIR")]
        state_dir: PathBuf,
    },
    /// Install the rules of the kernel that lead this network namespace's TCP through the sidecar, and exit. Once or
    /// many times, the result is the same. Needs CAP_NET_ADMIN, and nft or iptables.
    Init(init::InitArgs),
}

#[derive(Args, Debug)]
struct RunArgs {
    /// Bootstrap file (JSON) that the control plane made for this workload. In a pod the flags below stand in its place.
    #[arg(long, env = "WEFT_BOOTSTRAP", value_name = "FILE")]
    bootstrap: Option<PathBuf>,
    /// Directory for key, certificate and last good configuration, best in memory; created with mode 0700.
    #[arg(long, env = "WEFT_STATE_DIR", value_name = "DIR")]
    state_dir: Option<PathBuf>,
    /// Port of the workload and the application behind it: 127.66.0.4:8080=127.0.0.1:18080.
    #[arg(long, value_name = "LISTEN=APP")]
    inbound: Vec<InboundFlag>,
    /// Where the application finds a Service: 127.0.0.1:15101=product.shop:8080.
    #[arg(long, value_name = "LISTEN=SERVICE.NAMESPACE:PORT")]
    upstream: Vec<UpstreamFlag>,
    /// Take the connections that `weft-proxy init` redirects here, of the application and to it, in place of
    /// --upstream and --inbound.
    #[arg(long, env = "WEFT_TRANSPARENT", conflicts_with_all = ["inbound", "upstream"])]
    transparent: bool,
    /// Where the application's own connections are redirected to, on loopback.
    #[arg(long, env = "WEFT_OUTBOUND_PORT", default_value_t = OUTBOUND_PORT, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    outbound_port: u16,
    /// Where connections to the application are redirected to.
    #[arg(long, env = "WEFT_INBOUND_PORT", default_value_t = INBOUND_PORT, value_name = "PORT",
          value_parser = clap::value_parser!(u16).range(1..))]
    inbound_port: u16,
    /// With more upstreams than this, each is subscribed when it is first called, and dropped when it has been idle;
    /// with fewer, all are subscribed at start and kept.
    #[arg(long, env = "WEFT_ON_DEMAND_ABOVE", default_value_t = 32, value_name = "COUNT")]
    on_demand_above: usize,
    /// How long an upstream that was subscribed on first use is kept without a connection: 10m, 30s.
    #[arg(long, env = "WEFT_UPSTREAM_IDLE", default_value = "10m", value_parser = duration)]
    upstream_idle: Duration,
    /// Serve /ready, /live and /metrics on this address [default with --transparent: 0.0.0.0:15020].
    #[arg(long, env = "WEFT_HEALTH", value_name = "ADDRESS")]
    health: Option<SocketAddr>,
    /// Threads of the data path [default: the processors, at most 2].
    #[arg(long, env = "WEFT_WORKERS", value_parser = clap::value_parser!(u16).range(1..=64))]
    workers: Option<u16>,
    /// Which requests are logged, as JSON lines on standard output [default: as TelemetryPolicy and MeshConfig say, else
    /// off].
    #[arg(long, env = "WEFT_ACCESS_LOG")]
    access_log: Option<AccessLogMode>,
    /// A request whose response takes so long to begin is slow, and remembered for `weft why`: 100ms, 2s; at least 1ms.
    #[arg(long, env = "WEFT_SLOW_REQUEST", default_value = "100ms", value_parser = some_time)]
    slow_request: Duration,
    /// Series of metrics about requests and connections that a scrape has at most; what is more is counted under `other`.
    #[arg(long, env = "WEFT_METRICS_SERIES", default_value_t = DEFAULT_SERIES, value_name = "COUNT",
          value_parser = series)]
    metrics_series: usize,
    /// Post-quantum key exchange with other sidecars; it costs 2.3 KB and some microseconds a handshake.
    #[arg(long, env = "WEFT_POST_QUANTUM", default_value = "prefer")]
    post_quantum: PostQuantum,
    /// How long a drain waits for what is under way: 5s, 500ms.
    #[arg(long, env = "WEFT_DRAIN_GRACE", default_value = "5s", value_parser = duration)]
    drain_grace: Duration,
    /// Memory that the sidecar may have, in MiB; at 85 % of it work is turned away. 0: no limit [default: its cgroup's].
    #[arg(long, env = "WEFT_MEMORY_LIMIT", value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(0..=1_048_576))]
    memory_limit: Option<u32>,
}

impl RunArgs {
    fn memory(&self) -> Limit {
        match self.memory_limit {
            None => Limit::Cgroup,
            Some(0) => Limit::None,
            Some(mib) => Limit::Resident(u64::from(mib) << 20),
        }
    }
}

/// Limits of HTTP connections that are accepted. What is set here counts before what the mesh sets.
#[derive(Args, Debug)]
struct HttpArgs {
    /// How long the head of an HTTP/1 request may take from its first byte [default: the mesh's, else 10s].
    #[arg(long, env = "WEFT_HTTP_HEAD_TIMEOUT", value_parser = duration)]
    http_head_timeout: Option<Duration>,
    /// Header fields of a request; crumbs of a cookie count one by one [default: the mesh's, else 100].
    #[arg(long, env = "WEFT_HTTP_HEADER_FIELDS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(10..=10_000))]
    http_header_fields: Option<u32>,
    /// Streams of one HTTP/2 connection side by side [default: the mesh's, else 100].
    #[arg(long, env = "WEFT_HTTP2_STREAMS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    http2_streams: Option<u32>,
    /// KiB of request headers held at once for one HTTP/2 connection; more is REFUSED_STREAM [default: the mesh's, else
    /// 1024].
    #[arg(long, env = "WEFT_HTTP2_HEADER_BUDGET", value_name = "KIB",
          value_parser = clap::value_parser!(u32).range(64..=1_048_576))]
    http2_header_budget: Option<u32>,
    /// MiB held at once for all HTTP/2 connections: request headers, and 4 KiB for each stream. More is REFUSED_STREAM
    /// for connections that hold over 64 KiB [default: the mesh's, else 16].
    #[arg(long, env = "WEFT_HTTP2_MEMORY", value_name = "MIB",
          value_parser = clap::value_parser!(u32).range(1..=1_048_576))]
    http2_memory: Option<u32>,
    /// Resets that a client may cause by breaking HTTP/2 before its connection ends [default: the mesh's, else 100].
    #[arg(long, env = "WEFT_HTTP2_LOCAL_RESETS", value_name = "COUNT",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    http2_local_resets: Option<u32>,
    /// How long the data of an HTTP/2 response may wait for the client's window; at least 1 KiB must go in that time
    /// [default: the mesh's, else 30s].
    #[arg(long, env = "WEFT_HTTP2_STALL_TIMEOUT", value_parser = duration)]
    http2_stall_timeout: Option<Duration>,
}

impl HttpArgs {
    fn settings(&self) -> HttpSettings {
        HttpSettings {
            head_timeout: self.http_head_timeout,
            header_fields: self.http_header_fields,
            streams: self.http2_streams,
            header_budget: self.http2_header_budget,
            memory: self.http2_memory,
            local_resets: self.http2_local_resets,
            stall: self.http2_stall_timeout,
        }
    }
}

/// `--transparent`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transparent {
    /// Where the application's own connections are redirected to.
    pub outbound: u16,
    /// Where connections to the application are redirected to.
    pub inbound: u16,
}

/// `--inbound`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InboundFlag {
    /// Where peers connect; its port is the workload's port.
    pub listen: SocketAddr,
    /// The application.
    pub app: SocketAddr,
}

/// `--upstream`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UpstreamFlag {
    /// Where the application connects.
    pub listen: SocketAddr,
    /// `product.shop:8080`.
    pub service: String,
}

impl FromStr for InboundFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listen, app) = text.split_once('=').ok_or("expected LISTEN=APP")?;
        Ok(Self { listen: address(listen)?, app: address(app)? })
    }
}

impl FromStr for UpstreamFlag {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (listen, service) = text.split_once('=').ok_or("expected LISTEN=SERVICE")?;
        if weft_proto::names::parse_service_port(service).is_none() {
            return Err(format!("`{service}` is no SERVICE.NAMESPACE:PORT, as product.shop:8080"));
        }
        Ok(Self { listen: address(listen)?, service: service.to_owned() })
    }
}

impl Config {
    /// Are Service ports subscribed on first use?
    #[must_use]
    pub fn is_on_demand(&self) -> bool {
        self.transparent.is_some() || self.upstream.len() > self.on_demand_above
    }
}

/// Reads the command line.
///
/// # Errors
/// clap's, which also carry `--help` and `--version`.
pub fn parse(
    args: impl IntoIterator<Item = OsString>,
    environment: impl IntoIterator<Item = (String, String)>,
) -> Result<Command, clap::Error> {
    let cli = Cli::try_parse_from(args)?;
    match cli.verb {
        Some(Verb::Drain { state_dir }) => return Ok(Command::Drain { state_dir }),
        Some(Verb::Relay { state_dir }) => return Ok(Command::Relay { state_dir }),
        Some(Verb::Init(args)) => return Ok(Command::Init(Box::new(args.resolve()?))),
        None => {}
    }
    let run = cli.run;
    let memory = run.memory();
    let bootstrap = pod::source(run.bootstrap, cli.pod)?;
    let state_dir = run.state_dir.ok_or_else(|| {
        let kind = clap::error::ErrorKind::MissingRequiredArgument;
        clap::Error::raw(kind, "--state-dir (WEFT_STATE_DIR) is needed\n")
    })?;
    let (outbound, inbound) = (run.outbound_port, run.inbound_port);
    let transparent = run.transparent.then_some(Transparent { outbound, inbound });
    let health = run.health.or(transparent.map(|_| HEALTH));
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    Ok(Command::Run(Box::new(Config {
        bootstrap,
        state_dir,
        inbound: run.inbound,
        upstream: run.upstream,
        transparent,
        on_demand_above: run.on_demand_above,
        upstream_idle: run.upstream_idle,
        health,
        workers: run.workers.map_or(processors.min(2), usize::from),
        access_log: run.access_log,
        slow_request: run.slow_request,
        metrics_series: run.metrics_series,
        key_exchange: match run.post_quantum {
            PostQuantum::Prefer => KeyExchange::PreferPostQuantum,
            PostQuantum::Off => KeyExchange::Classic,
        },
        drain_grace: run.drain_grace,
        memory,
        http: cli.http.settings(),
        otel: environment.into_iter().filter(|(name, _)| name.starts_with("OTEL_")).collect(),
    })))
}

fn address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| format!("`{text}` is no ADDRESS:PORT"))
}

/// From none to as many as memory bears.
fn series(text: &str) -> Result<usize, String> {
    let count = text.parse().ok().filter(|count| *count <= MOST_SERIES);
    count.ok_or_else(|| format!("`{text}` is no number from 0 to {MOST_SERIES}"))
}

/// The same as [`duration`], but not none.
fn some_time(text: &str) -> Result<Duration, String> {
    let time = duration(text)?;
    if time.is_zero() { Err(format!("`{text}` is no time at all")) } else { Ok(time) }
}

/// `5s`, `500ms`, `1m`.
fn duration(text: &str) -> Result<Duration, String> {
    let digits = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(digits);
    let number: u64 = number.parse().map_err(|_| format!("`{text}` is no duration, as 5s"))?;
    match unit {
        "ms" => Ok(Duration::from_millis(number)),
        "s" => Ok(Duration::from_secs(number)),
        "m" => Ok(Duration::from_secs(number.saturating_mul(60))),
        _ => Err(format!("`{text}` has no unit: ms, s or m")),
    }
}

#[cfg(test)]
mod tests;

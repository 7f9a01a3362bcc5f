//! What can be typed: flags, subcommands and their help. Read by `dispatch`.
//!
//! Only shapes live here; nothing is done. Help texts carry the examples, because `--help` is the manual.

mod duration;

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgAction, Args, Parser, Subcommand, ValueEnum};

pub(crate) use duration::{Window, duration};

const EXIT_CODES: &str = "Exit codes: 0 fine, 1 weft could not do it, 2 wrong usage, 3 something was found (check, analyze, demo).";

/// Weft, a lightweight service mesh: sidecars, mTLS, routes and traces.
#[derive(Debug, Parser)]
#[command(name = "weft", version, after_help = EXIT_CODES, propagate_version = false)]
pub(crate) struct Cli {
    /// Flags of every command.
    #[command(flatten)]
    pub(crate) globals: Globals,
    /// What to do.
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Flags that every command takes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Globals {
    /// Mesh to talk to (or to start); may be left out while only one runs
    #[arg(long, global = true, env = "WEFT_MESH", value_name = "NAME")]
    pub(crate) mesh: Option<String>,
    /// Form of the output on stdout
    #[arg(short, long, global = true, value_enum, default_value_t = Format::Table)]
    pub(crate) output: Format,
    /// Colours; `auto` heeds NO_COLOR, CLICOLOR_FORCE and TERM=dumb
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub(crate) color: Color,
    /// Less on stderr: errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// More on stderr, such as the log of every process that was started
    #[arg(short, long, global = true, action = ArgAction::Count)]
    pub(crate) verbose: u8,
}

/// `-o`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// For people
    Table,
    /// For people with a wide screen: namespaces and identities too
    Wide,
    /// For programs
    Json,
}

/// `--color`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// Where stdout is a terminal that can show them
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The subcommands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run a whole mesh on this machine: control plane, six sidecars, a shop, and load
    Demo(DemoArgs),
    /// Show success rate, requests per second, latency and mTLS share
    Stat(StatArgs),
    /// Check the installation: is everything there, connected, in step and certified?
    Check,
    /// Check configuration files before anything reads them
    Analyze(AnalyzeArgs),
    /// Show what one sidecar really has
    #[command(alias = "pc")]
    ProxyConfig(ProxyConfigArgs),
    /// Show every sidecar: connected? in step? what did it reject?
    ProxyStatus,
    /// Run a program of your own beside a sidecar
    Run(RunArgs),
    /// Show the version of weft, of the control plane and of the sidecars
    Version,
    /// One service of the demo's shop.
    #[command(hide = true)]
    DemoService(DemoServiceArgs),
}

const DEMO_EXAMPLES: &str = "\
Everything is real and a process of its own: no root, no Docker, no cluster. Ctrl-C stops it and leaves
nothing behind. The manifests it runs on are those in k8s/demo of the checkout (outside one: a copy, whose
path it says); an edit takes effect while it runs.

Examples:
  weft demo
  weft demo --rate 100
  weft demo --exit-after 20s -o json      a smoke test: one object on stdout, exit 0 if all is well

The sidecars send traces by OTLP to localhost:4317 if something listens there, or to
OTEL_EXPORTER_OTLP_ENDPOINT.";

/// `weft demo`.
#[derive(Clone, Debug, Args)]
#[command(after_help = DEMO_EXAMPLES)]
pub(crate) struct DemoArgs {
    /// Stop by itself, this long after everything is up
    #[arg(long, value_parser = duration, value_name = "DURATION")]
    pub(crate) exit_after: Option<Duration>,
    /// Requests per second of the load generator; 0 for none
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(0..=1000), value_name = "N")]
    pub(crate) rate: u32,
    /// Port of the shop; the next free one if it is taken
    #[arg(long, default_value_t = 8080, value_parser = clap::value_parser!(u16).range(1024..), value_name = "PORT")]
    pub(crate) port: u16,
    /// Seed of the payment service's failures
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub(crate) seed: u64,
}

const STAT_EXAMPLES: &str = "\
Workloads are measured by their own sidecar, edges and routes by the caller's sidecar. An edge from outside
the mesh is plaintext and measured where it comes in.

Examples:
  weft stat                    each workload over the last 10 seconds
  weft stat edges --watch      who calls whom, once a second
  weft stat routes -t 1m       each route and where it sent the requests
  weft stat -t all -o json     everything since the start, for a program";

/// `weft stat`.
#[derive(Clone, Debug, Args)]
#[command(after_help = STAT_EXAMPLES)]
pub(crate) struct StatArgs {
    /// What to show; `-o json` without it shows all three
    #[arg(value_enum)]
    pub(crate) view: Option<StatView>,
    /// Measure over this long: a duration, or `all`
    #[arg(short = 't', long, default_value = "10s", value_parser = Window::parse)]
    pub(crate) window: Window,
    /// Show it again every second until Ctrl-C
    #[arg(short, long)]
    pub(crate) watch: bool,
}

/// The first argument of `weft stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum StatView {
    /// One line a workload, measured by its own sidecar
    #[value(alias = "workload")]
    Workloads,
    /// One line a caller and service, measured by the caller's sidecar
    #[value(alias = "edge")]
    Edges,
    /// One line a route and backend
    #[value(alias = "route")]
    Routes,
}

const ANALYZE_EXAMPLES: &str = "\
Exit code 0: nothing found. 3: something was found. 1: the directory could not be read.

Examples:
  weft analyze k8s/demo
  weft analyze manifests -o json";

/// `weft analyze`.
#[derive(Clone, Debug, Args)]
#[command(after_help = ANALYZE_EXAMPLES)]
pub(crate) struct AnalyzeArgs {
    /// Directory of YAML files
    #[arg(value_name = "DIR")]
    pub(crate) directory: PathBuf,
}

const PROXY_CONFIG_EXAMPLES: &str = "\
It is asked of the sidecar itself, not of the control plane.

Examples:
  weft proxy-config routes gateway
  weft pc endpoints order.shop
  weft pc certificate product-v1 -o json";

/// `weft proxy-config`.
#[derive(Clone, Debug, Args)]
#[command(after_help = PROXY_CONFIG_EXAMPLES)]
pub(crate) struct ProxyConfigArgs {
    /// What of it
    #[arg(value_enum)]
    pub(crate) section: ConfigSection,
    /// Workload: `gateway`, or `gateway.shop`
    #[arg(value_name = "NAME")]
    pub(crate) workload: String,
}

/// The first argument of `weft proxy-config`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ConfigSection {
    /// Routes
    #[value(aliases = ["route"])]
    Routes,
    /// Clusters
    #[value(aliases = ["cluster"])]
    Clusters,
    /// Endpoints
    #[value(aliases = ["endpoint"])]
    Endpoints,
    /// The sidecar's certificate and what it trusts
    #[value(aliases = ["certificates", "certs", "cert"])]
    Certificate,
    /// Listeners
    #[value(aliases = ["listener"])]
    Listeners,
}

impl ConfigSection {
    /// Its word on the sidecar's admin socket.
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Routes => "/v1/config/routes",
            Self::Clusters => "/v1/config/clusters",
            Self::Endpoints => "/v1/config/endpoints",
            Self::Certificate => "/v1/config/certificate",
            Self::Listeners => "/v1/config/listeners",
        }
    }
}

const RUN_EXAMPLES: &str = "\
The sidecar starts first; when it is ready the program starts, with this terminal and environment, and its
exit code is passed on. Then the sidecar drains and ends. The workload must be a MeshWorkload of the mesh.

With --config-dir a control plane for that directory is started if the mesh has none; it ends with the
program that it was started for. Without it, a mesh must be running.

Examples:
  weft run --workload web.default --inbound 127.0.0.2:8080=127.0.0.1:3000 -- npm start
  weft run --workload cart.shop --upstream 127.0.0.1:15101=product.shop:8080 -- \\
      env PRODUCT_SERVICE_URL=http://127.0.0.1:15101 ./cart
  weft run --mesh dev --config-dir manifests --workload web.default -- ./web";

/// `weft run`.
#[derive(Clone, Debug, Args)]
#[command(after_help = RUN_EXAMPLES)]
pub(crate) struct RunArgs {
    /// The workload that the program is: NAME.NAMESPACE of a MeshWorkload
    #[arg(long, value_name = "NAME.NS")]
    pub(crate) workload: String,
    /// Take connections of the mesh here, for the program there
    #[arg(long, value_name = "ADDR=ADDR", value_parser = mapping)]
    pub(crate) inbound: Vec<String>,
    /// Take the program's connections here, for that service
    #[arg(long, value_name = "ADDR=SERVICE.NS:PORT", value_parser = mapping)]
    pub(crate) upstream: Vec<String>,
    /// Serve the sidecar's /ready, /live and /metrics here
    #[arg(long, value_name = "ADDR")]
    pub(crate) health: Option<SocketAddr>,
    /// Directory of YAML files for a control plane, started if the mesh has none
    #[arg(long, value_name = "DIR")]
    pub(crate) config_dir: Option<PathBuf>,
    /// The program and its arguments
    #[arg(last = true, required = true, value_name = "CMD")]
    pub(crate) program: Vec<OsString>,
}

/// Only the form of a mapping is checked here; the sidecar, whose flag it becomes, knows the rest.
fn mapping(text: &str) -> Result<String, String> {
    let (listen, target) = text.split_once('=').ok_or("expected LISTEN=TARGET")?;
    listen
        .parse::<SocketAddr>()
        .map_err(|_| format!("`{listen}` is not an address such as 127.0.0.1:15101"))?;
    if target.is_empty() { Err("nothing stands after `=`".to_owned()) } else { Ok(text.to_owned()) }
}

/// `weft demo-service`.
#[derive(Clone, Debug, Args)]
pub(crate) struct DemoServiceArgs {
    /// Which one
    #[arg(value_enum)]
    pub(crate) service: ShopService,
    /// Where it listens
    #[arg(long, value_name = "ADDR")]
    pub(crate) listen: SocketAddr,
    /// Which version of it
    #[arg(long = "as", default_value = "v1", value_name = "VERSION")]
    pub(crate) version: String,
    /// Seed of the payment service's failures
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Base URL of user
    #[arg(long, env = "USER_SERVICE_URL", value_name = "URL")]
    pub(crate) user_url: Option<String>,
    /// Base URL of product
    #[arg(long, env = "PRODUCT_SERVICE_URL", value_name = "URL")]
    pub(crate) product_url: Option<String>,
    /// Base URL of order
    #[arg(long, env = "ORDER_SERVICE_URL", value_name = "URL")]
    pub(crate) order_url: Option<String>,
    /// Base URL of payment
    #[arg(long, env = "PAYMENT_SERVICE_URL", value_name = "URL")]
    pub(crate) payment_url: Option<String>,
}

/// The shop's services.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ShopService {
    /// The front
    Gateway,
    /// Who is shopping
    User,
    /// What is sold
    Product,
    /// Takes orders
    Order,
    /// Charges cards, and fails on purpose
    Payment,
}

#[cfg(test)]
mod tests;

//! `weft-bench scale`: a mesh of thousands of Services of which the workload calls a few. What do the sidecar and the
//! control plane hold, and how soon is a change in force? Real processes on this machine, as `run` has them.
//!
//! Two sidecars call the same few Services: one has an `--upstream` for these alone, one for every Service of the
//! mesh, which it subscribes on first use. Memory is `Rss` of `smaps_rollup`: idle, after the calls, and ten seconds
//! later. A change is a new HTTPRoute on a called Service; its time runs from the file's renaming to the first
//! answer that shows it, and is the median and the worst of several.

mod manifests;

use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::{Request, StatusCode};
use http_body_util::{BodyExt, Empty};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep};

use crate::pattern;
use crate::peer::weft::{Launch, control_plane, ready, state_dir};
use crate::process::Process;
use crate::site::{Programs, Site};

/// Requests to each called Service.
const REQUESTS: usize = 200;
/// Changes that are timed.
const CHANGES: usize = 5;
/// Between the last start and the reading of idle memory.
const SETTLE: Duration = Duration::from_millis(1500);
/// Between the end of all load and the reading of memory at rest.
const REST: Duration = Duration::from_secs(10);
/// Limit on every wait.
const PATIENCE: Duration = Duration::from_secs(60);

/// `weft-bench scale`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Services in the mesh, each with one workload
    #[arg(long, default_value_t = 5000)]
    services: usize,
    /// How many of them are called
    #[arg(long, default_value_t = 5)]
    calls: usize,
    /// Directory of weft-proxy and weft-control-plane; without it: this program's own
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<PathBuf>,
    /// Keep logs and configuration of all processes
    #[arg(long)]
    keep: bool,
}

/// A sidecar that calls, and where it is entered for each called Service.
struct Caller {
    name: &'static str,
    process: Process,
    entries: Vec<SocketAddr>,
}

/// Runs to the end; children and files go with it.
pub(crate) async fn run(options: Options) -> Result<ExitCode> {
    ensure!((1..=options.services).contains(&options.calls), "--calls must be within --services");
    let own = std::env::current_exe().context("cannot find this program")?;
    let beside = own.parent().context("this program lies in no directory")?.to_owned();
    let weft = options.bin_dir.clone().unwrap_or(beside);
    let programs = Programs { own, weft: weft.clone(), baseline: None, envoy: None };
    let mut site = Site::open(programs)?;
    if options.keep {
        eprintln!("weft-bench: logs and configuration stay in {}", site.keep().display());
    }
    let dir = site.subdir("scale")?;
    let config = dir.join("config");
    fs::create_dir_all(&config)?;
    let inbound = site.ports.take()?;
    manifests::write(&config, options.services, options.calls, inbound)?;

    let state = state_dir(&dir, "control-plane")?;
    let started = Instant::now();
    let mut plane = control_plane(&weft, &config, &state, site.ports.take()?, &dir)?;
    let socket = state.join("admin.sock");
    ready(&socket, &mut plane).await?;
    say(&format!("mesh: {} Services, {} called", options.services, options.calls))?;
    say(&format!("control plane ready after {:.2} s", started.elapsed().as_secs_f64()))?;

    let launch = Launch { bin: &weft, dir: &dir, socket: &socket, site: &site };
    let listen = format!("{inbound}={}", site.app_address);
    let _server = launch.start("inbound", "server.bench", &["--inbound", &listen]).await?;
    let callers = [
        caller(&launch, "declares what it calls", options.calls, options.calls).await?,
        caller(&launch, "declares all", options.services, options.calls).await?,
    ];
    sleep(SETTLE).await;
    let idle = memories(&callers)?;
    for caller in &callers {
        for entry in &caller.entries {
            call(*entry).await.with_context(|| caller.name)?;
        }
    }
    let after = memories(&callers)?;
    sleep(REST).await;
    let rested = memories(&callers)?;
    say(&format!("sidecar, MB of memory: idle, after {REQUESTS} requests to each, 10 s later"))?;
    for (index, caller) in callers.iter().enumerate() {
        let [idle, after, rested] = [&idle, &after, &rested].map(|of| megabytes(of[index]));
        say(&format!("  {:24} {idle:6.1} {after:6.1} {rested:6.1}", caller.name))?;
    }
    let mut times = Vec::new();
    for round in 0..CHANGES {
        times.push(change(&config, round, callers[0].entries[0]).await?);
    }
    times.sort();
    let (median, worst) = (times[times.len() / 2], times[times.len() - 1]);
    say(&format!(
        "a change in force: median {} ms, worst {} ms",
        median.as_millis(),
        worst.as_millis()
    ))?;
    say(&format!("control plane, MB of memory: {:.1}", megabytes(plane.resident()?)))?;
    plane.check()?;
    site.check()?;
    Ok(ExitCode::SUCCESS)
}

/// Starts a sidecar with an upstream for each of the first `declared` Services.
async fn caller(
    launch: &Launch<'_>,
    name: &'static str,
    declared: usize,
    called: usize,
) -> Result<Caller> {
    let mut args = Vec::new();
    let mut entries = Vec::new();
    for service in 0..declared {
        let entry = launch.site.ports.take()?;
        args.extend(["--upstream".to_owned(), format!("{entry}={}", manifests::port_of(service))]);
        if service < called {
            entries.push(entry);
        }
    }
    let args: Vec<&str> = args.iter().map(String::as_str).collect();
    let file = if declared == called { "few" } else { "all" };
    let mut process = launch.start(file, "client.bench", &args).await?;
    let deadline = Instant::now() + PATIENCE;
    while let Err(error) = get(entries[0], pattern::PATH, StatusCode::OK, false).await {
        process.check()?;
        ensure!(Instant::now() < deadline, "{name}: {error:#}\n{}", process.last_lines());
        sleep(Duration::from_millis(50)).await;
    }
    Ok(Caller { name, process, entries })
}

fn memories(callers: &[Caller]) -> Result<Vec<u64>> {
    callers.iter().map(|caller| caller.process.resident()).collect()
}

#[allow(clippy::cast_precision_loss, reason = "memory of a process is far below 2^53")]
fn megabytes(bytes: u64) -> f64 {
    bytes as f64 / 1e6
}

async fn call(entry: SocketAddr) -> Result<()> {
    for _ in 0..REQUESTS {
        get(entry, pattern::PATH, StatusCode::OK, true).await?;
    }
    Ok(())
}

/// One line of the report.
fn say(line: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{line}")?)
}

/// One GET on a connection of its own; `whole` checks the body.
async fn get(entry: SocketAddr, path: &str, expected: StatusCode, whole: bool) -> Result<()> {
    let stream = TcpStream::connect(entry).await?;
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    // Its error reaches the request on it.
    tokio::spawn(connection);
    let request =
        Request::get(path).header("host", "called.bench").body(Empty::<bytes::Bytes>::new());
    let response = sender.send_request(request?).await?;
    ensure!(response.status() == expected, "{}: {:?}", response.status(), response.headers());
    let body = response.into_body().collect().await?.to_bytes();
    ensure!(!whole || body == pattern::body(), "not what the application sent");
    Ok(())
}

/// Has the first Service answer a redirect at a path of this round; how long until it does.
async fn change(config: &Path, round: usize, entry: SocketAddr) -> Result<Duration> {
    let path = format!("/moved-{round}");
    let fresh = config.join(".route.new");
    fs::write(&fresh, manifests::redirect(&path))?;
    let started = Instant::now();
    fs::rename(&fresh, config.join("route.yaml"))?;
    while let Err(error) = get(entry, &path, StatusCode::FOUND, false).await {
        ensure!(started.elapsed() < PATIENCE, "the change is not in force: {error:#}");
        sleep(Duration::from_millis(5)).await;
    }
    Ok(started.elapsed())
}

//! `weft-bench enforce`: how soon a changed policy is enforced by all sidecars of a mesh. Real processes on this machine.
//!
//! To every sidecar one opaque connection is held that is allowed. Then an AccessPolicy that denies it is put into the
//! directory; a sidecar enforces it when that connection ends. The time runs from the file's renaming, and is of each sidecar
//! in each round. What is told: median, 99 of 100, and the worst.

use std::fmt::Write as _;
use std::fs;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout};

use crate::load::tcp::Echo;
use crate::pattern;
use crate::peer::weft::{Launch, control_plane, ready, state_dir};
use crate::process::Process;
use crate::site::{Programs, Site};

/// Limit on every wait.
const PATIENCE: Duration = Duration::from_secs(120);
/// Between two tries.
const AGAIN: Duration = Duration::from_millis(20);

/// `weft-bench enforce`.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Sidecars
    #[arg(long, default_value_t = 100)]
    proxies: usize,
    /// Changes
    #[arg(long, default_value_t = 20)]
    rounds: usize,
    /// Directory of weft-proxy and weft-control-plane; without it: this program's own
    #[arg(long, value_name = "DIR")]
    bin_dir: Option<std::path::PathBuf>,
}

/// Runs to the end; children and files go with it.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let own = std::env::current_exe().context("cannot find this program")?;
    let beside = own.parent().context("this program lies in no directory")?.to_owned();
    let weft = options.bin_dir.clone().unwrap_or(beside);
    let site = Site::open(Programs { own, weft: weft.clone(), baseline: None, envoy: None })?;
    let dir = site.subdir("enforce")?;
    let config = dir.join("config");
    fs::create_dir_all(&config)?;
    let doors = (0..options.proxies).map(|_| site.ports.take());
    let doors: Vec<SocketAddr> = doors.collect::<Result<_>>()?;
    fs::write(config.join("mesh.yaml"), mesh(&doors))?;
    let state = state_dir(&dir, "control-plane")?;
    let mut plane = control_plane(&weft, &config, &state, site.ports.take()?, &dir)?;
    let socket = state.join("admin.sock");
    ready(&socket, &mut plane).await?;
    let launch = Launch { bin: &weft, dir: &dir, socket: &socket, site: &site };
    let mut sidecars: Vec<Process> = Vec::new();
    for (number, door) in doors.iter().enumerate() {
        let listen = format!("{door}={}", site.opaque_address);
        let name = format!("w{number}");
        let workload = format!("{name}.bench");
        sidecars.push(launch.start(&name, &workload, &["--inbound", &listen]).await?);
    }
    let mut times = Vec::new();
    for _ in 0..options.rounds {
        times.extend(round(&config, &doors).await?);
        plane.check()?;
    }
    for sidecar in &mut sidecars {
        sidecar.check()?;
    }
    times.sort();
    let of = |share: usize| times[(times.len() * share / 100).min(times.len() - 1)].as_millis();
    writeln!(
        std::io::stdout(),
        "{} sidecars, {} changes: enforced after {} ms (median), {} ms (99 of 100), {} ms (worst)",
        doors.len(),
        options.rounds,
        of(50),
        of(99),
        of(100)
    )?;
    Ok(ExitCode::SUCCESS)
}

/// Opens a connection to each, denies them all, and returns how long each lived on.
async fn round(config: &Path, doors: &[SocketAddr]) -> Result<Vec<Duration>> {
    let policy = config.join("deny.yaml");
    match fs::remove_file(&policy) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let mut held = Vec::new();
    for door in doors {
        held.push(timeout(PATIENCE, open(*door)).await.context("nobody is let in")?);
    }
    let fresh = config.join(".deny.new");
    fs::write(&fresh, DENY)?;
    let started = Instant::now();
    fs::rename(&fresh, &policy)?;
    let mut ends = JoinSet::new();
    for mut stream in held {
        ends.spawn(async move {
            // An end and a reset are the same here.
            let _ = timeout(PATIENCE, stream.read(&mut [0])).await.context("it is let in still")?;
            Ok::<_, anyhow::Error>(started.elapsed())
        });
    }
    let mut times = Vec::new();
    while let Some(end) = ends.join_next().await {
        times.push(end.context("a task panicked")??);
    }
    ensure!(times.len() == doors.len(), "{} of {}", times.len(), doors.len());
    Ok(times)
}

/// A connection that has carried a word there and back, so that it is surely allowed.
async fn open(door: SocketAddr) -> TcpStream {
    loop {
        let carried = async {
            let mut connection = Echo::open(door).await?;
            connection.exchange(&pattern::word()).await?;
            Ok::<_, anyhow::Error>(connection.into_stream())
        };
        match carried.await {
            Ok(stream) => return stream,
            Err(_) => sleep(AGAIN).await,
        }
    }
}

const DENY: &str = "\
apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: nobody, namespace: bench}
spec: {action: DENY, rules: [{from: [{cidrs: [127.0.0.0/8]}]}]}
";

/// A workload and its Service for each door.
fn mesh(doors: &[SocketAddr]) -> String {
    let mut text = "\
apiVersion: weft.dev/v1alpha1
kind: MeshConfig
metadata: {name: default, namespace: weft-system}
spec: {trustDomain: bench.local}
"
    .to_owned();
    for (number, door) in doors.iter().enumerate() {
        // Writing to a string cannot fail.
        let _ = write!(
            text,
            "\
---
apiVersion: v1
kind: Service
metadata: {{name: s{number}, namespace: bench}}
spec: {{selector: {{app: w{number}}}, ports: [{{name: tcp, port: 9000, targetPort: {port}, appProtocol: tcp}}]}}
---
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: w{number}, namespace: bench, labels: {{app: w{number}}}}}
spec: {{address: {address}, serviceAccount: w{number}, meshed: true, ports: [{{name: tcp, port: {port}, appProtocol: tcp}}]}}
",
            address = door.ip(),
            port = door.port(),
        );
    }
    text
}

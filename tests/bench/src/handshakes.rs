//! `weft-bench handshakes`: what a full handshake of mutual TLS costs the one who is called, with and without post-quantum
//! key exchange, in CPU time of the inbound proxy, which makes it handshakes per second and core.
//!
//! A client in this process offers one group at a time, resumes nothing, and ends each connection as soon as the proxy has
//! judged it: what comes behind the handshake in TLS 1.3 is read to its end. Pairs take turns. The tickets that a server sends
//! are part of it.

use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use comfy_table::Table;
use rustls::client::Resumption;
use rustls::crypto::SupportedKxGroup;
use rustls::crypto::aws_lc_rs::kx_group::{X25519, X25519MLKEM768};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::Instant;
use tokio_rustls::TlsConnector;

use crate::mtls::connector_with;
use crate::peer::{HOST, Kind, Peer};
use crate::run::Options;
use crate::site::Site;

/// Connections that are being opened at a time.
const TOGETHER: usize = 8;
/// What is offered.
const GROUPS: [(&str, &dyn SupportedKxGroup); 2] =
    [("X25519", X25519), ("X25519MLKEM768", X25519MLKEM768)];

/// One cell of the table: handshakes, and the proxy's CPU time for them.
#[derive(Clone, Copy, Debug, Default)]
struct Cost {
    handshakes: u32,
    cpu: Duration,
}

/// Prints a table.
pub(crate) async fn run(options: &Options) -> Result<ExitCode> {
    let site = Site::open(options.programs()?)?;
    let mut peers = Vec::new();
    for kind in options.kinds() {
        // The others are there to carry requests; their handshakes are rustls' or OpenSSL's own.
        if matches!(kind, Kind::Weft | Kind::Baseline | Kind::Envoy) {
            peers.push(Peer::start(kind, &site, kind.name()).await?);
        }
    }
    let mut costs = vec![[Vec::new(), Vec::new()]; peers.len()];
    for round in 0..options.rounds() {
        let mut order: Vec<usize> = (0..peers.len()).collect();
        if round % 2 == 1 {
            order.reverse();
        }
        for place in order {
            for (group, costs) in GROUPS.iter().zip(&mut costs[place]) {
                let peer = &mut peers[place];
                measure(peer, group.1, options.warm_up()).await?;
                let cost = measure(peer, group.1, options.duration()).await?;
                peer.check()?;
                costs.push(cost);
            }
        }
    }
    let mut table = Table::new();
    table.set_header([
        "pair",
        "key exchange",
        "µs CPU a handshake",
        "per s and core",
        "rounds, µs",
    ]);
    for (peer, costs) in peers.iter().zip(&costs) {
        for ((name, _), rounds) in GROUPS.iter().zip(costs) {
            let mut micros: Vec<f64> = rounds.iter().map(|cost| cost.micros()).collect();
            micros.sort_by(f64::total_cmp);
            let median = micros.get(micros.len() / 2).copied().context("no round")?;
            let all: Vec<String> = micros.iter().map(|micros| format!("{micros:.0}")).collect();
            table.add_row([
                peer.kind.name().to_owned(),
                (*name).to_owned(),
                format!("{median:.0}"),
                format!("{:.0}", 1e6 / median),
                all.join(" "),
            ]);
        }
    }
    print(&table);
    Ok(ExitCode::SUCCESS)
}

#[allow(clippy::print_stdout, reason = "it is what the command is for")]
fn print(table: &Table) {
    println!("{table}");
}

impl Cost {
    fn micros(self) -> f64 {
        self.cpu.as_secs_f64() * 1e6 / f64::from(self.handshakes.max(1))
    }
}

async fn measure(
    peer: &Peer,
    group: &'static dyn SupportedKxGroup,
    time: Duration,
) -> Result<Cost> {
    let config = Arc::new(config(peer, group)?);
    let (probe, end) = (peer.probe(), Instant::now() + time);
    let before = probe.sample()?;
    let mut clients = tokio::task::JoinSet::new();
    for _ in 0..TOGETHER {
        let (connector, address) = (TlsConnector::from(config.clone()), peer.inbound_address);
        clients.spawn(async move {
            let mut handshakes = 0;
            while Instant::now() < end {
                once(&connector, address, group.name()).await?;
                handshakes += 1;
            }
            Ok::<u32, anyhow::Error>(handshakes)
        });
    }
    let mut handshakes = 0;
    while let Some(client) = clients.join_next().await {
        handshakes += client.context("a client panicked")??;
    }
    Ok(Cost { handshakes, cpu: (probe.sample()? - before).inbound })
}

/// There, judged, and away again.
async fn once(connector: &TlsConnector, to: SocketAddr, group: NamedGroup) -> Result<()> {
    let stream = TcpStream::connect(to).await?;
    let mut stream = connector.connect(ServerName::try_from(HOST)?, stream).await?;
    let agreed = stream.get_ref().1.negotiated_key_exchange_group().map(SupportedKxGroup::name);
    ensure!(agreed == Some(group), "{agreed:?} instead of {group:?}");
    stream.shutdown().await?;
    // An alert would be an error: then the client's certificate was not taken.
    let mut rest = Vec::new();
    stream.read_to_end(&mut rest).await.context("after the handshake")?;
    Ok(())
}

fn config(peer: &Peer, group: &'static dyn SupportedKxGroup) -> Result<ClientConfig> {
    let mut provider = rustls::crypto::aws_lc_rs::default_provider();
    provider.kx_groups = vec![group];
    let mut config = connector_with(provider, Some(&peer.credentials.client), peer.alpn)?;
    config.resumption = Resumption::disabled();
    Ok(config)
}

//! Opaque bytes from the application to an endpoint, inside mesh mTLS. Half-close is kept: each side may stop
//! speaking while the other goes on.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::Instant;
use weft_certs::SpiffeId;

use super::Outbound;
use crate::cluster::{self, Ask, Endpoint, InFlight, Outcome};
use crate::drain;
use crate::error::{Error, Fault, Token};
use crate::io::Io;
use crate::relay::{Relayed, refuse, relay};
use crate::state::TcpHandles;
use crate::telemetry::ConnectionEnd;
use crate::telemetry::metrics::Direction;
use crate::tls::PLAINTEXT;
use crate::upstream::{Opened, Protocol};

/// Bound: endpoints that are tried before the client is told.
const ATTEMPTS: usize = 3;
/// Bound: times that a PERMISSIVE sidecar is called again which has let its application speak first.
const OVERTAKEN: usize = 5;

impl Outbound {
    /// Carries one connection to its end, or closes it if no endpoint can be reached.
    pub(super) async fn proxy_tcp(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        watch: &drain::Watch,
    ) {
        let started = Instant::now();
        let stream = Io::Plain(stream);
        // Order: until bytes can pass, an end would tell the client that there are none.
        refuse(&stream);
        let config = self.target.config().await;
        let Some(tcp) = config.as_deref().and_then(|config| config.tcp.as_ref()) else {
            tracing::warn!(%client, service = %self.service, "no destination for opaque bytes");
            return;
        };
        // Boxed: a handshake is much larger than what follows it, perhaps for hours.
        match Box::pin(self.connect(tcp, client, Protocol::Tcp, None)).await {
            Ok(connected) => self.carry(tcp, stream, connected, started, watch).await,
            Err(error) => self.give_up(tcp, client, &error, started),
        }
    }

    /// Carries bytes both ways to their end.
    pub(super) async fn carry(
        &self,
        tcp: &TcpHandles,
        mut stream: Io,
        (in_flight, mut opened): (InFlight, Opened),
        started: Instant,
        watch: &drain::Watch,
    ) {
        let endpoint = in_flight.endpoint();
        tcp.edge.connection_opened(endpoint.spec.identity.is_some());
        opened.io.read_ahead();
        let relayed = relay(&mut stream, &mut opened.io, watch, &tcp.edge).await;
        self.finish(tcp, Some(endpoint), &relayed, started);
    }

    /// Records a connection for which no endpoint was reached.
    pub(super) fn give_up(
        &self,
        tcp: &TcpHandles,
        client: SocketAddr,
        error: &Error,
        started: Instant,
    ) {
        tracing::warn!(%client, service = %self.service, %error, "opaque connection");
        tcp.edge.connection_opened(false);
        let relayed = Relayed { sent: 0, received: 0, error: Some(error.token()) };
        self.finish(tcp, None, &relayed, started);
    }

    fn finish(
        &self,
        tcp: &TcpHandles,
        endpoint: Option<&Arc<Endpoint>>,
        relayed: &Relayed,
        started: Instant,
    ) {
        let identity = endpoint.and_then(|endpoint| endpoint.spec.identity.as_ref());
        let end = ConnectionEnd {
            direction: Direction::Outbound,
            service: &self.service,
            route: "",
            peer_identity: identity.map_or("", SpiffeId::as_str),
            peer_address: endpoint.map(|endpoint| endpoint.spec.address),
            mtls: identity.is_some(),
            sent: relayed.sent,
            received: relayed.received,
            duration: started.elapsed(),
            error: relayed.error,
            denial: None,
        };
        self.telemetry.finish_connection(&end, &tcp.edge);
    }

    /// A PERMISSIVE sidecar waits for a moment only whether a handshake comes, for its caller may be in plaintext and its
    /// application the first to speak. Where a machine is so busy that it comes later than that, it takes another call.
    async fn open(
        &self,
        endpoint: &Arc<Endpoint>,
        protocol: Protocol,
        timeout: Duration,
    ) -> Result<Opened, Error> {
        let mut times = 0;
        loop {
            let opened = self.upstream.open(endpoint, protocol, timeout).await;
            times += 1;
            match &opened {
                Err(error) if error.reason() == Some(PLAINTEXT) && times <= OVERTAKEN => {}
                _ => return opened,
            }
        }
    }

    /// `not_before`: when a server may be dialled. Another sidecar may be at any time: it dials its application when it
    /// is told to.
    pub(super) async fn connect(
        &self,
        tcp: &TcpHandles,
        client: SocketAddr,
        protocol: Protocol,
        not_before: Option<Instant>,
    ) -> Result<(InFlight, Opened), Error> {
        let cluster = &tcp.cluster;
        let hash = cluster::hash(cluster.hash_policies(), None, client);
        let mut admission = Some(cluster.limits.admit_connection().await?);
        let mut tried: Vec<Arc<Endpoint>> = Vec::new();
        let mut failed = None;
        for _ in 0..ATTEMPTS {
            let (now, only) = (Instant::now(), self.only);
            let ask = Ask { random: &self.random, now, tried: &tried, session: None, only, hash };
            let Some((endpoint, trial)) = cluster.choose(&ask) else { break };
            let timeout = cluster.spec.connect_timeout;
            if let (Some(then), None) = (not_before, &endpoint.spec.identity) {
                tokio::time::sleep_until(then).await;
            }
            let opened = self.open(endpoint, protocol, timeout).await;
            let outcome = match &opened {
                Ok(_) => Some(Outcome::Success),
                Err(error) if error.token().fault() == Fault::Upstream => Some(Outcome::Local),
                Err(_) => None,
            };
            if let Some(outcome) = outcome {
                cluster.note(endpoint, trial, outcome, &self.random, Instant::now());
            }
            match opened {
                Ok(opened) => {
                    let admission = admission.take().unwrap_or_default();
                    return Ok((endpoint.begin_admitted(admission), opened));
                }
                Err(error) => {
                    tried.push(Arc::clone(endpoint));
                    failed = Some(error);
                }
            }
        }
        Err(failed.unwrap_or_else(|| Error::new(Token::DestinationUnavailable, "no endpoint")))
    }
}

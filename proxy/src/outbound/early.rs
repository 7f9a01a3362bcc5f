//! A connection on a port of which nothing is declared, and whose client is silent: perhaps its server speaks first
//! (MySQL, SMTP, NATS, FTP). The way to an endpoint is opened meanwhile, and the other sidecar dials its application
//! when the client has been silent for [`SILENCE`], so that nobody waits for longer.
//!
//! Whoever then speaks first decides. A server does: opaque. A client that was only slow (a pool that connects ahead)
//! is told by its first bytes as ever, and HTTP goes the way of HTTP; the connection that is open then waits for its
//! requests. So no server ever sees a connection that is given up.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use weft_proto::alpn::word;

use super::Outbound;
use crate::cluster::InFlight;
use crate::drain;
use crate::error::{Error, Token};
use crate::io::{Io, set_reset_on_close};
use crate::listener::{Carried, First, PATIENCE, SILENCE, detect};
use crate::state::TcpHandles;
use crate::upstream::{Opened, Protocol, Version};

/// Bound: what a server says first and is read at once.
const FIRST_READ: usize = 4096;

/// What a connection has turned out to be.
enum Early {
    /// Requests.
    Http(Version),
    /// Opaque bytes, of which the server has said these.
    Opaque((InFlight, Opened), BytesMut),
}

impl Outbound {
    /// Carries a connection whose client is silent to its end.
    pub(super) async fn let_speak(
        self: Arc<Self>,
        mut stream: TcpStream,
        client: SocketAddr,
        watch: drain::Watch,
    ) {
        let started = Instant::now();
        let config = self.target.config().await;
        let Some(tcp) = config.as_deref().and_then(|config| config.tcp.as_ref()) else { return };
        let early = tokio::select! {
            // Boxed, as in `tcp`: all of it is over before the bytes flow.
            early = Box::pin(self.early(tcp, &stream, client, started)) => early,
            () = watch.aborted() => return,
        };
        match early {
            Ok(Early::Http(version)) => {
                self.target.spoke_first(false);
                Box::pin(self.serve_http(stream, client, version, watch)).await;
            }
            Ok(Early::Opaque(connected, said)) => {
                self.target.spoke_first(!said.is_empty());
                // A client that is gone is noticed when more is to be said to it.
                let _ = stream.write_all(&said).await;
                self.carry(tcp, Io::Plain(stream), connected, started, &watch).await;
            }
            Err(error) => {
                set_reset_on_close(&stream, true);
                self.give_up(tcp, client, &error, started);
            }
        }
    }

    async fn early(
        &self,
        tcp: &TcpHandles,
        stream: &TcpStream,
        client: SocketAddr,
        started: Instant,
    ) -> Result<Early, Error> {
        let silence = if self.target.is_server_first() { Duration::ZERO } else { SILENCE };
        let silent = started + silence;
        let mut hearing = pin!(detect(stream, PATIENCE));
        let mut opening = pin!(self.connect(tcp, client, Protocol::Open, Some(silent)));
        let mut connected = tokio::select! {
            biased;
            first = &mut hearing => match first.map_err(|error| gone(&error))?.carried() {
                Some(Carried::Http(version)) => return Ok(Early::Http(version)),
                _ => return self.decided(First::Other, opening.await?).await,
            },
            connected = &mut opening => connected?,
        };
        tokio::select! {
            biased;
            first = &mut hearing => {
                return self.decided(first.map_err(|error| gone(&error))?, connected).await;
            }
            () = sleep_until(silent) => {}
        }
        say(&mut connected.1, word::SILENT).await?;
        let mut said = BytesMut::with_capacity(FIRST_READ);
        tokio::select! {
            first = &mut hearing => {
                self.decided(first.map_err(|error| gone(&error))?, connected).await
            }
            read = connected.1.io.read_buf(&mut said) => {
                read.map_err(|error| broken(&error))?;
                say(&mut connected.1, word::TCP).await?;
                Ok(Early::Opaque(connected, said))
            }
        }
    }

    /// The client has spoken first.
    async fn decided(
        &self,
        first: First,
        (in_flight, mut opened): (InFlight, Opened),
    ) -> Result<Early, Error> {
        let Some(Carried::Http(version)) = first.carried() else {
            say(&mut opened, word::TCP).await?;
            return Ok(Early::Opaque((in_flight, opened), BytesMut::new()));
        };
        let endpoint = in_flight.endpoint();
        let is_plain = endpoint.spec.identity.is_none();
        if version == Version::Http1 && (is_plain || opened.awaits_word()) {
            say(&mut opened, word::HTTP1).await?;
            self.upstream.keep(endpoint, opened);
        }
        Ok(Early::Http(version))
    }
}

/// Only another weft-proxy listens for it.
async fn say(opened: &mut Opened, word: u8) -> Result<(), Error> {
    if opened.awaits_word() {
        let said = async {
            opened.io.write_all(&[word]).await?;
            opened.io.flush().await
        };
        said.await.map_err(|error| broken(&error))?;
    }
    Ok(())
}

fn broken(error: &std::io::Error) -> Error {
    Error::new(Token::ConnectionTerminated, error.to_string())
}

fn gone(error: &std::io::Error) -> Error {
    Error::new(Token::DownstreamClosed, error.to_string())
}

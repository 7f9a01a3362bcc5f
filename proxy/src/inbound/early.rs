//! A caller that has said nothing yet on a port where the application may be the first to speak. The application is
//! dialled, and whoever speaks first decides what the connection carries.
//!
//! The caller may be in plaintext, and then even a handshake of the mesh can still come, late; or it is another sidecar,
//! which says what it knows in words of one byte (`weft_proto::alpn::word`).

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::Instant;

use super::Inbound;
use super::door::{self, Caller};
use crate::drain;
use crate::error::{Error, Token};
use crate::io::Io;
use crate::listener::{Carried, First, PATIENCE, detect, is_mesh};
use crate::model::{AppProtocol, MtlsMode};
use crate::upstream::{Opened, Version};

/// Bound: what the application says first and is read at once.
const FIRST_READ: usize = 4096;

impl Inbound {
    /// Carries the connection of a silent caller to its end.
    pub(super) async fn let_speak(self: Arc<Self>, caller: Caller, watch: drain::Watch) {
        let client = caller.who.address;
        self.watch_for_denial(&caller.who, &watch);
        let heard = tokio::select! {
            // Boxed: all of it is over before the bytes flow.
            heard = Box::pin(self.hear(caller)) => heard,
            () = watch.aborted() => return,
        };
        match heard {
            Ok((caller, app)) => match caller.carried {
                Carried::Http(version) => {
                    if version == Version::Http1 {
                        self.upstream.keep(&self.app, app);
                    }
                    Box::pin(self.serve_http(caller, watch)).await;
                }
                Carried::Opaque | Carried::Nothing => {
                    self.proxy_tcp(caller, Some(app), &watch).await;
                }
            },
            Err(error) => self.refused(client, &error),
        }
    }

    async fn hear(&self, caller: Caller) -> Result<(Caller, Opened), Error> {
        // Order: the application's first words are for those only who may talk to it in opaque bytes.
        self.authorize_opaque(&caller.who)
            .inspect_err(|_| caller.who.notes.connection(Instant::now()))?;
        let app = self.dial().await.map_err(|error| self.unreachable(&error))?;
        match caller.io {
            Io::Plain(_) => self.hear_plaintext(caller, app).await,
            Io::Client(_) | Io::Server(_) => self.hear_peer(caller, app).await,
        }
    }

    async fn hear_plaintext(
        &self,
        mut caller: Caller,
        mut app: Opened,
    ) -> Result<(Caller, Opened), Error> {
        let Io::Plain(stream) = &mut caller.io else { return Ok((caller, app)) };
        let mut said = BytesMut::with_capacity(FIRST_READ);
        let first = tokio::select! {
            biased;
            first = detect(stream, PATIENCE) => Some(first.map_err(|error| door::gone(&error))?),
            read = app.io.read_buf(&mut said) => {
                read.map_err(|error| broken(&error))?;
                None
            }
        };
        let Some(first) = first else {
            self.app.server_first.store(true, Relaxed);
            stream.write_all(&said).await.map_err(|error| door::gone(&error))?;
            return Ok((told(caller, Carried::Opaque), app));
        };
        let port = self.settings()?;
        let permissive = port.mtls == MtlsMode::Permissive && first == First::Tls;
        if permissive && is_mesh(stream).await.map_err(|error| door::gone(&error))? {
            return self.greet(caller, app).await;
        }
        let carried = match port.protocol {
            AppProtocol::Tcp => Carried::Opaque,
            AppProtocol::Http | AppProtocol::Detect => first.carried().unwrap_or(Carried::Opaque),
        };
        Ok((told(caller, carried), app))
    }

    /// A handshake of the mesh that came late.
    async fn greet(&self, caller: Caller, app: Opened) -> Result<(Caller, Opened), Error> {
        let client = caller.who.address;
        let Io::Plain(stream) = caller.io else { return Ok((caller, app)) };
        let peer = self.admit_peer(stream, client).await?;
        match peer.carried {
            Carried::Nothing => self.hear_peer(peer, app).await,
            Carried::Http(_) | Carried::Opaque => Ok((peer, app)),
        }
    }

    /// Order: what the application says goes out at once; what the caller says is first of all its word.
    async fn hear_peer(
        &self,
        mut caller: Caller,
        mut app: Opened,
    ) -> Result<(Caller, Opened), Error> {
        let mut said = BytesMut::with_capacity(FIRST_READ);
        let (mut has_spoken, mut has_ended) = (false, false);
        loop {
            tokio::select! {
                biased;
                // Cancel: one byte is there or not.
                word = caller.io.read_u8() => {
                    let carried = door::meaning(word.map_err(|error| door::gone(&error))?)?;
                    if has_spoken && carried != Carried::Opaque {
                        let message = "the caller speaks HTTP where the application spoke first";
                        return Err(Error::new(Token::TlsProtocolError, message));
                    }
                    return Ok((told(caller, carried), app));
                }
                read = app.io.read_buf(&mut said), if !has_ended => {
                    has_ended = read.map_err(|error| broken(&error))? == 0;
                    has_spoken = true;
                    let said_it = async {
                        caller.io.write_all(&said).await?;
                        caller.io.flush().await
                    };
                    said_it.await.map_err(|error| door::gone(&error))?;
                    said.clear();
                }
            }
        }
    }
}

fn told(mut caller: Caller, carried: Carried) -> Caller {
    caller.carried = carried;
    if let Carried::Http(version) = carried {
        caller.who.version = version;
    }
    caller
}

fn broken(error: &io::Error) -> Error {
    Error::new(Token::ConnectionTerminated, error.to_string())
}

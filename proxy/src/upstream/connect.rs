//! Opens a connection to an endpoint: TCP, then mutual TLS if the endpoint has an identity, which must be the
//! one expected, on resumed sessions too.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use tokio::net::TcpStream;

use super::Upstream;
use crate::cluster::Endpoint;
use crate::error::{Error, Token};
use crate::io::{Io, prepare};

/// What will travel on a connection; between sidecars it is said by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// Opaque bytes.
    Tcp,
    /// Not known yet: said with the first bytes.
    Open,
}

/// Bound: connections for HTTP to one endpoint, over all workers (Envoy's default for a cluster).
const MAX_CONNECTIONS: u32 = 1024;
/// Bound: the same for opaque bytes. Each is a connection of a client's, of which a listener takes no more.
const MAX_OPAQUE: u32 = 10_000;

/// Counts an open connection of an endpoint.
#[derive(Debug)]
pub(super) struct Open(Arc<Endpoint>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.connections.fetch_sub(1, Relaxed);
    }
}

/// A new connection. The guard must live as long as the connection.
///
/// # Errors
/// All of them before a byte of any request has left.
pub(super) async fn connect(
    upstream: &Upstream,
    endpoint: &Arc<Endpoint>,
    protocol: Protocol,
    timeout: Duration,
) -> Result<(Io, Open), Error> {
    let limit = match protocol {
        Protocol::Http1 | Protocol::Http2 => MAX_CONNECTIONS,
        Protocol::Tcp | Protocol::Open => MAX_OPAQUE,
    };
    let open = reserve(endpoint, limit)?;
    match tokio::time::timeout(timeout, establish(upstream, endpoint, protocol)).await {
        Ok(io) => Ok((io?, open)),
        Err(_) => Err(Error::unprocessed(
            Token::ConnectionTimeout,
            format!("{} not connected within {timeout:?}", endpoint.spec.address),
        )),
    }
}

fn reserve(endpoint: &Arc<Endpoint>, limit: u32) -> Result<Open, Error> {
    let open = Open(Arc::clone(endpoint));
    if endpoint.connections.fetch_add(1, Relaxed) >= limit {
        let message = format!("{} has {limit} connections", endpoint.spec.address);
        return Err(Error::unprocessed(Token::ConnectionLimitReached, message));
    }
    Ok(open)
}

async fn establish(
    upstream: &Upstream,
    endpoint: &Endpoint,
    protocol: Protocol,
) -> Result<Io, Error> {
    let address = endpoint.spec.address;
    // Order: whom we may not call is not even dialled.
    let peer = match (&endpoint.server_name, &endpoint.spec.identity) {
        (Some(name), Some(expected)) => {
            upstream.tls.check_callee(expected)?;
            Some((upstream.tls.current()?, name, expected))
        }
        _ => None,
    };
    let stream = match upstream.own.as_ref().filter(|own| own.has(address)) {
        Some(own) => own.connect(address).await,
        None => TcpStream::connect(address).await,
    };
    let stream = stream.map_err(|error| {
        Error::unprocessed(Token::ConnectionRefused, format!("{address}: {error}"))
    })?;
    upstream.overload.lends(&stream)?;
    prepare(&stream);
    match peer {
        Some((tls, name, expected)) => {
            let stream = tls.connect(protocol, name.clone(), expected, stream).await?;
            Ok(Io::Client(Box::new(stream)))
        }
        None => Ok(Io::Plain(stream)),
    }
}

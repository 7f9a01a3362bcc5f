//! One request on an HTTP/1.1 connection.

use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::body::Incoming;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::connect::{Protocol, connect};
use super::{Failure, Lease, Pool, Upstream, classify, unopened};
use crate::body::Body;
use crate::cluster::{Cluster, Endpoint};
use crate::error::{Error, Token};

/// Bound of a response head, and of what is read ahead of the client.
const BUFFER: usize = 64 * 1024;

/// A reused connection may have been closed a moment ago. As long as the request comes back whole the next
/// one is tried; the pool runs empty, so this ends with a new connection.
pub(super) async fn send(
    upstream: &Upstream,
    limited: Option<&Cluster>,
    endpoint: &Arc<Endpoint>,
    connect_timeout: Duration,
    mut request: Request<Body>,
) -> Result<(Response<Incoming>, Lease), Failure> {
    let mesh = endpoint.spec.identity.is_some();
    loop {
        let reused = match limited {
            None => upstream.pool(endpoint).take_idle(),
            Some(cluster) => take_within(upstream, cluster, endpoint),
        };
        let is_reused = reused.is_some();
        let mut sender = match reused {
            Some(sender) => sender,
            None => match open(upstream, endpoint, connect_timeout).await {
                Ok(sender) => sender,
                Err(error) => return Err(Failure { error, request: Some(Box::new(request)) }),
            },
        };
        if is_reused && !is_free(&sender).await {
            continue;
        }
        let written = Instant::now();
        let mut failure = match sender.try_send_request(request).await {
            Ok(response) => {
                let lease = Lease::http1(sender, endpoint, upstream.worker, written);
                return Ok((response, lease));
            }
            Err(failure) => failure,
        };
        match failure.take_message() {
            Some(unsent) if is_reused => request = unsent,
            unsent => {
                let error = if unsent.is_some() {
                    Error::unprocessed(Token::ConnectionTerminated, "closed before it was used")
                } else {
                    classify(failure.error(), mesh)
                };
                return Err(Failure { error, request: unsent.map(Box::new) });
            }
        }
    }
}

/// Within a limit an idle connection of another worker serves too, and one that is idle for nothing makes room.
fn take_within(
    upstream: &Upstream,
    cluster: &Cluster,
    endpoint: &Endpoint,
) -> Option<http1::SendRequest<Body>> {
    let own = upstream.pool(endpoint).take_idle();
    let found = own.or_else(|| endpoint.pools.iter().find_map(Pool::take_idle));
    if found.is_none() {
        cluster.make_room();
    }
    found
}

/// A connection whose response ended before its request did is still busy with the request: nobody waits for
/// that. One turn of the scheduler is enough for a connection that has only just become free.
async fn is_free(sender: &http1::SendRequest<Body>) -> bool {
    if !sender.is_ready() {
        tokio::task::yield_now().await;
    }
    sender.is_ready()
}

async fn open(
    upstream: &Upstream,
    endpoint: &Arc<Endpoint>,
    timeout: Duration,
) -> Result<http1::SendRequest<Body>, Error> {
    let (io, open) = connect(upstream, endpoint, Protocol::Http1, timeout).await?;
    let handshake = http1::Builder::new().max_buf_size(BUFFER).handshake(TokioIo::new(io)).await;
    let (mut sender, connection) = handshake.map_err(|error| unopened(&error))?;
    tokio::spawn(async move {
        // Its failures reach whoever waits for the response.
        let _ = connection.await;
        drop(open);
    });
    sender.ready().await.map_err(|error| unopened(&error))?;
    Ok(sender)
}

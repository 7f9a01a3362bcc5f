//! One request on an HTTP/1.1 connection. The connection is our own and not hyper's client, for three reasons:
//! it is known to the byte what has left when it fails; idle it costs a stream and nothing else (hyper keeps
//! 37 KB of buffers and channel for each); and it needs no task, so that a request wakes nobody in between.
//!
//! ```text
//! send ─► pool, or connect ─► exchange: send ‖ head ─► receive: the body ─► pool
//! ```

mod chunked;
mod connection;
mod encode;
mod exchange;
mod head;
mod receive;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use super::connect::{Protocol, connect};
use super::{Failure, Pool, Sent, Upstream};
use crate::body::Body;
use crate::cluster::{Cluster, Endpoint};
use exchange::{Broken, exchange};
use receive::Return;

pub(super) use connection::Connection;
pub use receive::Receiving;

/// What was read is not HTTP/1.1, or not safe to read as such. For people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed(&'static str);

/// A reused connection may have been closed a moment ago. As long as the request comes back whole the next
/// one is tried; the pool runs empty, so this ends with a new connection.
pub(super) async fn send(
    upstream: &Upstream,
    limited: Option<&Cluster>,
    endpoint: &Arc<Endpoint>,
    connect_timeout: Duration,
    mut request: Request<Body>,
) -> Result<Sent, Failure> {
    let mesh = endpoint.spec.identity.is_some();
    loop {
        let reused = match limited {
            None => upstream.pool(endpoint).take_idle(),
            Some(cluster) => take_within(upstream, cluster, endpoint),
        };
        let is_reused = reused.is_some();
        let connection = match reused {
            Some(connection) => connection,
            // Boxed: most requests find a connection and should not carry this.
            None => match Box::pin(connect(upstream, endpoint, Protocol::Http1, connect_timeout))
                .await
            {
                Ok((io, open)) => Box::new(Connection::new(io, open)),
                Err(error) => return Err(Failure { error, request: Some(Box::new(request)) }),
            },
        };
        let home = Return { endpoint: Arc::clone(endpoint), worker: upstream.worker };
        let written = Instant::now();
        match exchange(connection, request, home).await {
            Ok(response) => return Ok(Sent { response, written }),
            Err(Broken { unsent: Some(unsent), .. }) if is_reused => request = unsent,
            Err(broken) => {
                let error = broken.explain(mesh);
                return Err(Failure { error, request: broken.unsent.map(Box::new) });
            }
        }
    }
}

/// Within a limit an idle connection of another worker serves too, and one that is idle for nothing makes room.
fn take_within(
    upstream: &Upstream,
    cluster: &Cluster,
    endpoint: &Endpoint,
) -> Option<Box<Connection>> {
    let own = upstream.pool(endpoint).take_idle();
    let found = own.or_else(|| endpoint.pools.iter().find_map(Pool::take_idle));
    if found.is_none() {
        cluster.make_room();
    }
    found
}

#[cfg(test)]
mod tests;

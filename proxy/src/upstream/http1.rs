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
mod expect;
mod head;
mod receive;
mod send;

use std::sync::Arc;
use std::time::Duration;

use http::Request;
use tokio::time::Instant;

use super::connect::{Open, Protocol, connect};
use super::{Failure, Pool, Sent, Upstream};
use crate::body::Body;
use crate::cluster::{Cluster, Endpoint};
use crate::error::{Error, Replay, Token};
use crate::io::Io;
use crate::retry::is_idempotent;
use exchange::{Broken, exchange};
use receive::Return;

pub(super) use connection::Connection;
pub use connection::Switched;
pub use receive::Receiving;

/// What was read is not HTTP/1.1, or not safe to read as such. For people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Malformed(&'static str);

/// A connection that was idle so long may meet the server's timeout; the head of a request that may go out twice is
/// then kept. Below it the copy would cost more than it saves.
const AT_RISK: Duration = Duration::from_millis(500);

/// A reused connection may have been closed a moment ago. As long as the request comes back whole the next
/// one is tried; the pool runs empty, so this ends with a new connection. One that may have been read goes out
/// again only if it is idempotent, and nobody is asked: the client of a mesh must not see that connections are kept.
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
        let at_risk = is_reused && connection.idle >= AT_RISK;
        let spare = (at_risk && may_go_twice(&request)).then(|| Box::new(again(&request)));
        let home = Return { endpoint: Arc::clone(endpoint), worker: upstream.worker };
        let written = Instant::now();
        match exchange(connection, request, home).await {
            Ok(response) => {
                if !is_reused {
                    upstream.pool(endpoint).keep_alive.told(response.headers());
                }
                return Ok(Sent { response, written });
            }
            Err(Broken { unsent: Some(unsent), .. }) if is_reused => request = unsent,
            Err(broken) => {
                let error = broken.explain(mesh);
                let raced = is_reused && error.token() == Token::ConnectionTerminated;
                match spare {
                    Some(spare) if raced => request = *spare,
                    _ => {
                        let error = named(error, raced);
                        return Err(Failure { error, request: broken.unsent.map(Box::new) });
                    }
                }
            }
        }
    }
}

/// Keeps a new connection for the requests of later.
pub(super) fn keep(pool: &Pool, io: Io, open: Open) {
    pool.put_idle(Box::new(Connection::new(io, open)));
}

fn may_go_twice(request: &Request<Body>) -> bool {
    matches!(request.body(), Body::Empty) && is_idempotent(request.method())
}

/// The request once more; it has no body.
fn again(request: &Request<Body>) -> Request<Body> {
    let mut copy = Request::new(Body::Empty);
    *copy.method_mut() = request.method().clone();
    *copy.uri_mut() = request.uri().clone();
    *copy.version_mut() = request.version();
    *copy.headers_mut() = request.headers().clone();
    copy
}

/// What is certain not to have been read keeps its name, for it is sent again.
fn named(error: Error, raced: bool) -> Error {
    if raced && error.replay() == Replay::IfIdempotent {
        let what = "the endpoint closed a kept connection while the request was on its way";
        return Error::new(Token::KeepAliveRace, what);
    }
    error
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

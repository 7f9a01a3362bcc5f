//! One request on a shared HTTP/2 connection.

use std::sync::Arc;
use std::time::Duration;

use http::{Method, Request};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::time::Instant;

use super::connect::{Protocol, connect};
use super::pool::{Shared, Stream};
use super::{Failure, ResponseBody, Sent, Upstream, classify, unopened};
use crate::body::Body;
use crate::cluster::{Cluster, Endpoint};
use crate::error::{Error, Token};

/// Receive window of a stream; a connection's is four times that, so that one slow reader cannot stop the
/// others.
const STREAM_WINDOW: u32 = 256 * 1024;
const SEND_BUFFER: usize = 64 * 1024;
const HEADER_LIST: u32 = 64 * 1024;

pub(super) async fn send(
    upstream: &Upstream,
    limited: Option<&Cluster>,
    endpoint: &Arc<Endpoint>,
    connect_timeout: Duration,
    mut request: Request<Body>,
) -> Result<Sent, Failure> {
    let mesh = endpoint.spec.identity.is_some();
    let is_head = request.method() == Method::HEAD;
    // Bound: a connection that goes away between choice and use is replaced; not for ever.
    for _ in 0..3 {
        let checked_out = match limited {
            None => checkout(upstream, endpoint, connect_timeout).await,
            // Boxed: who has no limit does not pay for it.
            Some(cluster) => {
                Box::pin(checkout_within(upstream, cluster, endpoint, connect_timeout)).await
            }
        };
        let (mut connection, stream) = match checked_out {
            Ok(connection) => connection,
            Err(error) => return Err(Failure { error, request: Some(Box::new(request)) }),
        };
        if connection.sender.ready().await.is_err() {
            continue;
        }
        let written = Instant::now();
        let mut failure = match connection.sender.try_send_request(request).await {
            Ok(response) => {
                // Some servers send a body all the same; it is for nobody.
                let response = response.map(|body| match is_head {
                    true => ResponseBody::Empty,
                    false => ResponseBody::http2(body, stream),
                });
                return Ok(Sent { response, written });
            }
            Err(failure) => failure,
        };
        match failure.take_message() {
            Some(unsent) => request = unsent,
            None => return Err(Failure { error: classify(failure.error(), mesh), request: None }),
        }
    }
    let error = Error::unprocessed(Token::ConnectionTerminated, "connections close as they open");
    Err(Failure { error, request: Some(Box::new(request)) })
}

async fn checkout(
    upstream: &Upstream,
    endpoint: &Arc<Endpoint>,
    timeout: Duration,
) -> Result<(Shared, Stream), Error> {
    let pool = upstream.pool(endpoint);
    if let Some(found) = pool.take_shared() {
        return Ok(found);
    }
    let _only_one = pool.opening.lock().await;
    // Race: somebody may have opened one while we waited.
    if let Some(found) = pool.take_shared() {
        return Ok(found);
    }
    Ok(pool.put_shared(Box::pin(open(upstream, endpoint, timeout)).await?))
}

/// As [`checkout`] within a limit of connections: where no more may be opened a request waits for the end of
/// another one. An endpoint without a connection on this worker always gets one, as in Envoy, or its requests
/// would wait for nothing.
async fn checkout_within(
    upstream: &Upstream,
    cluster: &Cluster,
    endpoint: &Arc<Endpoint>,
    timeout: Duration,
) -> Result<(Shared, Stream), Error> {
    let pool = upstream.pool(endpoint);
    // Fair: nobody overtakes those who wait.
    if !pool.is_waited_for()
        && let Some(found) = pool.take_shared()
    {
        return Ok(found);
    }
    let only_one = match pool.opening.try_lock() {
        Ok(only_one) => only_one,
        Err(_) => {
            let _pending = cluster.limits.queue()?;
            pool.opening.lock().await
        }
    };
    // Race: somebody may have opened one while we waited.
    if !pool.is_waited_for()
        && let Some(found) = pool.take_shared()
    {
        return Ok(found);
    }
    if pool.is_connected() && cluster.is_full() {
        drop(only_one);
        return cluster.limits.wait(pool.freed()).await;
    }
    cluster.make_room();
    Ok(pool.put_shared(Box::pin(open(upstream, endpoint, timeout)).await?))
}

async fn open(
    upstream: &Upstream,
    endpoint: &Arc<Endpoint>,
    timeout: Duration,
) -> Result<http2::SendRequest<Body>, Error> {
    let (io, open) = connect(upstream, endpoint, Protocol::Http2, timeout).await?;
    let handshake = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(4 * STREAM_WINDOW)
        .max_send_buf_size(SEND_BUFFER)
        .max_header_list_size(HEADER_LIST)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5))
        .handshake(TokioIo::new(io))
        .await;
    let (sender, connection) = handshake.map_err(|error| unopened(&error))?;
    tokio::spawn(async move {
        // Its failures reach whoever waits for a response.
        let _ = connection.await;
        drop(open);
    });
    Ok(sender)
}

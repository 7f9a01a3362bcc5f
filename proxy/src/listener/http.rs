//! Serves HTTP on one connection, until it ends, is drained, or its time is over.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use ::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::{http1, http2};
use hyper::service::Service;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::time::Instant;

use super::budget::{Account, Budgeted};
use super::heads;
use super::limits::HttpLimits;
use super::linger::Lingering;
use super::paced::Paced;
use super::streams::Streams;
use crate::body::Body;
use crate::drain;
use crate::io::Io;
use crate::overload::Shed;
use crate::upstream::Version;

/// Bound of a request head, and of what is read ahead of the upstream.
const BUFFER: usize = 64 * 1024;
/// Receive window of a stream; a connection's is four times that.
const STREAM_WINDOW: u32 = 256 * 1024;
const HEADER_LIST: u32 = 64 * 1024;
/// hyper's bound of an HTTP/1 head's fields where none is set.
const HEADER_FIELDS: usize = 100;

/// `until`: when the connection must end although nobody asks for it (the peer's certificate expires). Ends
/// are orderly: HTTP/1.1 finishes the request that it has, HTTP/2 says GOAWAY.
///
/// # Errors
/// What hyper says of the connection; for logs at debug level, the requests have had their answers.
pub(crate) async fn serve<S>(
    io: Io,
    version: Version,
    service: S,
    limits: &HttpLimits,
    watch: &drain::Watch,
    until: Option<Instant>,
) -> hyper::Result<()>
where
    S: Service<Request<Incoming>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    let io = Lingering::new(io);
    let mut ending = pin!(ending(watch, until));
    let overload = &limits.overload;
    macro_rules! drive {
        ($connection:expr, $moved:expr, $owes:expr) => {{
            let mut connection = pin!($connection);
            tokio::select! {
                biased;
                result = connection.as_mut() => return result,
                () = watch.aborted() => return Ok(()),
                () = ending.as_mut() => connection.as_mut().graceful_shutdown(),
                // Too little is left for a connection on which nothing moves.
                shed = overload.quiet($moved, $owes) => {
                    overload.count(shed);
                    if shed == Shed::Stalled {
                        return Ok(());
                    }
                    connection.as_mut().graceful_shutdown();
                }
            }
            tokio::select! {
                result = connection => result,
                () = watch.aborted() => Ok(()),
            }
        }};
    }
    match version {
        Version::Http1 => {
            let (io, service, found) = heads::watch(io, limits, service);
            drive!(
                of_http1(limits).serve_connection(TokioIo::new(io), service).with_upgrades(),
                || found.moved(),
                || found.is_owed()
            )
        }
        Version::Http2 => {
            let (io, wire) = Paced::new(io);
            let account = Account::new(limits);
            let streams = Streams::new(&wire, &account, limits.stall);
            let service = Budgeted::new(service, Arc::clone(&account), wire);
            let mut busy = 0;
            drive!(
                of_http2(limits, streams).serve_connection(TokioIo::new(io), service),
                || {
                    // As long as there is a stream something moves.
                    busy += u64::from(!account.is_idle());
                    busy
                },
                || false
            )
        }
    }
}

fn of_http1(limits: &HttpLimits) -> http1::Builder {
    let mut builder = http1::Builder::new();
    // hyper's own default needs no allocation for each request.
    if limits.header_fields != HEADER_FIELDS {
        builder.max_headers(limits.header_fields);
    }
    builder
        .timer(TokioTimer::new())
        // hyper's would end idle connections too; `heads` has one of its own.
        .header_read_timeout(None)
        .max_buf_size(BUFFER)
        .max_header_size(BUFFER);
    builder
}

fn of_http2(limits: &HttpLimits, streams: Streams) -> http2::Builder<Streams> {
    let mut builder = http2::Builder::new(streams);
    builder
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(4 * STREAM_WINDOW)
        .max_concurrent_streams(limits.streams)
        .max_local_error_reset_streams(limits.local_resets)
        .max_header_list_size(HEADER_LIST)
        .max_send_buf_size(BUFFER)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(5));
    builder
}

async fn ending(watch: &drain::Watch, until: Option<Instant>) {
    match until {
        Some(until) => {
            tokio::select! {
                () = watch.draining() => {}
                () = tokio::time::sleep_until(until) => {}
            }
        }
        None => watch.draining().await,
    }
}

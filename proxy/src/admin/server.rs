//! Serves a table of endpoints over HTTP/1.1: one request a connection, everything bounded.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderMap, ORIGIN};
use http::{Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::task::AbortHandle;

use super::{AdminSource, Endpoint, HEALTH, Handler, SOCKET, Socket};

/// Bound on a request's head, from the accept on.
const HEAD_TIMEOUT: Duration = Duration::from_secs(5);
/// Bound on a request's body; none of today's endpoints reads it.
const MAX_BODY: usize = 64 << 10;
const BODY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause after an error of the listener itself, such as no file descriptors left.
const PAUSE: Duration = Duration::from_millis(50);

/// Bounds that differ between the two places.
#[derive(Clone, Copy, Debug)]
struct Limits {
    connections: usize,
    /// Of a connection; on the socket it has room for a drain.
    lifetime: Duration,
}

const OF_HEALTH: Limits = Limits { connections: 256, lifetime: Duration::from_secs(10) };
const OF_SOCKET: Limits = Limits { connections: 64, lifetime: Duration::from_hours(1) };

/// Serves `/ready`, `/live` and `/metrics` until it is dropped.
///
/// # Errors
/// If the socket cannot be registered with this runtime.
pub async fn serve_health(
    listener: std::net::TcpListener,
    source: Arc<dyn AdminSource>,
) -> io::Result<()> {
    listener.set_nonblocking(true)?;
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let accept = |cx: &mut Context<'_>| listener.poll_accept(cx).map_ok(|(stream, _)| stream);
    serve(accept, HEALTH, OF_HEALTH, source).await;
    Ok(())
}

/// Serves every endpoint until it is dropped, and removes the socket then.
pub async fn serve_socket(socket: Socket, source: Arc<dyn AdminSource>) {
    let accept =
        |cx: &mut Context<'_>| socket.listener.poll_accept(cx).map_ok(|(stream, _)| stream);
    serve(accept, SOCKET, OF_SOCKET, source).await;
}

async fn serve<S>(
    mut accept: impl FnMut(&mut Context<'_>) -> Poll<io::Result<S>>,
    table: &'static [Endpoint],
    limits: Limits,
    source: Arc<dyn AdminSource>,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        let stream = match poll_fn(&mut accept).await {
            Ok(stream) => stream,
            Err(error) => {
                tracing::warn!(%error, "admin: cannot accept");
                tokio::time::sleep(PAUSE).await;
                continue;
            }
        };
        let source = Arc::clone(&source);
        let connection = serve_connection(stream, table, source);
        // A client that breaks off or takes too long has itself to blame.
        let connection = tokio::spawn(tokio::time::timeout(limits.lifetime, connection));
        open.push_back(connection.abort_handle());
        make_room(&mut open, limits.connections);
    }
}

/// Bound: the oldest connection goes when there are too many. Clients that hold theirs can thus not
/// keep a probe out, which is answered at once.
fn make_room(open: &mut VecDeque<AbortHandle>, most: usize) {
    if open.len() > most {
        open.retain(|connection| !connection.is_finished());
    }
    if open.len() > most
        && let Some(oldest) = open.pop_front()
    {
        oldest.abort();
    }
}

async fn serve_connection<S>(stream: S, table: &'static [Endpoint], source: Arc<dyn AdminSource>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request: Request<Incoming>| {
        let source = Arc::clone(&source);
        async move { Ok::<_, Infallible>(answer(request, table, &*source).await) }
    });
    let _ = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .keep_alive(false)
        .max_buf_size(64 << 10)
        .serve_connection(TokioIo::new(stream), service)
        .await;
}

async fn answer(
    request: Request<Incoming>,
    table: &[Endpoint],
    source: &dyn AdminSource,
) -> Response<Full<Bytes>> {
    let (head, body) = request.into_parts();
    if is_of_a_page(&head.headers) {
        let error = "this is not for pages in a browser";
        return json(StatusCode::FORBIDDEN, &json!({ "error": error }));
    }
    let Some(endpoint) = table.iter().find(|endpoint| endpoint.path == head.uri.path()) else {
        return unknown(head.uri.path(), table);
    };
    let asked = if head.method == Method::HEAD { &Method::GET } else { &head.method };
    if *asked != endpoint.method {
        let allow = if endpoint.method == Method::GET { "GET, HEAD" } else { "POST" };
        let error = format!("{} takes {allow}", endpoint.path);
        let mut response = json(StatusCode::METHOD_NOT_ALLOWED, &json!({ "error": error }));
        response.headers_mut().insert(ALLOW, http::HeaderValue::from_static(allow));
        return response;
    }
    let read = Limited::new(body, MAX_BODY).collect();
    if !matches!(tokio::time::timeout(BODY_TIMEOUT, read).await, Ok(Ok(_))) {
        let error = format!("the body has to come within {BODY_TIMEOUT:?} and {MAX_BODY} bytes");
        return json(StatusCode::PAYLOAD_TOO_LARGE, &json!({ "error": error }));
    }
    handle(endpoint.handler, source).await
}

/// Does a page of some site ask, in a browser that can reach us (by a name of the site's that now leads here, too)? Browsers
/// say so themselves, and pages cannot have it left out. Who types the address is no page.
fn is_of_a_page(headers: &HeaderMap) -> bool {
    let fetched = headers.get("sec-fetch-site");
    headers.contains_key(ORIGIN) || fetched.is_some_and(|site| site != "none")
}

async fn handle(handler: Handler, source: &dyn AdminSource) -> Response<Full<Bytes>> {
    match handler {
        Handler::Live => text(StatusCode::OK, "live\n"),
        Handler::Ready => {
            let missing: String = source.missing().iter().map(|why| format!("{why}\n")).collect();
            if missing.is_empty() {
                text(StatusCode::OK, "ready\n")
            } else {
                text(StatusCode::SERVICE_UNAVAILABLE, missing)
            }
        }
        Handler::Metrics => text(StatusCode::OK, source.metrics()),
        Handler::Version => {
            let version = env!("CARGO_PKG_VERSION");
            json(StatusCode::OK, &json!({ "name": "weft-proxy", "version": version }))
        }
        Handler::Config(part) => json(StatusCode::OK, &source.config(part)),
        Handler::Stats => json(StatusCode::OK, &source.stats()),
        Handler::Drain => json(StatusCode::OK, &source.drain().await),
    }
}

fn unknown(path: &str, table: &[Endpoint]) -> Response<Full<Bytes>> {
    let path: String = path.chars().take(256).collect();
    let known: Vec<_> = table.iter().map(|e| format!("{} {}", e.method, e.path)).collect();
    let error = format!("there is no {path}; there are {}", known.join(", "));
    json(StatusCode::NOT_FOUND, &json!({ "error": error, "known": known }))
}

fn text(status: StatusCode, text: impl Into<Bytes>) -> Response<Full<Bytes>> {
    respond(status, "text/plain; version=0.0.4; charset=utf-8", text.into())
}

fn json(status: StatusCode, value: &Value) -> Response<Full<Bytes>> {
    respond(status, "application/json", format!("{value}\n").into())
}

fn respond(status: StatusCode, kind: &'static str, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    response
}

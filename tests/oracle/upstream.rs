//! The applications that both proxies send to: recording HTTP servers (HTTP/1.1 and h2c) that do with each attempt
//! what its case's script says. A request is known by the header [`ID`], which the client sets for each proxy anew.

mod health;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper::upgrade::Upgraded;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::{TcpListener, TcpStream};

use super::case::{Act, Step};

/// Names a request on its way through one proxy.
pub(crate) const ID: &str = "x-oracle";
/// On every answer that comes from here: by which backend.
pub(crate) const BACKEND: &str = "x-upstream";
/// Backends that answer, by letter. Each is a workload outside the mesh.
pub(crate) const BACKENDS: [char; 6] = ['a', 'b', 'c', 'd', 'e', 'f'];
/// A workload at whose port nobody listens.
pub(crate) const REFUSING: char = 'x';
/// A workload with a sidecar; its application is a backend like the others.
pub(crate) const MESHED: char = 'm';

type Body = BoxBody<Bytes, std::io::Error>;
/// Order of the wrapping: hyper looks for the `h2::Reason` in it, which `anyhow::Error` would hide.
type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// An attempt as a backend saw it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    /// Letter of the backend.
    pub(crate) backend: char,
    /// `GET /path?query HTTP/1.1`.
    pub(crate) line: String,
    /// `Host` or `:authority`.
    pub(crate) host: String,
    /// All headers.
    pub(crate) headers: HeaderMap,
    /// As much of the body as came.
    pub(crate) body: Bytes,
    /// Trailers.
    pub(crate) trailers: HeaderMap,
    /// Did its end come?
    pub(crate) is_whole: bool,
}

/// What is to happen and what has happened, by [`ID`].
#[derive(Debug, Default)]
pub(crate) struct Ledger(Mutex<BTreeMap<String, Entry>>);

#[derive(Debug, Default)]
struct Entry {
    script: Vec<Act>,
    but: Option<(char, Act)>,
    seen: Vec<Seen>,
}

impl Ledger {
    /// Announces a request.
    pub(crate) fn expect(&self, id: &str, step: &Step) {
        let entry = Entry { script: step.script.clone(), but: step.but, seen: Vec::new() };
        self.lock().insert(id.to_owned(), entry);
    }

    /// Every attempt of it so far.
    pub(crate) fn seen(&self, id: &str) -> Vec<Seen> {
        self.lock().get(id).map(|entry| entry.seen.clone()).unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes an attempt; its place, and what to do with it.
    fn note(&self, id: &str, seen: Seen) -> Result<(usize, Act)> {
        let mut entries = self.lock();
        let entry = entries.get_mut(id).with_context(|| format!("nobody announced {id}"))?;
        let own = entry.but.filter(|(backend, _)| *backend == seen.backend).map(|(_, act)| act);
        let next = || entry.script.get(entry.seen.len()).or(entry.script.last()).copied();
        let act = own.or_else(next).context("a script")?;
        entry.seen.push(seen);
        Ok((entry.seen.len() - 1, act))
    }

    fn end(&self, id: &str, attempt: usize) {
        if let Some(entry) = self.lock().get_mut(id) {
            entry.seen[attempt].is_whole = true;
        }
    }

    fn add(&self, id: &str, attempt: usize, frame: Frame<Bytes>) {
        let mut entries = self.lock();
        let Some(seen) = entries.get_mut(id).map(|entry| &mut entry.seen[attempt]) else { return };
        match frame.into_data() {
            Ok(data) => seen.body = [&seen.body[..], &data].concat().into(),
            Err(frame) => seen.trailers = frame.into_trailers().unwrap_or_default(),
        }
    }
}

/// Serves one backend until the test ends.
pub(crate) async fn serve(backend: char, at: SocketAddr, ledger: Arc<Ledger>) -> Result<()> {
    let listener = TcpListener::bind(at).await.with_context(|| at.to_string())?;
    tokio::spawn(async move {
        loop {
            if let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(connection(backend, stream, Arc::clone(&ledger)));
            }
        }
    });
    Ok(())
}

async fn connection(backend: char, stream: TcpStream, ledger: Arc<Ledger>) {
    let is_http2 = begins_with_preface(&stream).await;
    let service = service_fn(move |request| answer(backend, Arc::clone(&ledger), request));
    let io = TokioIo::new(stream);
    // A broken connection is often what the script asks for.
    if is_http2 {
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(io, service).await;
    } else {
        let http1 = hyper::server::conn::http1::Builder::new();
        let _ = http1.serve_connection(io, service).with_upgrades().await;
    }
}

async fn begins_with_preface(stream: &TcpStream) -> bool {
    let mut first = [0; 3];
    loop {
        match stream.peek(&mut first).await {
            Ok(3) => return &first == b"PRI",
            Ok(0) | Err(_) => return false,
            Ok(_) => tokio::task::yield_now().await,
        }
    }
}

async fn answer(
    backend: char,
    ledger: Arc<Ledger>,
    mut request: Request<Incoming>,
) -> Result<Response<Body>, BoxError> {
    if !request.headers().contains_key(ID) {
        return Ok(health::checked(backend, request).await?);
    }
    let upgrade = hyper::upgrade::on(&mut request);
    let (parts, mut body) = request.into_parts();
    let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
    let id = parts.headers.get(ID).map(text).unwrap_or_default();
    let host = match parts.uri.authority() {
        Some(authority) => authority.to_string(),
        None => parts.headers.get("host").map(text).unwrap_or_default(),
    };
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let version = if parts.version == Version::HTTP_2 { "HTTP/2" } else { "HTTP/1.1" };
    let line = format!("{} {target} {version}", parts.method);
    let (body_so_far, trailers) = (Bytes::new(), HeaderMap::new());
    let (headers, is_whole) = (parts.headers, false);
    let seen = Seen { backend, line, host, headers, body: body_so_far, trailers, is_whole };
    let (attempt, act) = ledger.note(&id, seen)?;
    // Order: what can be answered at once is read whole first, or HTTP/1.1 could not go on with the connection.
    if !matches!(act, Act::Hang | Act::Close | Act::Refuse) {
        while let Some(frame) = body.frame().await {
            ledger.add(&id, attempt, frame?);
        }
        ledger.end(&id, attempt);
    }
    if act == Act::Upgrade {
        // It ends with its connection.
        tokio::spawn(async move { talk_back(upgrade.await?).await });
    }
    let is_head = parts.method == http::Method::HEAD;
    let echo = ledger.seen(&id).swap_remove(attempt).body;
    let mut response = act_out(act, echo).await?;
    let letter = HeaderValue::from_str(&backend.to_string())?;
    response.headers_mut().insert(BACKEND, letter);
    // Over HTTP/2 hyper would send a body where none may be.
    if is_head {
        response.headers_mut().insert("content-length", HeaderValue::from_static("13"));
    }
    if is_head || [204, 205, 304].contains(&response.status().as_u16()) {
        *response.body_mut() = full("");
    }
    Ok(response)
}

async fn act_out(act: Act, echo: Bytes) -> Result<Response<Body>, BoxError> {
    match act {
        Act::Answer(status, headers) => {
            let mut response = Response::new(full("from upstream"));
            *response.status_mut() = StatusCode::from_u16(status)?;
            for (name, value) in headers {
                response.headers_mut().append(*name, HeaderValue::from_static(value));
            }
            Ok(response)
        }
        Act::Late(milliseconds) => {
            tokio::time::sleep(Duration::from_millis(milliseconds)).await;
            Ok(Response::new(full("from upstream, late")))
        }
        Act::Upgrade => {
            let mut response = Response::new(full(""));
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            let headers = response.headers_mut();
            headers.insert("connection", HeaderValue::from_static("upgrade"));
            headers.insert("upgrade", HeaderValue::from_static("websocket"));
            Ok(response)
        }
        Act::Trailing => {
            let trailers = HeaderMap::from_iter([(
                http::HeaderName::from_static("x-trailer"),
                HeaderValue::from_static("behind"),
            )]);
            let data = Bytes::from_static(b"from upstream");
            let frames = [Ok(Frame::data(data)), Ok(Frame::trailers(trailers))];
            let mut response = Response::new(StreamBody::new(tokio_stream::iter(frames)).boxed());
            response.headers_mut().insert("trailer", HeaderValue::from_static("x-trailer"));
            Ok(response)
        }
        Act::Hang => std::future::pending().await,
        Act::Close => Err("closed on purpose".into()),
        Act::Refuse => Err(h2::Error::from(h2::Reason::REFUSED_STREAM).into()),
        Act::BreakOff => Ok(broken_off()),
        Act::GrpcError(status) => {
            let mut response = Response::new(full(""));
            grpc_head(response.headers_mut());
            response.headers_mut().insert("grpc-status", status.into());
            Ok(response)
        }
        Act::GrpcEcho(status) => {
            let trailers = HeaderMap::from_iter([(
                http::HeaderName::from_static("grpc-status"),
                HeaderValue::from(status),
            )]);
            let frames = [Ok(Frame::data(echo)), Ok(Frame::trailers(trailers))];
            let mut response = Response::new(StreamBody::new(tokio_stream::iter(frames)).boxed());
            grpc_head(response.headers_mut());
            Ok(response)
        }
    }
}

/// Everything back, until the other side is done.
async fn talk_back(upgraded: Upgraded) -> Result<()> {
    let (mut read, mut write) = tokio::io::split(TokioIo::new(upgraded));
    tokio::io::copy(&mut read, &mut write).await?;
    Ok(())
}

fn grpc_head(headers: &mut HeaderMap) {
    headers.insert("content-type", HeaderValue::from_static("application/grpc"));
}

fn full(text: &'static str) -> Body {
    Full::new(Bytes::from_static(text.as_bytes())).map_err(|never| match never {}).boxed()
}

/// The pause between the halves lets the first one go out; without it the server would send nothing at all.
fn broken_off() -> Response<Body> {
    let (frames, body) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        // A proxy that has gone needs no second half.
        let _ = frames.send(Ok(Frame::data(Bytes::from_static(b"half of it")))).await;
        tokio::time::sleep(Duration::from_millis(100)).await;
        let _ = frames.send(Err(std::io::Error::other("broken off on purpose"))).await;
    });
    let body = tokio_stream::wrappers::ReceiverStream::new(body);
    let mut response = Response::new(StreamBody::new(body).boxed());
    response.headers_mut().insert("content-length", HeaderValue::from_static("20"));
    response
}

//! The application behind a sidecar: an HTTP server in the test's process (HTTP/1.1 and h2c) that echoes what it
//! got, remembers every request, and misbehaves on demand.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, Version};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};
use tokio_stream::wrappers::ReceiverStream;

use super::{http1, request};

/// How a load client names each of its requests.
pub(crate) const REQUEST_NUMBER: &str = "x-request-number";

type Body = BoxBody<Bytes, std::io::Error>;
type Script = Arc<dyn Fn(&Seen) -> Act + Send + Sync>;

/// What to do with a request.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Act {
    /// 200 with an echo of the request; a gRPC request gets its body back, and trailers.
    Echo,
    /// This status, without a body.
    Status(u16),
    /// This status with these headers, without a body.
    Head(u16, &'static [(&'static str, &'static str)]),
    /// The status that a GET of its own to this address gets; it hands on what names request and trace.
    Call(SocketAddr),
    /// The same, but it hands nothing on.
    CallAlone(SocketAddr),
    /// An echo, this much later.
    Delay(Duration),
    /// No answer, ever.
    Hang,
    /// The beginning of an answer, and no end, ever.
    Stay,
    /// The connection ends without an answer; on HTTP/2 the stream.
    Close,
    /// A response whose body breaks off half-way.
    BreakOff,
}

/// A request as the application saw it.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    /// What [`super::Load`] numbered it.
    pub(crate) number: Option<u64>,
    /// Method.
    pub(crate) method: Method,
    /// Path and query.
    pub(crate) path: String,
    /// HTTP version.
    pub(crate) version: Version,
    /// `:authority`; `None` in HTTP/1.1.
    pub(crate) authority: Option<String>,
    /// Headers.
    pub(crate) headers: HeaderMap,
}

/// A running application. Ends with the value.
pub(crate) struct App {
    workload: String,
    address: SocketAddr,
    state: Arc<State>,
    server: Mutex<Option<JoinHandle<()>>>,
    /// One that was stopped.
    ended: Mutex<Option<JoinHandle<()>>>,
}

struct State {
    workload: String,
    seen: Mutex<Vec<Seen>>,
    /// Bodies of the requests that were echoed.
    bodies: Mutex<Vec<Bytes>>,
    /// Requests that nobody waited for to their end.
    abandoned: AtomicUsize,
    script: Mutex<Script>,
}

impl App {
    /// Starts it.
    pub(crate) async fn start(workload: &str, address: SocketAddr) -> Result<Self> {
        let state = Arc::new(State {
            workload: workload.to_owned(),
            seen: Mutex::default(),
            bodies: Mutex::default(),
            abandoned: AtomicUsize::new(0),
            script: Mutex::new(Arc::new(|_| Act::Echo)),
        });
        let (workload, server, ended) = (workload.to_owned(), Mutex::default(), Mutex::default());
        let app = Self { workload, address, state, server, ended };
        app.listen().await?;
        Ok(app)
    }

    /// Listens again after [`App::stop`], whose end may be under way yet.
    pub(crate) async fn listen(&self) -> Result<()> {
        let ended = lock(&self.ended).take();
        if let Some(ended) = ended {
            // It was aborted, and has closed its port when it is over.
            let _ = ended.await;
        }
        let listener = TcpListener::bind(self.address).await?;
        *lock(&self.server) = Some(tokio::spawn(serve(listener, Arc::clone(&self.state))));
        Ok(())
    }

    /// Closes its port and all its connections: the next connection to it is refused.
    pub(crate) fn stop(&self) {
        if let Some(server) = lock(&self.server).take() {
            server.abort();
            *lock(&self.ended) = Some(server);
        }
    }

    /// From now on requests are answered so.
    pub(crate) fn script(&self, script: impl Fn(&Seen) -> Act + Send + Sync + 'static) {
        *lock(&self.state.script) = Arc::new(script);
    }

    /// `product-v1`.
    pub(crate) fn workload(&self) -> &str {
        &self.workload
    }

    /// Every request so far.
    pub(crate) fn seen(&self) -> Vec<Seen> {
        lock(&self.state.seen).clone()
    }

    /// How many requests so far.
    pub(crate) fn count(&self) -> usize {
        lock(&self.state.seen).len()
    }

    /// The body of every request that was echoed.
    pub(crate) fn bodies(&self) -> Vec<Bytes> {
        lock(&self.state.bodies).clone()
    }

    /// Requests that ended before their answer, because nobody waited for it any more.
    pub(crate) fn abandoned(&self) -> usize {
        self.state.abandoned.load(Ordering::Relaxed)
    }

    /// How often each numbered request with this method arrived.
    pub(crate) fn arrivals(&self, method: &Method) -> BTreeMap<u64, usize> {
        let mut arrivals = BTreeMap::new();
        for seen in lock(&self.state.seen).iter().filter(|seen| seen.method == method) {
            if let Some(number) = seen.number {
                *arrivals.entry(number).or_default() += 1;
            }
        }
        arrivals
    }
}

impl Drop for App {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Aborting this ends every connection too, because they are tasks of its set.
async fn serve(listener: TcpListener, state: Arc<State>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, _)) = accepted else { continue };
                connections.spawn(connection(stream, Arc::clone(&state)));
            }
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn connection(stream: TcpStream, state: Arc<State>) {
    let is_http2 = begins_with_preface(&stream).await;
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { state.answer(request).await }
    });
    let io = TokioIo::new(stream);
    // A broken connection is often what the script asks for.
    if is_http2 {
        let mut http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        http2.max_header_list_size(1 << 20);
        let _ = http2.serve_connection(io, service).await;
    } else {
        let http1 = hyper::server::conn::http1::Builder::new();
        let _ = http1.serve_connection(io, service).await;
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

impl State {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Body>> {
        let number = request.headers().get(REQUEST_NUMBER);
        let seen = Seen {
            number: number.and_then(|value| value.to_str().ok()?.parse().ok()),
            method: request.method().clone(),
            path: request.uri().path_and_query().map(ToString::to_string).unwrap_or_default(),
            version: request.version(),
            authority: request.uri().authority().map(ToString::to_string),
            headers: request.headers().clone(),
        };
        lock(&self.seen).push(seen.clone());
        let mut unanswered = Unanswered(Some(&self.abandoned));
        let answer = self.act(&seen, request).await;
        unanswered.0 = None;
        answer
    }

    async fn act(&self, seen: &Seen, request: Request<Incoming>) -> Result<Response<Body>> {
        let script = Arc::clone(&lock(&self.script));
        match script(seen) {
            Act::Echo => {}
            Act::Delay(time) => tokio::time::sleep(time).await,
            // Order: the request is read first, or HTTP/1.1 could not go on with the connection.
            Act::Status(code) => {
                request.into_body().collect().await?;
                return bare(code, &[]);
            }
            Act::Head(code, headers) => {
                request.into_body().collect().await?;
                return bare(code, headers);
            }
            Act::Call(next) => {
                request.into_body().collect().await?;
                return bare(call(next, seen, &["x-request-id", "traceparent"]).await?, &[]);
            }
            Act::CallAlone(next) => {
                request.into_body().collect().await?;
                return bare(call(next, seen, &[]).await?, &[]);
            }
            Act::Hang => std::future::pending().await,
            Act::Close => bail!("closed on purpose"),
            Act::BreakOff => return Ok(broken_off()),
            Act::Stay => return Ok(staying()),
        }
        let body = request.into_body().collect().await?.to_bytes();
        lock(&self.bodies).push(body.clone());
        let grpc = seen.headers.get(http::header::CONTENT_TYPE);
        if grpc.is_some_and(|value| value.as_bytes().starts_with(b"application/grpc")) {
            return Ok(grpc_echo(body));
        }
        Ok(Response::new(full(self.echo(seen, &body))))
    }

    fn echo(&self, seen: &Seen, body: &Bytes) -> Bytes {
        let text =
            |value: &http::HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
        let headers: BTreeMap<&str, String> =
            seen.headers.iter().map(|(name, value)| (name.as_str(), text(value))).collect();
        let echo = json!({
            "workload": self.workload,
            "method": seen.method.as_str(),
            "path": seen.path,
            "version": format!("{:?}", seen.version),
            "headers": headers,
            "body": String::from_utf8_lossy(body),
        });
        echo.to_string().into()
    }
}

/// Counts a request when it is dropped, unless it was answered.
struct Unanswered<'a>(Option<&'a AtomicUsize>);

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some(count) = self.0 {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// `handed_on`: the headers that it copies.
async fn call(next: SocketAddr, seen: &Seen, handed_on: &[&'static str]) -> Result<u16> {
    let ids = handed_on.iter();
    let ids = ids.filter_map(|id| Some((*id, seen.headers.get(*id)?.to_str().ok()?)));
    let ids: Vec<_> = ids.collect();
    let answer = http1(next, request(Method::GET, "/", &ids, "")).await?;
    Ok(answer.status.as_u16())
}

fn bare(code: u16, headers: &[(&'static str, &'static str)]) -> Result<Response<Body>> {
    let mut response = Response::builder().status(code);
    for (name, value) in headers {
        response = response.header(*name, *value);
    }
    Ok(response.body(full(Bytes::new()))?)
}

fn full(bytes: Bytes) -> Body {
    Full::new(bytes).map_err(|never| match never {}).boxed()
}

/// The messages back as they came, then `grpc-status: 0`.
fn grpc_echo(body: Bytes) -> Response<Body> {
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        http::HeaderValue::from_static("0"),
    )]);
    let frames = [Ok(Frame::data(body)), Ok(Frame::trailers(trailers))];
    let mut response = Response::new(StreamBody::new(tokio_stream::iter(frames)).boxed());
    let content_type = http::HeaderValue::from_static("application/grpc");
    response.headers_mut().insert(http::header::CONTENT_TYPE, content_type);
    response
}

/// The pause between the halves lets the first one go out; without it the server would send nothing at all.
fn broken_off() -> Response<Body> {
    let (frames, body) = tokio::sync::mpsc::channel(1);
    tokio::spawn(async move {
        // A client that has gone needs no second half.
        let _ = frames.send(Ok(Frame::data(Bytes::from_static(b"half of it")))).await;
        tokio::time::sleep(Duration::from_millis(200)).await;
        let _ = frames.send(Err(std::io::Error::other("broken off on purpose"))).await;
    });
    let mut response = Response::new(StreamBody::new(ReceiverStream::new(body)).boxed());
    let length = http::HeaderValue::from_static("20");
    response.headers_mut().insert(http::header::CONTENT_LENGTH, length);
    response
}

fn staying() -> Response<Body> {
    let first = tokio_stream::once(Ok(Frame::data(Bytes::from_static(b"half of it"))));
    let never = futures_pending();
    Response::new(StreamBody::new(tokio_stream::StreamExt::chain(first, never)).boxed())
}

/// A stream that stays silent.
fn futures_pending() -> impl tokio_stream::Stream<Item = Result<Frame<Bytes>, std::io::Error>> {
    tokio_stream::pending()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

//! The application before each proxy: one request on a connection of its own. weft-proxy has an address for each
//! Service. Envoy is told the Service's address by a PROXY header, in the place of the kernel's redirection.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::ready;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Request, StatusCode};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::timeout;

use super::case::{Step, Wire};
use super::upstream::ID;

type Body = BoxBody<Bytes, Infallible>;

/// No case here takes so long.
const DEADLINE: Duration = Duration::from_secs(30);

/// How the application reaches its sidecar for one Service.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    /// Where to connect.
    pub(crate) address: SocketAddr,
    /// The Service's own address, where the connection has to carry it.
    pub(crate) destination: Option<SocketAddr>,
}

/// What the application gets. A missing part is as good as any other to compare.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Status; 0 of a connection that ended without an answer.
    pub(crate) status: u16,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// As much of the body as came.
    pub(crate) body: Bytes,
    /// How the body ended.
    pub(crate) end: End,
    /// Trailers.
    pub(crate) trailers: HeaderMap,
}

/// How a body, or what is there of it, ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As it should.
    Whole,
    /// Early.
    BrokenOff,
    /// Not at all within the deadline.
    Never,
}

impl Answer {
    fn none(end: End) -> Self {
        let (headers, trailers) = (HeaderMap::new(), HeaderMap::new());
        Self { status: 0, headers, body: Bytes::new(), end, trailers }
    }

    /// A header; empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }
}

/// Sends one request through this door.
pub(crate) async fn send(door: &Door, step: &Step, id: &str) -> Result<Answer> {
    match timeout(DEADLINE, exchange(door, step, id)).await {
        Ok(answer) => answer,
        Err(_) => Ok(Answer::none(End::Never)),
    }
}

async fn exchange(door: &Door, step: &Step, id: &str) -> Result<Answer> {
    let mut stream = connect(door, step.source).await?;
    if let Wire::Raw(bytes) = step.version {
        // What is refused may be over before all of it is said.
        let _ = stream.write_all(bytes.replace("$ID", id).as_bytes()).await;
        return Ok(read_raw(stream).await);
    }
    let request = request(step, id)?;
    let io = TokioIo::new(stream);
    let response = if step.version == Wire::Http2 {
        let (mut sender, connection) =
            hyper::client::conn::http2::handshake(TokioExecutor::new(), io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    } else {
        let (mut sender, connection) = hyper::client::conn::http1::handshake(io).await?;
        tokio::spawn(connection);
        sender.send_request(request).await
    };
    Ok(match response {
        Ok(response) => read(response).await,
        Err(_) => Answer::none(End::BrokenOff),
    })
}

async fn connect(door: &Door, source: [u8; 4]) -> Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((source, 0).into())?;
    let mut stream = socket.connect(door.address).await.context("the proxy's port")?;
    stream.set_nodelay(true)?;
    if let Some(destination) = door.destination {
        let (from, port) = (IpAddr::from(source), stream.local_addr()?.port());
        let (to, to_port) = (destination.ip(), destination.port());
        let header = format!("PROXY TCP4 {from} {to} {port} {to_port}\r\n");
        stream.write_all(header.as_bytes()).await?;
    }
    Ok(stream)
}

fn request(step: &Step, id: &str) -> Result<Request<Body>> {
    let uri = match step.version {
        Wire::Http2 => format!("http://{}{}", step.host, step.target),
        Wire::Http1 | Wire::Raw(_) => step.target.clone(),
    };
    let mut request = Request::builder().method(&step.method).uri(uri).header(ID, id);
    if step.version == Wire::Http1 {
        request = request.header("host", &step.host);
    }
    for (name, value) in &step.headers {
        request = request.header(name, HeaderValue::from_bytes(value.as_bytes())?);
    }
    let whole = Full::new(step.body.clone());
    if step.trailers.is_empty() {
        return Ok(request.body(whole.boxed())?);
    }
    let mut trailers = HeaderMap::new();
    for (name, value) in &step.trailers {
        trailers.append(HeaderName::try_from(name)?, HeaderValue::from_str(value)?);
        request = request.header("trailer", name);
    }
    Ok(request.body(whole.with_trailers(ready(Some(Ok(trailers)))).boxed())?)
}

async fn read(response: http::Response<Incoming>) -> Answer {
    let (parts, mut incoming) = response.into_parts();
    let (mut body, mut trailers, mut end) = (Vec::new(), HeaderMap::new(), End::Whole);
    while let Some(frame) = incoming.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => body.extend_from_slice(&data),
            Ok(Err(frame)) => trailers = frame.into_trailers().unwrap_or_default(),
            Err(_) => {
                end = End::BrokenOff;
                break;
            }
        }
    }
    let (status, headers) = (parts.status.as_u16(), parts.headers);
    Answer { status, headers, body: body.into(), end, trailers }
}

/// Reads what a raw request earns: the first status, and whether the connection is closed behind it. Of bodies and
/// headers nothing, because nobody knows where they end.
async fn read_raw(mut stream: TcpStream) -> Answer {
    let (mut all, mut chunk) = (Vec::new(), [0; 4096]);
    // Longer than Envoy keeps a connection that it is done with.
    let quiet = Duration::from_millis(1300);
    let end = loop {
        match timeout(quiet, stream.read(&mut chunk)).await {
            Ok(Ok(0) | Err(_)) => break End::Whole,
            Ok(Ok(read)) => all.extend_from_slice(&chunk[..read]),
            Err(_) => break End::Never,
        }
    };
    let text = String::from_utf8_lossy(&all);
    let status = text.split(' ').nth(1).and_then(|code| code.parse::<StatusCode>().ok());
    let status = status.map_or(0, |code| code.as_u16());
    // What comes behind an upgrade is nobody's framing.
    let upgraded = text.split_once("\r\n\r\n").filter(|_| status == 101);
    let body = upgraded.map_or(Bytes::new(), |(_, rest)| Bytes::copy_from_slice(rest.as_bytes()));
    Answer { status, body, ..Answer::none(end) }
}

/// Headers as a table of sorted names; values of one name in their order.
pub(crate) fn table(headers: &HeaderMap) -> BTreeMap<String, Vec<String>> {
    let mut table: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        table.entry(name.as_str().to_owned()).or_default().push(value);
    }
    table
}

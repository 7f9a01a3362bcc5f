//! HTTP/2 with prior knowledge, as the load generator speaks it: straight on h2, no layer above.

use std::net::SocketAddr;

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::{Builder, SendRequest};
use http::header::{HeaderValue, USER_AGENT};
use http::{Request, Uri};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio::time::timeout;

use super::{PATIENCE, Target, runtime};
use crate::pattern;

const AGENT: HeaderValue = HeaderValue::from_static("weft-bench");

/// A connection, or a share of one: clones send on the same.
#[derive(Clone)]
pub(super) struct Stream {
    sender: SendRequest<Bytes>,
    uri: Uri,
}

impl Stream {
    /// Connects; a task of the current runtime drives the connection.
    pub(super) async fn open(target: &Target) -> Result<Self> {
        let sender = connect(target.address).await?;
        let uri = format!("http://{}{}", target.host, pattern::PATH).parse()?;
        Ok(Self { sender, uri })
    }

    /// One request and its whole, verified response.
    pub(super) async fn exchange(&mut self, body: &[u8]) -> Result<()> {
        let mut request = Request::new(());
        *request.uri_mut() = self.uri.clone();
        // As every client has one: a map of headers without any is a case of its own, for proxies too.
        request.headers_mut().insert(USER_AGENT, AGENT);
        std::future::poll_fn(|context| self.sender.poll_ready(context)).await?;
        let (response, _) = self.sender.send_request(request, true)?;
        let response = response.await?;
        ensure!(response.status() == 200, "status {}", response.status());
        let mut stream = response.into_body();
        let mut rest = body;
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            let matching = rest.strip_prefix(&data[..]);
            rest = matching.context("the body differs from what the application sent")?;
        }
        ensure!(rest.is_empty(), "the body lacks {} bytes", rest.len());
        Ok(())
    }
}

/// A connection; a task of the current runtime drives it.
pub(super) async fn connect(address: SocketAddr) -> Result<SendRequest<Bytes>> {
    let stream = TcpStream::connect(address).await.context("connect")?;
    stream.set_nodelay(true)?;
    let (sender, connection) = Builder::new()
        .initial_window_size(1 << 20)
        .initial_connection_window_size(1 << 24)
        .handshake(stream)
        .await?;
    // Its error reaches every stream on it, where it is counted.
    tokio::spawn(connection);
    Ok(sender)
}

/// A connection for the fixed rate, with a runtime of its own that runs while a request is under way.
pub(super) struct Blocking {
    runtime: Runtime,
    stream: Stream,
    body: Bytes,
}

impl Blocking {
    pub(super) fn open(target: &Target) -> Result<Self> {
        let runtime = runtime()?;
        let stream = runtime.block_on(Stream::open(target))?;
        Ok(Self { runtime, stream, body: pattern::body() })
    }

    /// One request and its whole, verified response.
    pub(super) fn exchange(&mut self) -> Result<()> {
        let exchange = self.stream.exchange(&self.body);
        // Order: a timeout is made inside the runtime, whose clock it uses.
        let bounded = async { timeout(PATIENCE, exchange).await };
        self.runtime.block_on(bounded).context("no response in time")?
    }
}

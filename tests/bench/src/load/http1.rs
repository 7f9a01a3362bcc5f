//! HTTP/1.1 as the load generator speaks it: one request at a time, written whole; a response is a head with
//! a content length and exactly that many bytes.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream as BlockingStream};

use anyhow::{Context, Result, bail, ensure};
use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::PATIENCE;
use crate::pattern;

/// Head and body of a response must fit.
const BUFFER: usize = 16 * 1024;

/// The bytes of the one request.
pub(super) fn request(host: &str) -> Bytes {
    let path = pattern::PATH;
    format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nuser-agent: weft-bench\r\n\r\n").into()
}

/// A connection for the closed loop.
pub(super) struct Connection {
    stream: TcpStream,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(address: SocketAddr) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, buffer: vec![0; BUFFER] })
    }

    /// One request and its whole, verified response.
    pub(super) async fn exchange(&mut self, request: &[u8], body: &[u8]) -> Result<()> {
        self.stream.write_all(request).await.context("write")?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).await.context("read")?;
            ensure!(read > 0, "the connection ended {filled} bytes into a response");
            filled += read;
            if complete(&self.buffer[..filled], body)? {
                return Ok(());
            }
        }
    }
}

/// A connection for the fixed rate: blocking, so that a timer of microseconds is not a timer of milliseconds.
pub(super) struct Blocking {
    stream: BlockingStream,
    buffer: Vec<u8>,
    request: Bytes,
    body: Bytes,
}

impl Blocking {
    pub(super) fn open(address: SocketAddr, host: &str) -> Result<Self> {
        let stream = BlockingStream::connect(address).context("connect")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let (request, body) = (request(host), pattern::body());
        Ok(Self { stream, buffer: vec![0; BUFFER], request, body })
    }

    /// One request and its whole, verified response.
    pub(super) fn exchange(&mut self) -> Result<()> {
        self.stream.write_all(&self.request).context("write")?;
        let mut filled = 0;
        loop {
            let read = self.stream.read(&mut self.buffer[filled..]).context("read")?;
            ensure!(read > 0, "the connection ended {filled} bytes into a response");
            filled += read;
            if complete(&self.buffer[..filled], &self.body)? {
                return Ok(());
            }
        }
    }
}

/// Is `received` the whole response? An error if it can no longer become the right one.
fn complete(received: &[u8], body: &[u8]) -> Result<bool> {
    let mut headers = [httparse::EMPTY_HEADER; 32];
    let mut response = httparse::Response::new(&mut headers);
    let httparse::Status::Complete(head) = response.parse(received)? else {
        ensure!(received.len() < BUFFER, "a response head of more than {BUFFER} bytes");
        return Ok(false);
    };
    ensure!(response.code == Some(200), "status {}", response.code.unwrap_or_default());
    let length = content_length(response.headers)?;
    ensure!(length == body.len(), "content length {length}, expected {}", body.len());
    let got = &received[head..];
    if got.len() < length {
        return Ok(false);
    }
    ensure!(got == body, "the body differs from what the application sent");
    Ok(true)
}

fn content_length(headers: &[httparse::Header<'_>]) -> Result<usize> {
    for header in headers {
        if header.name.eq_ignore_ascii_case("content-length") {
            return Ok(std::str::from_utf8(header.value)?.parse()?);
        }
        if header.name.eq_ignore_ascii_case("connection") {
            let close = header.value.eq_ignore_ascii_case(b"close");
            ensure!(!close, "the proxy closed a connection that should be kept");
        }
    }
    bail!("no content length")
}

#[cfg(test)]
mod tests;

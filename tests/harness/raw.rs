//! Bytes over plain TCP, as no well-behaved client would send them.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::within;

/// Sends `bytes`, ends the sending side, and returns all that comes back.
pub(crate) async fn exchange(to: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(bytes).await?;
        // It is late for this if the other side has answered and gone.
        let _ = stream.shutdown().await;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await?;
        Ok(received)
    };
    within("the connection ends", Duration::from_secs(10), exchange).await
}

/// Sends `bytes` and returns all that comes back until the other side ends the connection. The sending side stays
/// open: a proxy may take its end for the client's leaving.
pub(crate) async fn ask(to: SocketAddr, bytes: &[u8]) -> Result<Vec<u8>> {
    let exchange = async {
        let mut stream = TcpStream::connect(to).await?;
        // An answer that came before the request's end is followed by a reset, which the writing may be the first to see.
        let written = stream.write_all(bytes).await;
        let mut received = Vec::new();
        match stream.read_to_end(&mut received).await {
            _ if !received.is_empty() => Ok(received),
            read => Ok(written.and(read).map(|_| received)?),
        }
    };
    within("the other side ends the connection", Duration::from_secs(15), exchange).await
}

/// Reads to the end of a head, and not a byte further.
pub(crate) async fn head(stream: &mut TcpStream) -> Result<String> {
    until(stream, "\r\n\r\n").await
}

/// Reads up to and including `end`, and not a byte further.
pub(crate) async fn until(stream: &mut TcpStream, end: &str) -> Result<String> {
    let read = async {
        let mut text = Vec::new();
        while !text.ends_with(end.as_bytes()) {
            text.push(stream.read_u8().await?);
        }
        Ok(String::from_utf8_lossy(&text).into_owned())
    };
    within("what is read comes", Duration::from_secs(10), read).await
}

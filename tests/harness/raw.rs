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
        stream.shutdown().await?;
        let mut received = Vec::new();
        stream.read_to_end(&mut received).await?;
        Ok(received)
    };
    within("the connection ends", Duration::from_secs(10), exchange).await
}

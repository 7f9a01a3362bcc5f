//! An application that speaks no HTTP. Two of them: one that answers only after its client has finished sending
//! (half-close), one that speaks first.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;

/// A running application. Ends with the value.
#[derive(Debug)]
pub(crate) struct TcpApp {
    server: AbortHandle,
}

#[derive(Clone, Copy, Debug)]
enum Manner {
    Reverse,
    Greet,
}

impl TcpApp {
    /// What [`TcpApp::greeting`] says first.
    pub(crate) const GREETING: &'static [u8] = b"220 ready\r\n";

    /// Reads to the end, then sends everything back in reverse, and closes.
    pub(crate) async fn reversing(address: SocketAddr) -> Result<Self> {
        Self::start(address, Manner::Reverse).await
    }

    /// Sends [`Self::GREETING`] before its client has said anything, then echoes.
    pub(crate) async fn greeting(address: SocketAddr) -> Result<Self> {
        Self::start(address, Manner::Greet).await
    }

    async fn start(address: SocketAddr, manner: Manner) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                // A client that goes away is its own affair.
                tokio::spawn(async move { serve(stream, manner).await.is_ok() });
            }
        });
        Ok(Self { server: server.abort_handle() })
    }
}

impl Drop for TcpApp {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(mut stream: TcpStream, manner: Manner) -> Result<()> {
    match manner {
        Manner::Reverse => {
            let mut received = Vec::new();
            stream.read_to_end(&mut received).await?;
            received.reverse();
            stream.write_all(&received).await?;
        }
        Manner::Greet => {
            stream.write_all(TcpApp::GREETING).await?;
            let (mut from, mut to) = stream.split();
            tokio::io::copy(&mut from, &mut to).await?;
        }
    }
    Ok(stream.shutdown().await?)
}

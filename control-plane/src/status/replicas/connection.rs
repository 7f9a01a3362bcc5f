//! A connection to one other replica, with this replica's own certificate. It is not made again when it breaks.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::{Channel, Endpoint};
use weft_certs::{tls, verify};

use super::Own;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AskError {
    /// Nobody answers there, or not over TLS.
    #[error("{0}")]
    Io(#[from] io::Error),
    /// It is somebody else.
    #[error(transparent)]
    Peer(#[from] verify::PeerError),
    /// HTTP/2 cannot be begun.
    #[error("{0}")]
    Transport(#[from] tonic::transport::Error),
    /// It refuses, or the connection is broken.
    #[error("{}: {}", .0.code(), .0.message())]
    Refused(Box<tonic::Status>),
    /// Not one receipt for each object.
    #[error("the answer is no answer to the question")]
    Malformed,
    /// It takes too long.
    #[error("no answer within {} s", super::LIMIT.as_secs())]
    Slow,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Connection {
    channel: Channel,
    tls: Arc<ClientConfig>,
}

impl Connection {
    pub(super) async fn open(
        address: SocketAddr,
        tls: Arc<ClientConfig>,
        own: &Own,
    ) -> Result<Self, AskError> {
        let mut stream = Some(TokioIo::new(handshake(address, tls.clone(), own).await?));
        let once = tower::service_fn(move |_: http::Uri| {
            let stream = stream.take();
            std::future::ready(stream.ok_or_else(|| io::Error::other("the connection is lost")))
        });
        let endpoint = Endpoint::from_static("http://replica");
        let channel = Box::pin(endpoint.connect_with_connector(once)).await?;
        Ok(Self { channel, tls })
    }

    /// Was it opened with this configuration?
    pub(super) fn is_with(&self, tls: &Arc<ClientConfig>) -> bool {
        Arc::ptr_eq(&self.tls, tls)
    }

    /// To ask over.
    pub(super) fn channel(&self) -> Channel {
        self.channel.clone()
    }
}

impl From<tonic::Status> for AskError {
    fn from(status: tonic::Status) -> Self {
        Self::Refused(status.into())
    }
}

async fn handshake(
    address: SocketAddr,
    tls: Arc<ClientConfig>,
    own: &Own,
) -> Result<TlsStream<TcpStream>, AskError> {
    let tcp = TcpStream::connect(address).await?;
    tcp.set_nodelay(true)?;
    let name = tls::server_name(&own.identity);
    let stream = TlsConnector::from(tls).connect(name, tcp).await?;
    // A resumed handshake checks nothing.
    let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
    verify::expected_peer(chain, &own.identity, own.clock.now())?;
    Ok(stream)
}

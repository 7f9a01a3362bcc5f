//! The way to the control plane: TCP, TLS 1.3 with our own roots, the server's SPIFFE id checked, HTTP/2, tonic.
//! Used by `identity`, `xds` and the telemetry report; each has a connection of its own.
//!
//! A channel is ONE connection. When it breaks the channel answers errors for ever and its owner asks for
//! another: a silent reconnect would go on with a certificate that has been renewed since.

mod backoff;
#[cfg(test)]
pub(crate) mod fixture;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tonic::transport::{Channel, Endpoint};
use weft_certs::tls::TlsError;
use weft_certs::{Leaf, PeerError, SpiffeId, TrustBundle, verify};

pub(crate) use backoff::{Backoff, random_unit};

use crate::bootstrap::{Bootstrap, Roots};
use crate::identity::Credentials;

/// Limit on resolving, connecting and the handshake together.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A dead peer is noticed after at most the sum of the two.
const PING_INTERVAL: Duration = Duration::from_secs(10);
const PING_TIMEOUT: Duration = Duration::from_secs(5);

/// Where the control plane is, and who must answer there. Cheap to clone.
#[derive(Clone, Debug)]
pub struct ControlPlane(Arc<Place>);

#[derive(Debug)]
struct Place {
    /// `host:port`.
    address: String,
    identity: SpiffeId,
    /// Believed by those who have no credentials yet.
    roots: Roots,
}

/// Why there is no channel.
#[derive(Debug, thiserror::Error)]
pub enum ChannelError {
    /// Nobody answers there.
    #[error("control plane {address}: {source}")]
    Connect {
        /// `host:port`.
        address: String,
        /// What the system said; TLS failures come as `InvalidData`.
        source: std::io::Error,
    },
    /// The connection took longer than 5 s.
    #[error("control plane {0}: no connection within {CONNECT_TIMEOUT:?}")]
    Timeout(String),
    /// Somebody else answers there.
    #[error("control plane {address}: {source}")]
    Peer {
        /// `host:port`.
        address: String,
        /// Who it is instead.
        source: PeerError,
    },
    /// The leaf or the bundle is of no use.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// HTTP/2 could not be set up.
    #[error("control plane: {0}")]
    Transport(#[from] tonic::transport::Error),
}

impl ControlPlane {
    /// As the bootstrap says.
    #[must_use]
    pub fn new(bootstrap: &Bootstrap) -> Self {
        Self(Arc::new(Place {
            address: bootstrap.control_plane.address.clone(),
            identity: bootstrap.control_plane.identity.clone(),
            roots: bootstrap.roots.clone(),
        }))
    }

    /// `host:port`, for people.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// Connects: with `credentials` over mutual TLS, without them as nobody under the bootstrap's roots.
    ///
    /// # Errors
    /// If there is no connection within 5 s, or not the control plane answers.
    pub async fn channel(
        &self,
        credentials: Option<&Credentials>,
    ) -> Result<Channel, ChannelError> {
        match credentials {
            Some(own) => self.connect(Some(&own.leaf), &own.bundle).await,
            None => self.connect(None, &self.0.roots.now()).await,
        }
    }

    /// As [`Self::channel`], for `identity`, whose leaf may be missing or expired.
    pub(crate) async fn connect(
        &self,
        leaf: Option<&Leaf>,
        bundle: &TrustBundle,
    ) -> Result<Channel, ChannelError> {
        let address = &self.0.address;
        let stream = tokio::time::timeout(CONNECT_TIMEOUT, Box::pin(self.handshake(leaf, bundle)))
            .await
            .map_err(|_| ChannelError::Timeout(address.clone()))??;
        let endpoint = Endpoint::from_shared(format!("http://{address}"))?
            .http2_keep_alive_interval(PING_INTERVAL)
            .keep_alive_timeout(PING_TIMEOUT)
            .keep_alive_while_idle(true);
        let mut stream = Some(TokioIo::new(stream));
        let once = tower::service_fn(move |_| {
            let stream = stream.take();
            std::future::ready(stream.ok_or_else(|| std::io::Error::other("connection lost")))
        });
        Ok(Box::pin(endpoint.connect_with_connector(once)).await?)
    }

    async fn handshake(
        &self,
        leaf: Option<&Leaf>,
        bundle: &TrustBundle,
    ) -> Result<TlsStream<TcpStream>, ChannelError> {
        let Place { address, identity, .. } = &*self.0;
        let config = Arc::new(weft_certs::tls::client_config(leaf, bundle, &[b"h2"])?);
        let io = |source| ChannelError::Connect { address: address.clone(), source };
        let tcp = TcpStream::connect(address).await.map_err(io)?;
        tcp.set_nodelay(true).map_err(io)?;
        let name = weft_certs::tls::server_name(identity);
        let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(io)?;
        let chain = stream.get_ref().1.peer_certificates().unwrap_or_default();
        verify::expected_peer(chain, identity, SystemTime::now())
            .map_err(|source| ChannelError::Peer { address: address.clone(), source })?;
        Ok(stream)
    }
}

#[cfg(test)]
mod tests;

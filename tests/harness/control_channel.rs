//! gRPC to a control plane with whatever certificate a test holds, as a proxy, or somebody who claims to be one,
//! would open it.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Result;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tonic::transport::{Channel, Endpoint};
use weft_certs::{Leaf, SpiffeId, TrustBundle, tls};

use super::control_plane::ControlPlane;

/// One connection to `control_plane`, with `leaf` or as nobody.
pub(crate) async fn control_channel(
    control_plane: &ControlPlane,
    leaf: Option<&Leaf>,
) -> Result<Channel> {
    let bundle = control_plane.authority().bundle().clone();
    trusting_channel(control_plane.address(), (&bundle, &control_plane.id()), leaf).await
}

/// One connection to the control plane at `address`, which must prove to be `id` under `bundle`.
pub(crate) async fn trusting_channel(
    address: SocketAddr,
    (bundle, id): (&TrustBundle, &SpiffeId),
    leaf: Option<&Leaf>,
) -> Result<Channel> {
    let config = tls::client_config(leaf, bundle, &[b"h2"])?;
    let stream = TcpStream::connect(address).await?;
    let name = tls::server_name(id);
    let stream = TlsConnector::from(Arc::new(config)).connect(name, stream).await?;
    let mut stream = Some(TokioIo::new(stream));
    let once = tower::service_fn(move |_| {
        let stream = stream.take();
        std::future::ready(stream.ok_or_else(|| std::io::Error::other("connection lost")))
    });
    let endpoint = Endpoint::from_shared(format!("http://{address}"))?;
    Ok(endpoint.connect_with_connector(once).await?)
}

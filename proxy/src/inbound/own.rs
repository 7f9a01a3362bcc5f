//! Calls of an application to itself through its own Service: the endpoint that was chosen is this very workload.
//! Nothing redirects what the proxy sends to its own address, so such a connection would reach the application past
//! this sidecar, with a handshake that it does not understand. Instead it is given to the inbound side here, by a
//! connection over loopback; identity, policy and telemetry are those of any other caller.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;

use tokio::net::{TcpListener, TcpStream};

use super::Interceptor;
use crate::drain;
use crate::io::prepare;

/// The workload as its own peer, on one worker.
#[derive(Debug)]
pub struct Own {
    /// Addresses of this machine, or of this pod.
    pub addresses: Arc<[IpAddr]>,
    /// The receiving side.
    pub inbound: Arc<Interceptor>,
    /// Drain of connections from callers.
    pub drain: drain::Source,
}

impl Own {
    /// Is this an address of the workload itself?
    #[must_use]
    pub fn has(&self, address: SocketAddr) -> bool {
        self.addresses.contains(&address.ip())
    }

    /// A connection to one of its ports. Boxed: it lies on the way to every endpoint and is hardly ever taken, and what
    /// it starts can itself open connections.
    ///
    /// # Errors
    /// As the system says.
    pub fn connect(
        &self,
        address: SocketAddr,
    ) -> Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send + '_>> {
        Box::pin(async move {
            let (near, far) = pair().await?;
            let client = near.local_addr()?;
            let inbound = Arc::new(self.inbound.inbound(address));
            tokio::spawn(inbound.handle_connection(far, client, self.drain.watch()));
            Ok(near)
        })
    }
}

/// Both ends of a connection with ourselves.
async fn pair() -> io::Result<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    let near = TcpStream::connect(listener.local_addr()?).await?;
    let expected = near.local_addr()?;
    loop {
        // Race: whoever else connects meanwhile is not us.
        let (far, peer) = listener.accept().await?;
        if peer == expected {
            prepare(&far);
            return Ok((near, far));
        }
    }
}

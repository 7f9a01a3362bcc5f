//! A cable between control planes and the API server that a test can cut.

use std::net::SocketAddr;

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{JoinHandle, JoinSet};

/// Leads `from` to `to` while it is there, and cuts what it leads when it goes.
pub(super) struct Relay(JoinHandle<()>);

impl Relay {
    /// Begins to.
    pub(super) async fn start(from: SocketAddr, to: SocketAddr) -> Self {
        let listener = TcpListener::bind(from).await.expect("nobody else has the address");
        Self(tokio::spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((mut near, _)) = listener.accept().await {
                connections.spawn(async move {
                    let mut far = TcpStream::connect(to).await?;
                    copy_bidirectional(&mut near, &mut far).await
                });
            }
        }))
    }

    /// Cuts it; when this returns, nobody gets through.
    pub(super) async fn cut(self) {
        self.0.abort();
        // The error says that it was.
        let _ = self.0.await;
    }
}

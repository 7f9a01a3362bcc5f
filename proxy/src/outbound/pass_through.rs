//! Connections to where the mesh does not reach: they go on as they are, to the address that the application chose,
//! counted and logged under a name of their own.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Interceptor;
use crate::drain;
use crate::error::Token;
use crate::io::{Io, prepare, set_reset_on_close};
use crate::relay::{Relayed, relay};
use crate::telemetry::ConnectionEnd;
use crate::telemetry::metrics::Direction;

/// The name of all that lies outside the mesh, in metrics and logs.
pub(crate) const PASSTHROUGH: &str = "passthrough";
/// The application believes that it is connected, so its own limit no longer helps it (Envoy's default in a mesh).
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Interceptor {
    /// Carries one connection to its end. If its destination cannot be reached it is reset, which is the nearest to
    /// what the application would have seen without a sidecar.
    pub(super) async fn pass_through(
        &self,
        stream: TcpStream,
        client: SocketAddr,
        address: SocketAddr,
        watch: &drain::Watch,
    ) {
        let started = Instant::now();
        self.passed.connection_opened(false);
        let relayed = match timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(Ok(upstream)) => {
                prepare(&upstream);
                let (mut stream, mut upstream) = (Io::Plain(stream), Io::Plain(upstream));
                relay(&mut stream, &mut upstream, watch, &self.passed).await
            }
            failed => {
                let token = match failed {
                    Err(_) => Token::ConnectionTimeout,
                    Ok(_) => Token::ConnectionRefused,
                };
                tracing::info!(%client, %address, error = token.as_str(), "passed through in vain");
                set_reset_on_close(&stream, true);
                Relayed { sent: 0, received: 0, error: Some(token) }
            }
        };
        let end = ConnectionEnd {
            direction: Direction::Outbound,
            service: PASSTHROUGH,
            route: "",
            peer_identity: "",
            peer_address: Some(address),
            mtls: false,
            sent: relayed.sent,
            received: relayed.received,
            duration: started.elapsed(),
            error: relayed.error,
            denial: None,
        };
        self.telemetry.finish_connection(&end, &self.passed);
    }
}

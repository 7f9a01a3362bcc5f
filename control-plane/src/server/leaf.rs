//! The port's own certificate: issued by our CA at start, renewed long before its end.
//!
//! A renewal, or other roots, change what new handshakes see and touch no connection. Should the CA fail, the old leaf is
//! kept and asked for again; its end is far enough away for somebody to read the log.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::watch;
use tokio_rustls::rustls::{ClientConfig, ServerConfig};
use weft_certs::tls::{self, ClientAuth, TlsError};
use weft_certs::{IssueError, SpiffeId};

use crate::ca::CertificateAuthority;

/// gRPC is HTTP/2.
const ALPN: [&[u8]; 1] = [b"h2"];
/// The longest sleep: wall-clock time jumps (a suspended machine, a set clock), timers do not.
const LOOK_AT_CLOCK: Duration = Duration::from_secs(30);
/// Between attempts after a failure.
const RETRY: Duration = Duration::from_secs(1);

/// Why the port has no certificate.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LeafError {
    /// The CA failed.
    #[error("the control plane's own certificate: {0}")]
    Issue(#[from] IssueError),
    /// rustls refused it.
    #[error("the control plane's own certificate: {0}")]
    Tls(#[from] TlsError),
}

/// Keeps the configuration of the port's TLS in force, and that of a client with the same certificate.
#[derive(Debug)]
pub(crate) struct ServerLeaf {
    ca: Arc<CertificateAuthority>,
    id: SpiffeId,
    config: watch::Sender<Arc<ServerConfig>>,
    client: watch::Sender<Arc<ClientConfig>>,
    renew_at: SystemTime,
}

/// What is made with one leaf.
struct Issued {
    server: Arc<ServerConfig>,
    client: Arc<ClientConfig>,
    renew_at: SystemTime,
}

impl ServerLeaf {
    /// Issues the first leaf for `id`.
    pub(crate) fn issue(ca: Arc<CertificateAuthority>, id: SpiffeId) -> Result<Self, LeafError> {
        let Issued { server, client, renew_at } = issue(&ca, &id)?;
        let (config, client) = (watch::Sender::new(server), watch::Sender::new(client));
        Ok(Self { ca, id, config, client, renew_at })
    }

    /// The configuration in force.
    pub(crate) fn config(&self) -> watch::Receiver<Arc<ServerConfig>> {
        self.config.subscribe()
    }

    /// The configuration in force with which this replica asks others.
    pub(crate) fn client_config(&self) -> watch::Receiver<Arc<ClientConfig>> {
        self.client.subscribe()
    }

    /// Renews for ever. Cancel: at any time.
    pub(crate) async fn run(mut self) {
        let mut roots = self.ca.roots();
        loop {
            let left = self.renew_at.duration_since(self.ca.now()).unwrap_or(Duration::ZERO);
            if left > Duration::ZERO {
                tokio::select! {
                    () = tokio::time::sleep(left.min(LOOK_AT_CLOCK)) => {}
                    // Whom the port believes, and perhaps who believes it, has changed.
                    Ok(()) = roots.changed() => self.renew_at = SystemTime::UNIX_EPOCH,
                }
                continue;
            }
            match issue(&self.ca, &self.id) {
                Ok(Issued { server, client, renew_at }) => {
                    self.renew_at = renew_at;
                    self.config.send_replace(server);
                    self.client.send_replace(client);
                    tracing::info!("renewed the control plane's own certificate");
                }
                Err(error) => {
                    tracing::error!(%error, "cannot renew; the old one stays in use");
                    tokio::time::sleep(RETRY).await;
                }
            }
        }
    }
}

fn issue(ca: &CertificateAuthority, id: &SpiffeId) -> Result<Issued, LeafError> {
    let (leaf, renew_at) = ca.leaf_for(id)?;
    let bundle = ca.bundle();
    let server = tls::server_config(&leaf, &bundle, ClientAuth::OptionalAllowExpired, &ALPN)?;
    let client = tls::client_config(Some(&leaf), &bundle, &ALPN)?;
    Ok(Issued { server: Arc::new(server), client: Arc::new(client), renew_at })
}

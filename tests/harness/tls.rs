//! A TLS client that looks at what the server does *after* the handshake: in TLS 1.3 a client has finished before the
//! server has judged its certificate, so a client that does not read would take every refusal for a success.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use rustls::crypto::SupportedKxGroup;
use rustls::{ClientConfig, HandshakeKind, NamedGroup};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use weft_certs::{Leaf, SpiffeId, TrustBundle, tls};
use weft_proto::alpn;

use super::{Forged, within};

/// What came of one connection.
#[derive(Debug)]
pub(crate) struct Knock {
    /// Full or resumed; `None` if the handshake failed on this side already.
    pub(crate) handshake: Option<HandshakeKind>,
    /// How both sides came to their secret; `None` as above.
    pub(crate) key_exchange: Option<NamedGroup>,
    /// The response that was read, or how the connection ended without one.
    pub(crate) response: Result<String, String>,
}

impl Knock {
    /// Was it let in?
    pub(crate) fn is_let_in(&self) -> bool {
        self.response.as_ref().is_ok_and(|response| response.starts_with("HTTP/1.1 200"))
    }
}

/// A client with one session store: a second connection of it resumes the first one's session if the server allows
/// it.
#[derive(Clone, Debug)]
pub(crate) struct TlsClient {
    config: Arc<ClientConfig>,
    expected: SpiffeId,
}

impl TlsClient {
    /// Shows `leaf`, if any, to a server that must prove to be `expected` under `bundle`.
    pub(crate) fn new(leaf: Option<&Leaf>, bundle: &TrustBundle, expected: &SpiffeId) -> Self {
        let config = tls::client_config(leaf, bundle, &[alpn::HTTP1]).expect("it is sound");
        Self { config: Arc::new(config), expected: expected.clone() }
    }

    /// The same client, which shows something else.
    pub(crate) fn showing(&self, forged: &Forged) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.client_auth_cert_resolver = forged.shown();
        Self { config: Arc::new(config), expected: self.expected.clone() }
    }

    /// The same client, with these protocols on offer (ALPN).
    pub(crate) fn speaking(&self, protocols: &[&[u8]]) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.alpn_protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
        Self { config: Arc::new(config), expected: self.expected.clone() }
    }

    /// The same client, which says whom it wants (SNI).
    pub(crate) fn with_sni(&self) -> Self {
        let mut config = ClientConfig::clone(&self.config);
        config.enable_sni = true;
        Self { config: Arc::new(config), expected: self.expected.clone() }
    }

    /// Connects, asks for `/`, and reads what comes.
    pub(crate) async fn knock(&self, to: SocketAddr) -> Knock {
        self.knock_after(to, "").await
    }

    /// The same after these first words in plaintext.
    pub(crate) async fn knock_after(&self, to: SocketAddr, words: &str) -> Knock {
        self.say(to, words, KNOCK).await
    }

    /// The same with this request, whose connection must end with it.
    pub(crate) async fn say(&self, to: SocketAddr, words: &str, request: &str) -> Knock {
        let said = self.try_say(to, words, request);
        within("the server says yes or no", Duration::from_secs(15), said).await
    }

    async fn try_say(&self, to: SocketAddr, words: &str, request: &str) -> Knock {
        let connector = TlsConnector::from(Arc::clone(&self.config));
        let mut stream = TcpStream::connect(to).await.expect("the port is open");
        stream.write_all(words.as_bytes()).await.expect("the port is open");
        match connector.connect(tls::server_name(&self.expected), stream).await {
            Err(error) => {
                Knock { handshake: None, key_exchange: None, response: Err(error.to_string()) }
            }
            Ok(mut stream) => {
                let response = ask(&mut stream, request).await.map_err(|error| error.to_string());
                let session = stream.get_ref().1;
                let group = session.negotiated_key_exchange_group();
                let key_exchange = group.map(SupportedKxGroup::name);
                Knock { handshake: session.handshake_kind(), key_exchange, response }
            }
        }
    }
}

/// What is asked where it does not matter what.
const KNOCK: &str = "GET / HTTP/1.1\r\nhost: raw.test\r\nconnection: close\r\n\r\n";

async fn ask(
    stream: &mut tokio_rustls::client::TlsStream<TcpStream>,
    request: &str,
) -> io::Result<String> {
    stream.write_all(request.as_bytes()).await?;
    stream.flush().await?;
    let mut response = Vec::new();
    match stream.read_to_end(&mut response).await {
        // A response may be followed by an end without close_notify.
        Err(error) if response.is_empty() => Err(error),
        _ if response.is_empty() => Err(io::ErrorKind::UnexpectedEof.into()),
        _ => Ok(String::from_utf8_lossy(&response).into_owned()),
    }
}

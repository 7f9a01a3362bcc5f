//! A client at the inbound proxy's door: with the right certificate, a forged one, none, or without TLS. It
//! reads after the handshake, because in TLS 1.3 a client learns only then that its certificate was refused.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use rustls::ClientConfig;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, WebPkiSupportedAlgorithms, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::version::TLS13;
use rustls::{DigitallySignedStruct, Error, SignatureScheme};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

use crate::pattern;
use crate::peer::{HOST, Opaque, Peer};
use crate::pki::{self, Identity};

/// What the door said.
#[derive(Debug)]
pub(super) enum Answer {
    /// The application's response came back.
    Served,
    /// The connection ended, or an error came back.
    Refused(String),
    /// Nothing, for long: neither accepted nor refused.
    Silent,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Served => f.write_str("served"),
            Self::Refused(how) => write!(f, "refused: {how}"),
            Self::Silent => f.write_str("no answer"),
        }
    }
}

/// A listener of the inbound proxy, and what is said at it.
pub(super) struct Door {
    address: SocketAddr,
    alpn: &'static [&'static [u8]],
    request: Vec<u8>,
    /// How the application's answer begins.
    served: Vec<u8>,
}

impl Door {
    /// The one for HTTP/1.1.
    pub(super) fn http(peer: &Peer) -> Self {
        let path = pattern::PATH;
        Self {
            address: peer.inbound_address,
            alpn: peer.alpn,
            request: format!("GET {path} HTTP/1.1\r\nhost: {HOST}\r\n\r\n").into(),
            served: b"HTTP/1.1 200".into(),
        }
    }

    /// The one for opaque bytes, which come back.
    pub(super) fn opaque(opaque: Opaque) -> Self {
        let word = pattern::word();
        let request = [b"e", &word[..]].concat();
        Self { address: opaque.inbound, alpn: opaque.alpn, request, served: word.into() }
    }
}

/// Sends a request to the inbound proxy: in plaintext, or in TLS with or without a certificate.
pub(super) async fn knock(door: &Door, tls: Option<Option<&Identity>>) -> Result<Answer> {
    let connector = match tls {
        Some(identity) => Some(connector(identity, door.alpn)?),
        None => None,
    };
    let talk = async {
        let stream = TcpStream::connect(door.address).await?;
        match connector {
            None => request(stream, &door.request).await,
            Some(connector) => {
                let name = ServerName::try_from(HOST).map_err(std::io::Error::other)?;
                request(connector.connect(name, stream).await?, &door.request).await
            }
        }
    };
    Ok(match timeout(Duration::from_secs(5), talk).await {
        Err(_) => Answer::Silent,
        Ok(Err(error)) => Answer::Refused(error.to_string()),
        Ok(Ok(answer)) if answer.starts_with(&door.served) => Answer::Served,
        Ok(Ok(answer)) if answer.is_empty() => Answer::Refused("closed".to_owned()),
        Ok(Ok(answer)) if answer.starts_with(b"HTTP/1.1 ") => {
            let text = String::from_utf8_lossy(&answer);
            Answer::Refused(text.lines().next().unwrap_or_default().to_owned())
        }
        Ok(Ok(_)) => Answer::Refused("not what the application answers".to_owned()),
    })
}

async fn request<S: AsyncRead + AsyncWrite + Unpin>(
    mut stream: S,
    request: &[u8],
) -> std::io::Result<Vec<u8>> {
    stream.write_all(request).await?;
    stream.flush().await?;
    let mut answer = vec![0; 1024];
    let length = stream.read(&mut answer).await?;
    answer.truncate(length);
    Ok(answer)
}

fn connector(identity: Option<&Identity>, alpn: &[&[u8]]) -> Result<TlsConnector> {
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    Ok(TlsConnector::from(Arc::new(connector_with(provider, identity, alpn)?)))
}

/// A client that shows `identity`, if any, and takes every server.
pub(crate) fn connector_with(
    provider: CryptoProvider,
    identity: Option<&Identity>,
    alpn: &[&[u8]],
) -> Result<ClientConfig> {
    let provider = Arc::new(provider);
    let anybody = Arc::new(Anybody(provider.signature_verification_algorithms));
    let config = builder(provider)?.dangerous().with_custom_certificate_verifier(anybody);
    let mut config = match identity {
        None => config.with_no_client_auth(),
        Some(identity) => config
            .with_client_auth_cert(pki::chain(&identity.certificate)?, pki::key(&identity.key)?)?,
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    Ok(config)
}

fn builder(
    provider: Arc<CryptoProvider>,
) -> Result<rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>> {
    Ok(ClientConfig::builder_with_provider(provider).with_protocol_versions(&[&TLS13])?)
}

/// Accepts every server: here only the server's judgement of the client counts.
#[derive(Debug)]
struct Anybody(WebPkiSupportedAlgorithms);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &CertificateDer<'_>,
        _: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        Err(Error::General("TLS 1.2 is not offered".to_owned()))
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.0)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_schemes()
    }
}

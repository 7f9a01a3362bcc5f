//! A connection to a collector: TCP, and TLS on it where the endpoint is `https://`. Used by [`super::otlp`] alone.
//!
//! Who answers has to show a certificate for the endpoint's host, by one of those who are believed: the mesh's
//! configuration names them, else the environment's file, else the system. Files are read for each connection, so that
//! what renews them need not tell us. It must never fall back to plaintext.

mod verifier;

use std::io;
use std::path::Path;
use std::sync::Arc;

use http::Uri;
use http::uri::Scheme;
use hyper_util::rt::TokioIo;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use self::verifier::Verifier;
use super::settings::Tls;

/// Bound: bytes of a file of certificates. A system's are about 250 KB.
const MAX_FILE: u64 = 4 << 20;

/// Bytes both ways.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Stream for S {}

/// The way to one collector. Cheap to clone.
#[derive(Clone, Debug)]
pub(super) struct Way(Arc<Place>);

#[derive(Debug)]
struct Place {
    /// `host:port`.
    address: String,
    tls: Option<Secured>,
}

#[derive(Debug)]
struct Secured {
    name: ServerName<'static>,
    /// What the environment says.
    tls: Tls,
    /// Whom the mesh's configuration believes, as PEM.
    authorities: Option<String>,
    protocol: &'static [u8],
}

impl Way {
    /// To the host of `uri`, to speak `protocol` (ALPN) there.
    ///
    /// # Errors
    /// In words, if it is no URL that can be called.
    pub(super) fn new(
        uri: &Uri,
        authorities: Option<&str>,
        tls: &Tls,
        protocol: &'static [u8],
    ) -> Result<Self, String> {
        let host = uri.host().filter(|host| !host.is_empty()).ok_or("the URL has no host")?;
        let is_secure = match uri.scheme() {
            Some(scheme) if *scheme == Scheme::HTTP => false,
            Some(scheme) if *scheme == Scheme::HTTPS => true,
            _ => return Err("only http:// and https:// are spoken to a collector".to_owned()),
        };
        let port = uri.port_u16().unwrap_or(if is_secure { 443 } else { 80 });
        let secured = || {
            // An address of IPv6 has brackets in a URL.
            let bare = host.trim_start_matches('[').trim_end_matches(']');
            let name = ServerName::try_from(bare.to_owned());
            let name = name.map_err(|_| format!("no certificate can name {host:?}"))?;
            let (tls, authorities) = (tls.clone(), authorities.map(str::to_owned));
            Ok::<_, String>(Secured { name, tls, authorities, protocol })
        };
        let tls = is_secure.then(secured).transpose()?;
        Ok(Self(Arc::new(Place { address: format!("{host}:{port}"), tls })))
    }

    /// `host:port`.
    pub(super) fn address(&self) -> &str {
        &self.0.address
    }

    /// Opens a connection.
    ///
    /// # Errors
    /// There is none; nor is there, where the endpoint is `https://`, to anybody else than that host.
    pub(super) async fn open(self) -> io::Result<TokioIo<Box<dyn Stream>>> {
        let stream = TcpStream::connect(&self.0.address).await?;
        stream.set_nodelay(true)?;
        let stream: Box<dyn Stream> = match &self.0.tls {
            None => Box::new(stream),
            Some(secured) => {
                let config = Arc::new(secured.config().map_err(io::Error::other)?);
                let name = secured.name.clone();
                Box::new(TlsConnector::from(config).connect(name, stream).await?)
            }
        };
        Ok(TokioIo::new(stream))
    }
}

impl Secured {
    fn config(&self) -> Result<ClientConfig, String> {
        let provider = Arc::new(default_provider());
        let algorithms = provider.signature_verification_algorithms;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?;
        let verifier = Verifier::new(self.believed()?, algorithms);
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = self.shown(builder)?;
        config.alpn_protocols = vec![self.protocol.to_vec()];
        Ok(config)
    }

    /// Who signs the certificates of collectors. Of the system's certificates some may be too odd to be read.
    fn believed(&self) -> Result<Believed, String> {
        let (from, found) = match (&self.authorities, &self.tls.authorities) {
            (Some(text), _) => {
                ("the mesh's configuration".to_owned(), certificates(text.as_bytes())?)
            }
            (None, Some(file)) => (file.display().to_string(), certificates(&read(file)?)?),
            (None, None) => {
                let mut roots = RootCertStore::empty();
                roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
                let named = Vec::new();
                return match roots.is_empty() {
                    true => Err("this system has no certificates of authorities".to_owned()),
                    false => Ok(Believed { roots, named }),
                };
            }
        };
        let mut roots = RootCertStore::empty();
        for certificate in &found {
            let added = roots.add(certificate.clone());
            added.map_err(|error| format!("a certificate of {from} is of no use: {error}"))?;
        }
        if roots.is_empty() {
            return Err(format!("{from} has no certificate"));
        }
        Ok(Believed { roots, named: found })
    }

    /// Who we are, if the collector wants to know.
    fn shown(
        &self,
        builder: ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    ) -> Result<ClientConfig, String> {
        let (chain, key) = match (&self.tls.certificate, &self.tls.key) {
            (None, None) => return Ok(builder.with_no_client_auth()),
            (Some(chain), Some(key)) => (certificates(&read(chain)?)?, key),
            _ => return Err("a certificate of our own takes its key too".to_owned()),
        };
        let read = PrivateKeyDer::from_pem_slice(&read(key)?);
        let read = read.map_err(|error| format!("{}: {error}", key.display()))?;
        builder.with_client_auth_cert(chain, read).map_err(|error| error.to_string())
    }
}

/// Who is believed.
#[derive(Debug)]
struct Believed {
    roots: RootCertStore,
    /// Those whom somebody named, not the system: a collector may show one of them itself.
    named: Vec<CertificateDer<'static>>,
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.map_err(|error| format!("not PEM: {error}"))
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    use std::io::Read as _;
    let failed = |error: io::Error| format!("{}: {error}", file.display());
    let mut bytes = Vec::new();
    let opened = std::fs::File::open(file).map_err(failed)?;
    let read = opened.take(MAX_FILE + 1).read_to_end(&mut bytes).map_err(failed)?;
    if read as u64 > MAX_FILE {
        return Err(format!("{}: more than {MAX_FILE} bytes", file.display()));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests;

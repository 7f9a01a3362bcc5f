//! The floor's mTLS: TLS 1.3, P-256 leaves, both sides verified by chain; the server also by DNS name.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result};
use rustls::pki_types::ServerName;
use rustls::server::WebPkiClientVerifier;
use rustls::version::TLS13;
use rustls::{ClientConfig, ServerConfig};
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::{peer, pki};

/// Both directions; each side of the pair uses one.
#[derive(Clone)]
pub(super) struct Configs {
    pub(super) acceptor: TlsAcceptor,
    pub(super) connector: TlsConnector,
    pub(super) server_name: ServerName<'static>,
}

/// Reads the identity and builds both directions from it, with rustls' defaults for sessions and tickets.
pub(super) fn configs(ca: &Path, certificate: &Path, key: &Path) -> Result<Configs> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let roots = Arc::new(pki::roots(ca)?);
    let chain = pki::chain(certificate)?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::clone(&roots), Arc::clone(&provider))
            .build()?;
    let server = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(verifier)
        .with_single_cert(chain.clone(), pki::key(key)?)?;
    let client = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_root_certificates(roots)
        .with_client_auth_cert(chain, pki::key(key)?)?;
    Ok(Configs {
        acceptor: TlsAcceptor::from(Arc::new(server)),
        connector: TlsConnector::from(Arc::new(client)),
        server_name: ServerName::try_from(peer::HOST).context("the host is a DNS name")?,
    })
}

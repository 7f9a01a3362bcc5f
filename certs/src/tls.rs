//! rustls configurations for the mesh: TLS 1.3, both sides by certificate, our roots only.
//!
//! Built by the control plane (its port, and its clients') and by the proxy, once per leaf and trust
//! bundle, then shared by all connections. A new bundle or leaf means a new configuration, and with
//! it new tickets and an empty session store: nothing of an old trust epoch is resumed.
//!
//! What the handshake checks: the chain up to a root of the bundle, its validity, and that the leaf
//! is a workload's; on the client's side also that it is the workload that was called (through
//! [`server_name`]). What the caller still has to do after **every** handshake:
//! [`crate::verify::peer`] or [`crate::verify::expected_peer`], because a resumed handshake checks
//! none of this.

mod reason;
mod sessions;
mod verifier;

use std::sync::Arc;

use aws_lc_rs::digest;
use rustls::client::Resumption;
use rustls::crypto::CryptoProvider;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, DnsName, ServerName};
use rustls::server::VerifierBuilderError;
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::version::TLS13;
use rustls::{CipherSuite, ClientConfig, NamedGroup, ServerConfig};

pub use self::reason::{REASONS, reason};
use self::sessions::Sessions;
use self::verifier::{ClientVerifier, ServerVerifier};
use crate::bundle::TrustBundle;
use crate::denied::Denies;
use crate::key::PrivateKey;
use crate::leaf::Leaf;
use crate::spiffe::SpiffeId;

/// What a server asks of its clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ClientAuth {
    /// A valid certificate. For everything between workloads.
    Required,
    /// A valid certificate or none.
    Optional,
    /// A certificate or none, and one that expired up to [`crate::verify::RENEWAL_GRACE`] ago is let
    /// through. Only for the port of the identity service, which must look at the peer with
    /// [`crate::verify::peer_allow_expired`].
    OptionalAllowExpired,
}

/// How both sides come to a shared secret.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum KeyExchange {
    /// X25519MLKEM768 (draft-ietf-tls-ecdhe-mlkem) where the other side can, so that what is recorded today cannot be read
    /// by a quantum computer one day. It costs about 2.3 KB a handshake. X25519 with those who cannot.
    #[default]
    PreferPostQuantum,
    /// X25519, P-256 and P-384 only.
    Classic,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// rustls refused the leaf, the roots or the provider.
    #[error("TLS cannot be set up: {0}")]
    Rustls(#[from] rustls::Error),
    /// rustls refused the roots.
    #[error("TLS cannot be set up: {0}")]
    Verifier(#[from] VerifierBuilderError),
}

/// A server that shows `leaf` and believes `bundle`. `alpn` in the order of preference; empty means
/// that none is negotiated.
///
/// # Errors
/// If rustls refuses a part of it.
pub fn server_config(
    leaf: &Leaf,
    bundle: &TrustBundle,
    clients: ClientAuth,
    alpn: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    KeyExchange::default().server_config(leaf, bundle, clients, alpn)
}

/// A client that believes `bundle` and shows `leaf`, if it has one yet. Connect with
/// [`server_name`]; any other name is refused in the handshake.
///
/// # Errors
/// If rustls refuses a part of it.
pub fn client_config(
    leaf: Option<&Leaf>,
    bundle: &TrustBundle,
    alpn: &[&[u8]],
) -> Result<ClientConfig, TlsError> {
    KeyExchange::default().client_config(leaf, bundle, alpn)
}

impl KeyExchange {
    /// [`server_config`] with this key exchange.
    ///
    /// # Errors
    /// If rustls refuses a part of it.
    pub fn server_config(
        self,
        leaf: &Leaf,
        bundle: &TrustBundle,
        clients: ClientAuth,
        alpn: &[&[u8]],
    ) -> Result<ServerConfig, TlsError> {
        let shown = shown(leaf.chain().to_vec(), leaf.key())?;
        server(self.provider(), shown, bundle, (clients, None), alpn)
    }

    /// As [`Self::server_config`], for a server of workloads that must not take whom `denies` names: in a full handshake
    /// he is told so by an alert, `certificate_revoked`. A resumed one asks nobody.
    ///
    /// # Errors
    /// If rustls refuses a part of it.
    pub fn denying_server_config(
        self,
        leaf: &Leaf,
        bundle: &TrustBundle,
        denies: Arc<dyn Denies>,
        alpn: &[&[u8]],
    ) -> Result<ServerConfig, TlsError> {
        let shown = shown(leaf.chain().to_vec(), leaf.key())?;
        server(self.provider(), shown, bundle, (ClientAuth::Required, Some(denies)), alpn)
    }

    /// [`client_config`] with this key exchange.
    ///
    /// # Errors
    /// If rustls refuses a part of it.
    pub fn client_config(
        self,
        leaf: Option<&Leaf>,
        bundle: &TrustBundle,
        alpn: &[&[u8]],
    ) -> Result<ClientConfig, TlsError> {
        let shown = leaf.map(|leaf| shown(leaf.chain().to_vec(), leaf.key())).transpose()?;
        client(self.provider(), shown, bundle, alpn)
    }

    /// AES-128 first, as in Envoy: its SHA-256 is an instruction on most processors, the SHA-384 beside AES-256 is not, and
    /// a handshake hashes much.
    fn provider(self) -> Arc<CryptoProvider> {
        // rustls' feature `prefer-post-quantum` puts the hybrid first.
        let mut provider = default_provider();
        provider
            .cipher_suites
            .sort_by_key(|suite| suite.suite() != CipherSuite::TLS13_AES_128_GCM_SHA256);
        if self == Self::Classic {
            provider.kx_groups.retain(|group| group.name() != NamedGroup::X25519MLKEM768);
        }
        Arc::new(provider)
    }
}

/// What one side shows, whoever asks. Not by what rustls would make of a key's bytes: it does not wipe them.
pub(crate) fn shown(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKey,
) -> Result<Arc<SingleCertAndKey>, rustls::Error> {
    let certified = CertifiedKey::new(chain, key.to_rustls()?);
    certified.keys_match()?;
    Ok(Arc::new(certified.into()))
}

fn server(
    provider: Arc<CryptoProvider>,
    shown: Arc<SingleCertAndKey>,
    bundle: &TrustBundle,
    (clients, denies): (ClientAuth, Option<Arc<dyn Denies>>),
    alpn: &[&[u8]],
) -> Result<ServerConfig, TlsError> {
    let verifier = ClientVerifier::new(bundle, clients, denies, &provider)?;
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .with_client_cert_verifier(Arc::new(verifier))
        .with_cert_resolver(shown);
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    // Stateless: a session costs the server no memory. The keys are this configuration's own.
    config.ticketer = Ticketer::new()?;
    // One for the one that a resumed connection has used up. Each is encrypted with the client's chain in it.
    config.send_tls13_tickets = 1;
    Ok(config)
}

fn client(
    provider: Arc<CryptoProvider>,
    shown: Option<Arc<SingleCertAndKey>>,
    bundle: &TrustBundle,
    alpn: &[&[u8]],
) -> Result<ClientConfig, TlsError> {
    let verifier = ServerVerifier::new(bundle, &provider)?;
    let builder = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&TLS13])?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier));
    let mut config = match shown {
        Some(shown) => builder.with_client_cert_resolver(shown),
        None => builder.with_no_client_auth(),
    };
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    config.resumption = Resumption::store(Arc::new(Sessions::default()));
    // The name is a digest that means nothing to the server, and would tell a listener who is called.
    config.enable_sni = false;
    Ok(config)
}

/// The name to connect with in order to reach `expected`: a digest of the id in the form of a DNS
/// name. rustls keeps sessions by this name, so those of different identities never mix, and the
/// client's verifier compares it with the certificate.
pub fn server_name(expected: &SpiffeId) -> ServerName<'static> {
    let digest = digest::digest(&digest::SHA256, expected.as_str().as_bytes());
    let hex: String = digest.as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
    let (left, right) = hex.split_at(32);
    let name = DnsName::try_from(format!("{left}.{right}.weft"))
        .expect("two labels of 32 hexadecimal digits and one word are a DNS name");
    ServerName::DnsName(name)
}

#[cfg(test)]
mod tests;

//! The certificate checks inside a full handshake: webpki for the chain, ours for the name.
//!
//! Called by rustls only. A refusal here is told to the other side by an alert; the same questions
//! are asked again after the handshake by `verify`, which resumed connections pass as well.

use std::fmt;
use std::sync::Arc;
use std::time::SystemTime;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_cert_signed_by_trust_anchor;
use rustls::crypto::{
    CryptoProvider, WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature,
};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::server::{ParsedCertificate, WebPkiClientVerifier};
use rustls::{
    CertificateError as TlsCertificateError, DigitallySignedStruct, DistinguishedName, Error,
    OtherError, RootCertStore, SignatureScheme,
};

use super::{ClientAuth, TlsError, server_name};
use crate::bundle::TrustBundle;
use crate::clock;
use crate::denied::Denies;
use crate::leaf::MAX_CHAIN;
use crate::spiffe::SpiffeId;
use crate::verify::within_grace;
use crate::x509::{Certificate, CertificateError};

/// The client's check of a server.
#[derive(Debug)]
pub(super) struct ServerVerifier {
    roots: RootCertStore,
    algorithms: WebPkiSupportedAlgorithms,
}

/// The server's check of a client.
#[derive(Debug)]
pub(super) struct ClientVerifier {
    webpki: Arc<dyn ClientCertVerifier>,
    allow_expired: bool,
    denies: Option<Arc<dyn Denies>>,
}

/// The server is a workload of ours, but not the one that was called.
#[derive(Debug, thiserror::Error)]
#[error("the server is {0}, which is not the workload that was called")]
struct WrongServer(SpiffeId);

/// More certificates than a chain of ours has.
#[derive(Debug, thiserror::Error)]
#[error("the chain has {0} certificates, at most {MAX_CHAIN} are looked at")]
struct TooLong(usize);

impl ServerVerifier {
    pub(super) fn new(bundle: &TrustBundle, provider: &CryptoProvider) -> Result<Self, TlsError> {
        let algorithms = provider.signature_verification_algorithms;
        Ok(Self { roots: bundle.to_store()?, algorithms })
    }
}

impl ServerCertVerifier for ServerVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        check_length(intermediates)?;
        let leaf = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.algorithms.all;
        verify_server_cert_signed_by_trust_anchor(
            &leaf,
            &self.roots,
            intermediates,
            now,
            algorithms,
        )?;
        let id = workload(end_entity)?;
        if server_name(&id) == *name {
            Ok(ServerCertVerified::assertion())
        } else {
            Err(refuse(WrongServer(id), "wrong_identity"))
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(message, certificate, signature, &self.algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(message, certificate, signature, &self.algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.algorithms.supported_schemes()
    }
}

impl ClientVerifier {
    pub(super) fn new(
        bundle: &TrustBundle,
        clients: ClientAuth,
        denies: Option<Arc<dyn Denies>>,
        provider: &Arc<CryptoProvider>,
    ) -> Result<Self, TlsError> {
        let roots = Arc::new(bundle.to_store()?);
        // No hints: our clients have one certificate, and the names would only make the handshake
        // longer.
        let builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone())
            .clear_root_hint_subjects();
        let builder = match clients {
            ClientAuth::Required => builder,
            ClientAuth::Optional | ClientAuth::OptionalAllowExpired => {
                builder.allow_unauthenticated()
            }
        };
        let allow_expired = clients == ClientAuth::OptionalAllowExpired;
        Ok(Self { webpki: builder.build()?, allow_expired, denies })
    }

    /// Whether all is well but for the leaf, which ended within the grace: the chain must have been
    /// good in the leaf's last second, and the rest of it still be valid now.
    fn verify_but_for_expiry(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let expired = || Error::InvalidCertificate(TlsCertificateError::Expired);
        let not_after = parse(end_entity)?.not_after();
        let now = clock::system(i64::try_from(now.as_secs()).unwrap_or(i64::MAX));
        if !within_grace(not_after, now) {
            return Err(expired());
        }
        for intermediate in intermediates {
            if parse(intermediate)?.not_after() < now {
                return Err(expired());
            }
        }
        let end = not_after.duration_since(SystemTime::UNIX_EPOCH).map_err(|_| expired())?;
        self.webpki.verify_client_cert(end_entity, intermediates, UnixTime::since_unix_epoch(end))
    }
}

impl ClientCertVerifier for ClientVerifier {
    fn offer_client_auth(&self) -> bool {
        self.webpki.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.webpki.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.webpki.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        check_length(intermediates)?;
        let verified = match self.webpki.verify_client_cert(end_entity, intermediates, now) {
            Err(Error::InvalidCertificate(
                TlsCertificateError::Expired | TlsCertificateError::ExpiredContext { .. },
            )) if self.allow_expired => self.verify_but_for_expiry(end_entity, intermediates, now),
            other => other,
        }?;
        let leaf = parse(end_entity)?;
        let id = leaf.workload().map_err(unfit)?;
        match self.denies.as_ref().and_then(|denies| denies.denial(&id, &leaf.serial())) {
            Some(_) => Err(Error::InvalidCertificate(TlsCertificateError::Revoked)),
            None => Ok(verified),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.webpki.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.webpki.supported_verify_schemes()
    }
}

fn parse<'a>(certificate: &'a CertificateDer<'_>) -> Result<Certificate<'a>, Error> {
    Certificate::parse(certificate).map_err(unfit)
}

fn workload(leaf: &CertificateDer<'_>) -> Result<SpiffeId, Error> {
    parse(leaf)?.workload().map_err(unfit)
}

/// A chain that is longer than any of ours is not looked at: each certificate in it costs work.
fn check_length(intermediates: &[CertificateDer<'_>]) -> Result<(), Error> {
    match 1 + intermediates.len() {
        fine if fine <= MAX_CHAIN => Ok(()),
        long => Err(refuse(TooLong(long), "chain_too_long")),
    }
}

/// A reason as rustls carries it. rustls prints such a one by `Debug`, so that has to be readable.
#[derive(thiserror::Error)]
#[error("{error}")]
pub(super) struct Refusal {
    error: Box<dyn std::error::Error + Send + Sync>,
    word: &'static str,
}

impl Refusal {
    /// See [`super::REASONS`].
    pub(super) fn word(&self) -> &'static str {
        self.word
    }
}

impl fmt::Debug for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.error, f)
    }
}

fn unfit(reason: CertificateError) -> Error {
    let word = reason.word();
    refuse(reason, word)
}

fn refuse(reason: impl std::error::Error + Send + Sync + 'static, word: &'static str) -> Error {
    let refusal = Refusal { error: Box::new(reason), word };
    Error::InvalidCertificate(TlsCertificateError::Other(OtherError(Arc::new(refusal))))
}

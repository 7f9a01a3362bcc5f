//! The check of a collector's certificate: rustls's own, and one case more. Called by rustls only.
//!
//! Who runs a collector on a certificate that it has signed itself names that very certificate as the one to believe. Most
//! tools make such a certificate one of an authority, which rustls takes from nobody as his own.

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{WebPkiSupportedAlgorithms, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

use super::Believed;

/// See the module.
#[derive(Debug)]
pub(super) struct Verifier {
    believed: Believed,
    algorithms: WebPkiSupportedAlgorithms,
}

impl Verifier {
    pub(super) fn new(believed: Believed, algorithms: WebPkiSupportedAlgorithms) -> Self {
        Self { believed, algorithms }
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let leaf = ParsedCertificate::try_from(end_entity)?;
        let (roots, all) = (&self.believed.roots, self.algorithms.all);
        let chain =
            verify_server_cert_signed_by_trust_anchor(&leaf, roots, intermediates, now, all);
        match chain {
            // Order: its time was judged before what it may be used for.
            Err(Error::InvalidCertificate(CertificateError::Other(_)))
                if self.believed.named.iter().any(|one| one == end_entity) => {}
            chain => chain?,
        }
        verify_server_name(&leaf, name)?;
        Ok(ServerCertVerified::assertion())
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

//! Certificates for servers that programs outside the mesh call by a DNS name, each under a CA of its own.
//!
//! Used by the control plane's admission webhook. The caller is told which CA to believe, so that CA need not outlive
//! its one signature: its key is thrown away. Such a certificate is no identity of the mesh and is believed by nobody in it.

use std::fmt;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer,
    KeyUsagePurpose, SanType,
};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs as provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::SectionKind;
use rustls::version::TLS13;
use zeroize::Zeroizing;

use crate::authority::template::{self, BACKDATED};
use crate::clock;
use crate::key::{KeyError, PrivateKey};
use crate::pem::{self, PemError};
use crate::tls::{self, TlsError};
use crate::x509::{Certificate, CertificateError};

/// A server's certificate with its key.
#[derive(Clone)]
pub struct ServingCertificate {
    certificate: CertificateDer<'static>,
    key: PrivateKey,
}

/// CA certificates that a client is told to believe, the newest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServingAuthorities(Vec<CertificateDer<'static>>);

/// Why there is no such certificate.
#[derive(Debug, thiserror::Error)]
pub enum ServingError {
    /// The key could not be made or read.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The text is not PEM of the right sections.
    #[error("the serving certificate cannot be read: {0}")]
    Pem(#[from] PemError),
    /// A certificate could not be read.
    #[error(transparent)]
    Certificate(#[from] CertificateError),
    /// The library could not write a certificate.
    #[error("a serving certificate cannot be made: {0}")]
    Make(#[from] rcgen::Error),
    /// A time that no certificate can express.
    #[error("the serving certificate's validity cannot be expressed")]
    Validity,
    /// The key is another one than the certificate's.
    #[error("the private key does not belong to the serving certificate")]
    KeyMismatch,
}

impl ServingCertificate {
    /// A new certificate for `names`, valid from a minute before `now` for `life`, and the CA that signed it and nothing
    /// else.
    ///
    /// # Errors
    /// If the system gives no randomness, a name is no DNS name, or the time cannot be expressed.
    pub fn create(
        names: &[String],
        life: Duration,
        now: SystemTime,
    ) -> Result<(Self, ServingAuthorities), ServingError> {
        let start = clock::unix(now) - BACKDATED;
        let end = start.saturating_add(i64::try_from(life.as_secs()).unwrap_or(i64::MAX));
        let authority_key = PrivateKey::generate()?;
        let params = authority(start, end)?;
        let authority: CertificateDer<'static> = params.self_signed(authority_key.pair())?.into();
        let issuer = Issuer::new(params, authority_key.pair());
        let key = PrivateKey::generate()?;
        let certificate = leaf(names, start, end)?.signed_by(key.pair(), &issuer)?.into();
        Ok((Self { certificate, key }, ServingAuthorities(vec![authority])))
    }

    /// Reads one certificate and its key.
    ///
    /// # Errors
    /// If they are anything else, or do not belong together.
    pub fn from_pem(certificate: &str, key: &str) -> Result<Self, ServingError> {
        let sections = pem::sections(certificate)?;
        let [(SectionKind::Certificate, der)] = &sections[..] else {
            return Err(pem::unexpected("one certificate", &sections).into());
        };
        let certificate = CertificateDer::from(der.to_vec());
        let key = PrivateKey::from_pem(key)?;
        if Certificate::parse(&certificate)?.public_key_info() != key.public_key_info() {
            return Err(ServingError::KeyMismatch);
        }
        Ok(Self { certificate, key })
    }

    /// The certificate as PEM; nothing secret in it.
    pub fn certificate_pem(&self) -> String {
        pem::certificate(&self.certificate)
    }

    /// The key as PEM. Belongs only where nobody else can read it.
    pub fn key_pem(&self) -> Zeroizing<String> {
        self.key.to_pem()
    }

    /// The first and the last second at which it is valid.
    ///
    /// # Errors
    /// Never expected: it was read before.
    pub fn validity(&self) -> Result<(SystemTime, SystemTime), ServingError> {
        let (start, end) = Certificate::parse(&self.certificate)?.validity();
        Ok((clock::system(start), clock::system(end)))
    }

    /// Whether it is for all of `names`.
    ///
    /// # Errors
    /// As [`Self::validity`].
    pub fn is_for(&self, names: &[String]) -> Result<bool, ServingError> {
        let known = Certificate::parse(&self.certificate)?.dns_names()?;
        Ok(names.iter().all(|name| known.contains(name)))
    }

    /// A server that shows it to anybody and asks for no certificate, over TLS 1.3 only, whatever else is linked in.
    ///
    /// # Errors
    /// If rustls refuses it.
    pub fn server_config(&self) -> Result<ServerConfig, TlsError> {
        let mut config = ServerConfig::builder_with_provider(provider::default_provider().into())
            .with_protocol_versions(&[&TLS13])?
            .with_no_client_auth()
            .with_cert_resolver(tls::shown(vec![self.certificate.clone()], &self.key)?);
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

impl ServingAuthorities {
    /// Reads any number of CA certificates.
    ///
    /// # Errors
    /// If the text holds anything else.
    pub fn from_pem(text: &str) -> Result<Self, ServingError> {
        let sections = pem::sections(text)?;
        let ders = sections.iter().map(|(kind, der)| match kind {
            SectionKind::Certificate => Ok(CertificateDer::from(der.to_vec())),
            _ => Err(pem::unexpected("certificates", &sections)),
        });
        let authorities: Vec<_> = ders.collect::<Result<_, _>>()?;
        for authority in &authorities {
            Certificate::parse(authority)?;
        }
        Ok(Self(authorities))
    }

    /// As PEM.
    pub fn to_pem(&self) -> String {
        self.0.iter().map(|authority| pem::certificate(authority)).collect()
    }

    /// Whether one of them signed `certificate`.
    pub fn signed(&self, certificate: &ServingCertificate) -> bool {
        let Ok(leaf) = Certificate::parse(&certificate.certificate) else { return false };
        let mut authorities = self.0.iter().flat_map(Certificate::parse);
        authorities.any(|authority| leaf.is_signed_by(&authority))
    }

    /// These, and after them those of `earlier` that are valid at `now`; at most `most`.
    #[must_use]
    pub fn followed_by(mut self, earlier: Self, now: SystemTime, most: usize) -> Self {
        let now = clock::unix(now);
        let valid = |der: &CertificateDer<'_>| {
            Certificate::parse(der).is_ok_and(|authority| authority.validity().1 >= now)
        };
        self.0.extend(earlier.0.into_iter().filter(|der| valid(der)));
        self.0.truncate(most);
        self
    }
}

fn authority(start: i64, end: i64) -> Result<CertificateParams, ServingError> {
    let mut params = template::validity(start, end).ok_or(ServingError::Validity)?;
    let serial = template::serial()?;
    // CAs that follow each other have different names: clients find an issuer by its name.
    let tag: String = serial.to_bytes().iter().take(4).map(|byte| format!("{byte:02x}")).collect();
    params.distinguished_name.push(DnType::OrganizationName, "Weft");
    params.distinguished_name.push(DnType::CommonName, format!("Weft webhook CA {tag}"));
    params.serial_number = Some(serial);
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    Ok(params)
}

fn leaf(names: &[String], start: i64, end: i64) -> Result<CertificateParams, ServingError> {
    let mut params = template::validity(start, end).ok_or(ServingError::Validity)?;
    params.distinguished_name.push(DnType::OrganizationName, "Weft");
    params.distinguished_name.push(DnType::CommonName, "Weft webhook");
    let names = names.iter().map(|name| Ok(SanType::DnsName(name.as_str().try_into()?)));
    params.subject_alt_names = names.collect::<Result<_, rcgen::Error>>()?;
    params.serial_number = Some(template::serial()?);
    params.is_ca = IsCa::ExplicitNoCa;
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
    params.use_authority_key_identifier_extension = true;
    Ok(params)
}

impl fmt::Debug for ServingCertificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let validity = self.validity().map(|(start, end)| (clock::show(start), clock::show(end)));
        f.debug_struct("ServingCertificate")
            .field("validity", &validity.ok())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;

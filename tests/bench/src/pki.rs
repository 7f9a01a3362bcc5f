//! Certificates for the peers that have no CA of their own, and forged ones for the tests of refusal: P-256,
//! a SPIFFE id and a DNS name each, distinct subjects (Envoy rejects a chain in which CA and leaf share one).
//! Everything lies in the run's temporary directory and dies with it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType,
};
use rustls::RootCertStore;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};

/// A certificate chain and its key, as files that any proxy can be pointed at.
#[derive(Clone, Debug)]
pub(crate) struct Identity {
    pub(crate) certificate: PathBuf,
    pub(crate) key: PathBuf,
    /// Chain and key in one file, as haproxy wants it.
    pub(crate) combined: PathBuf,
}

/// Whom a certificate is for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Subject<'a> {
    pub(crate) spiffe_id: &'a str,
    pub(crate) dns_name: &'a str,
}

/// A certification authority of this run.
pub(crate) struct Authority {
    dir: PathBuf,
    issuer: Issuer<'static, KeyPair>,
    pub(crate) certificate: PathBuf,
}

impl Authority {
    /// Makes a CA whose files, and whose leaves' files, lie in `dir`.
    pub(crate) fn create(dir: &Path, name: &str) -> Result<Self> {
        fs::create_dir_all(dir)?;
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "weft-bench");
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        let key = KeyPair::generate()?;
        let certificate = dir.join(format!("{name}.pem"));
        fs::write(&certificate, params.self_signed(&key)?.pem())?;
        Ok(Self { dir: dir.to_owned(), issuer: Issuer::new(params, key), certificate })
    }

    /// Makes a leaf for `subject`, in files called `name`.
    pub(crate) fn issue(&self, name: &str, subject: Subject<'_>) -> Result<Identity> {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::OrganizationName, "weft-bench");
        params.distinguished_name.push(DnType::CommonName, subject.dns_name);
        params.subject_alt_names = vec![
            SanType::URI(subject.spiffe_id.try_into()?),
            SanType::DnsName(subject.dns_name.try_into()?),
        ];
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate()?;
        let chain = params.signed_by(&key, &self.issuer)?.pem();
        let key = key.serialize_pem();
        let file = |suffix: &str| self.dir.join(format!("{name}.{suffix}"));
        let identity =
            Identity { certificate: file("pem"), key: file("key"), combined: file("combined.pem") };
        fs::write(&identity.certificate, &chain)?;
        fs::write(&identity.key, &key)?;
        fs::write(&identity.combined, chain + &key)?;
        Ok(identity)
    }
}

/// The certificates of a PEM file, as trust anchors.
pub(crate) fn roots(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(file)? {
        roots.add(certificate)?;
    }
    Ok(roots)
}

/// The certificates of a PEM file, in order.
pub(crate) fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read = || CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>();
    read().with_context(|| format!("cannot read certificates from {}", file.display()))
}

/// The first private key of a PEM file.
pub(crate) fn key(file: &Path) -> Result<PrivateKeyDer<'static>> {
    PrivateKeyDer::from_pem_file(file)
        .with_context(|| format!("cannot read a private key from {}", file.display()))
}

//! Certificates that no CA of a mesh would issue, signed with its own key all the same.

use std::fs;
use std::sync::Arc;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyPair, KeyUsagePurpose, SanType,
};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};

use super::ControlPlane;

/// Has the issuing certificate of a mesh, and its key.
pub(crate) struct Forger {
    issuing: CertificateDer<'static>,
    key: KeyPair,
}

/// What one side of a handshake shows.
#[derive(Clone, Debug)]
pub(crate) struct Forged {
    chain: Vec<CertificateDer<'static>>,
    key: Arc<PrivateKeyDer<'static>>,
}

impl Forged {
    /// For rustls, of either side.
    pub(crate) fn shown(&self) -> Arc<SingleCertAndKey> {
        let key = rustls::crypto::aws_lc_rs::sign::any_supported_type(&self.key);
        let certified = CertifiedKey::new(self.chain.clone(), key.expect("it is a P-256 key"));
        Arc::new(SingleCertAndKey::from(certified))
    }

    /// The leaf.
    pub(crate) fn leaf(&self) -> &CertificateDer<'static> {
        &self.chain[0]
    }
}

impl Forger {
    /// Takes the issuing certificate and its key from where the control plane keeps its CA.
    pub(crate) fn of(control_plane: &ControlPlane) -> Self {
        let file = control_plane.state_dir().join("ca/authority.pem");
        let text = fs::read(file).expect("the CA is kept there");
        let certificates = CertificateDer::pem_slice_iter(&text).map(Result::unwrap);
        let keys: Vec<_> = PrivateKeyDer::pem_slice_iter(&text).map(Result::unwrap).collect();
        let issues = |certificate: &CertificateDer<'_>| {
            let name = b"Weft issuing";
            let subject = certificate.windows(name.len()).filter(|bytes| bytes == name);
            subject.count() == 1
        };
        let issuing = certificates.filter(|one| issues(one)).last().expect("one issues leaves");
        let pairs = keys.into_iter().map(|key| KeyPair::try_from(&key).unwrap());
        let is_its = |pair: &KeyPair| {
            let public = pair.public_key_raw();
            issuing.windows(public.len()).any(|bytes| bytes == public)
        };
        let mut pairs = pairs.filter(is_its);
        let key = pairs.next().expect("its key is beside it");
        Self { issuing, key }
    }

    /// A leaf for `uri` like an honest one, but for what `change` does to it.
    pub(crate) fn leaf(&self, uri: &str, change: impl FnOnce(&mut CertificateParams)) -> Forged {
        let issuer = Issuer::from_ca_cert_der(&self.issuing, &self.key).expect("it is a CA's");
        Self::signed(&issuer, vec![self.issuing.clone()], uri, change)
    }

    /// An honest leaf at the end of a chain of so many certificates.
    pub(crate) fn deep(&self, uri: &str, length: usize) -> Forged {
        let mut above = vec![self.issuing.clone()];
        let key = KeyPair::from_pem(&self.key.serialize_pem()).expect("it was written just now");
        let mut issuer = Issuer::from_ca_cert_der(&self.issuing, key).expect("it is a CA's");
        while above.len() + 1 < length {
            let mut params = CertificateParams::default();
            params.distinguished_name = named(&format!("link {}", above.len()));
            params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
            params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            let key = KeyPair::generate().unwrap();
            above.insert(0, params.signed_by(&key, &issuer).unwrap().into());
            issuer = Issuer::new(params, key);
        }
        Self::signed(&issuer, above, uri, |_| {})
    }

    fn signed<S: rcgen::SigningKey>(
        issuer: &Issuer<'_, S>,
        above: Vec<CertificateDer<'static>>,
        uri: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Forged {
        let mut params = CertificateParams::default();
        params.distinguished_name = named("workload, see URI SAN");
        params.subject_alt_names = vec![san(uri)];
        params.is_ca = IsCa::ExplicitNoCa;
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        (params.not_before, params.not_after) =
            (rcgen::date_time_ymd(2020, 1, 1), rcgen::date_time_ymd(2099, 1, 1));
        change(&mut params);
        let key = KeyPair::generate().expect("there is randomness");
        let leaf = params.signed_by(&key, issuer).expect("it can be written").into();
        let chain = [leaf].into_iter().chain(above).collect();
        let der = PrivateKeyDer::try_from(key.serialize_der()).expect("it is PKCS #8");
        Forged { chain, key: Arc::new(der) }
    }
}

/// A URI among the alternative names.
pub(crate) fn san(uri: &str) -> SanType {
    SanType::URI(uri.try_into().expect("it is ASCII"))
}

/// A subject of this common name.
pub(crate) fn named(name: &str) -> DistinguishedName {
    let mut subject = DistinguishedName::new();
    subject.push(DnType::CommonName, name);
    subject
}

//! What the tests of this crate share: a CA whose key is at hand, so that it can also sign what the
//! real one never would.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa,
    Issuer, KeyUsagePurpose, SanType,
};
use rustls::pki_types::CertificateDer;

use crate::{Authority, Leaf, PrivateKey, SpiffeId, TrustBundle, TrustDomain, clock};

pub(crate) const MINUTE: Duration = Duration::from_secs(60);
pub(crate) const DAY: Duration = Duration::from_secs(24 * 3600);

pub(crate) fn domain() -> TrustDomain {
    "demo.local".parse().unwrap()
}

/// `spiffe://demo.local/ns/shop/sa/<account>`
pub(crate) fn shop(account: &str) -> SpiffeId {
    SpiffeId::workload(&domain(), "shop", account).unwrap()
}

/// A fixed time for everything that takes the time as an argument: 2025-06-15T12:00:00Z.
pub(crate) fn noon() -> SystemTime {
    clock::system(1_749_988_800)
}

/// A CA for `demo.local` and what it takes to sign beside it.
pub(crate) struct Ca {
    pub(crate) authority: Authority,
    issuing: CertificateDer<'static>,
    pub(crate) key: PrivateKey,
    root_key: PrivateKey,
}

impl Ca {
    /// Root and issuing certificate are valid from a year before `now` to a year after.
    pub(crate) fn new(now: SystemTime) -> Self {
        let root_key = PrivateKey::generate().unwrap();
        let root = Self::params("root", now).self_signed(root_key.pair()).unwrap().into();
        Self::under(root, root_key, now)
    }

    /// Another issuing certificate under the same root, a year around another `now`.
    pub(crate) fn sibling(&self, now: SystemTime) -> Self {
        Self::under(self.bundle().ders()[0].clone(), self.root_key.clone(), now)
    }

    /// The root's key under another name.
    pub(crate) fn renamed_root(&self, now: SystemTime) -> TrustBundle {
        let root = Self::params("other", now).self_signed(self.root_key.pair()).unwrap();
        TrustBundle::from_der([root.into()]).unwrap()
    }

    fn under(root: CertificateDer<'static>, root_key: PrivateKey, now: SystemTime) -> Self {
        let key = PrivateKey::generate().unwrap();
        let issuer = Issuer::from_ca_cert_der(&root, root_key.pair()).unwrap();
        let issuing = Self::params("issuing", now).signed_by(key.pair(), &issuer).unwrap();
        let issuing = CertificateDer::from(issuing);
        let bundle = TrustBundle::from_der([root]).unwrap();
        let signer = Arc::new(key.clone());
        let authority = Authority::with_signer(&domain(), bundle, issuing.clone(), signer).unwrap();
        Self { authority, issuing, key, root_key }
    }

    fn params(name: &str, now: SystemTime) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.subject_alt_names = vec![uri("spiffe://demo.local")];
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.not_before = clock::calendar(clock::unix(now - 365 * DAY)).unwrap();
        params.not_after = clock::calendar(clock::unix(now + 365 * DAY)).unwrap();
        params
    }

    pub(crate) fn bundle(&self) -> &TrustBundle {
        self.authority.bundle()
    }

    /// An honest leaf that is valid for a day from `now`.
    pub(crate) fn leaf(&self, account: &str, now: SystemTime) -> Leaf {
        self.authority.leaf_for(&shop(account), DAY, now).unwrap()
    }

    /// A leaf like an honest one at `now`, but for what `change` does to it.
    pub(crate) fn odd(
        &self,
        now: SystemTime,
        change: impl FnOnce(&mut CertificateParams),
    ) -> (Vec<CertificateDer<'static>>, PrivateKey) {
        let mut params = CertificateParams::default();
        params.subject_alt_names = vec![uri(shop("odd").as_str())];
        params.is_ca = IsCa::ExplicitNoCa;
        params.extended_key_usages =
            vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        params.not_before = clock::calendar(clock::unix(now - MINUTE)).unwrap();
        params.not_after = clock::calendar(clock::unix(now + DAY)).unwrap();
        change(&mut params);
        let issuer = Issuer::from_ca_cert_der(&self.issuing, self.key.pair()).unwrap();
        let key = PrivateKey::generate().unwrap();
        let leaf = params.signed_by(key.pair(), &issuer).unwrap().into();
        (vec![leaf, self.issuing.clone()], key)
    }
}

pub(crate) fn uri(uri: &str) -> SanType {
    SanType::URI(uri.try_into().unwrap())
}

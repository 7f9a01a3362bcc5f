//! Secrets as cert-manager makes them, and what is wrong with others. Keys are in the encodings of Go's library.

use std::sync::Arc;
use std::time::SystemTime;

use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256, PKCS_ECDSA_P384_SHA384, SignatureAlgorithm,
};

use super::{ExternalIssuer, IssuerFault};
use crate::testing::{DAY, domain, noon, shop, uri};
use crate::{Authority, Change, Leaf, Lifetimes, RootState, clock, pem, verify};

/// A CA's certificate with its key.
struct Made {
    params: CertificateParams,
    key: KeyPair,
    pem: String,
}

fn params(name: &str, below: Option<u8>) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(match below {
        Some(below) => BasicConstraints::Constrained(below),
        None => BasicConstraints::Unconstrained,
    });
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
    params.not_before = clock::calendar(clock::unix(noon() - DAY)).unwrap();
    params.not_after = clock::calendar(clock::unix(noon() + 90 * DAY)).unwrap();
    params
}

impl Made {
    fn root(params: CertificateParams) -> Self {
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
        let pem = pem::certificate(params.self_signed(&key).unwrap().der());
        Self { params, key, pem }
    }

    fn sign(&self, params: CertificateParams, algorithm: &'static SignatureAlgorithm) -> Self {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = pem::certificate(params.signed_by(&key, &issuer).unwrap().der());
        Self { params, key, pem }
    }

    fn below(&self, name: &str) -> Self {
        self.sign(params(name, Some(0)), &PKCS_ECDSA_P256_SHA256)
    }

    /// As Go's `x509.MarshalECPrivateKey` writes it: the octets within PKCS #8 are SEC 1.
    fn sec1(&self) -> String {
        let pkcs8 = self.key.serialize_der();
        let p384 = self.key.is_compatible(&PKCS_ECDSA_P384_SHA384);
        // The key is the last element: everything behind the algorithm and the head of the octet string.
        let start = pkcs8.windows(3).position(|three| three == [0x02, 0x01, 0x01]).unwrap();
        let head = if p384 { 3 } else { 2 };
        let sec1 = pkcs8[start - head..].to_vec();
        ::pem::encode(&::pem::Pem::new("EC PRIVATE KEY", sec1))
    }
}

fn read(certificate: &str, key: &str, root: &str) -> Result<ExternalIssuer, IssuerFault> {
    ExternalIssuer::from_pem((certificate, key, root), &domain(), noon())
}

#[test]
fn what_cert_manager_makes_is_taken() {
    let root = Made::root(params("root", None));
    let issuer = root.below("issuer");
    let pkcs8 = read(&issuer.pem, &issuer.key.serialize_pem(), &root.pem).unwrap();
    assert_eq!(pkcs8.not_after(), noon() + 90 * DAY);
    // ECDSA keys with `encoding: PKCS1`, its default, are SEC 1.
    let sec1 = read(&issuer.pem, &issuer.sec1(), &root.pem).unwrap();
    assert_eq!(sec1.root(), pkcs8.root());

    let large = root.sign(params("large", Some(0)), &PKCS_ECDSA_P384_SHA384);
    for key in [large.key.serialize_pem(), large.sec1()] {
        read(&large.pem, &key, &root.pem).unwrap();
    }
    // A chain, with and without the root at its end.
    let between = root.sign(params("between", Some(1)), &PKCS_ECDSA_P256_SHA256);
    let last = between.below("last");
    for chain in [last.pem.clone() + &between.pem, last.pem.clone() + &between.pem + &root.pem] {
        read(&chain, &last.key.serialize_pem(), &root.pem).unwrap();
    }
    // A self-signed issuer is its own root.
    read(&root.pem, &root.key.serialize_pem(), &root.pem).unwrap();
    // A root may name the trust domain.
    let mut named = params("named", None);
    named.subject_alt_names = vec![uri("spiffe://demo.local")];
    let named = Made::root(named);
    let issuer = named.below("issuer");
    read(&issuer.pem, &issuer.key.serialize_pem(), &named.pem).unwrap();
}

/// Certificate, key and root; the field that is named, and parts of reason and mending.
type Case = ([String; 3], [&'static str; 3]);

fn assert_faults(cases: Vec<Case>) {
    for ([certificate, key, root], [field, reason, mending]) in cases {
        let fault = read(&certificate, &key, &root).expect_err(reason);
        assert_eq!(fault.field, field, "{fault}");
        assert!(fault.reason.contains(reason), "{reason}: {fault}");
        assert!(fault.mending.contains(mending), "{mending}: {}", fault.mending);
        assert!(!fault.to_string().contains("PRIVATE KEY"), "{fault}");
    }
}

#[test]
fn texts_that_are_something_else_are_named() {
    let root = Made::root(params("root", None));
    let issuer = root.below("issuer");
    let key = issuer.key.serialize_pem();
    let other = Made::root(params("other", None));
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n";
    let ed25519 = KeyPair::generate_for(&rcgen::PKCS_ED25519).unwrap().serialize_pem();
    let texts =
        |certificate: &str, key: &str, root: &str| [certificate, key, root].map(str::to_owned);
    let more = issuer.pem.clone() + &key;
    assert_faults(vec![
        (texts("", &key, &root.pem), ["tls.crt", "no certificate", "wait for"]),
        (texts(&more, &key, &root.pem), ["tls.crt", "more than certificates", "tls.key"]),
        (texts(&issuer.pem, &key, ""), ["ca.crt", "no certificate", "says its root"]),
        (texts(&issuer.pem, &key, &other.pem), ["ca.crt", "none of its certificates", "delete"]),
        (texts(&issuer.pem, "", &root.pem), ["tls.key", "not one private key", "delete"]),
        (texts(&issuer.pem, rsa, &root.pem), ["tls.key", "an RSA key", "ECDSA"]),
        (texts(&issuer.pem, &ed25519, &root.pem), ["tls.key", "no ECDSA", "ECDSA"]),
        (
            texts(&issuer.pem, &other.key.serialize_pem(), &root.pem),
            ["tls.key", "not the key of tls.crt", "delete"],
        ),
    ]);
}

#[test]
fn certificates_that_cannot_sign_for_us_are_named() {
    let root = Made::root(params("root", None));
    let with = |change: fn(&mut CertificateParams)| {
        let mut params = params("odd", Some(0));
        change(&mut params);
        let made = root.sign(params, &PKCS_ECDSA_P256_SHA256);
        [made.pem, made.key.serialize_pem(), root.pem.clone()]
    };
    let narrow = Made::root(params("narrow", Some(0)));
    let below = narrow.below("below");
    assert_faults(vec![
        (with(|p| p.is_ca = IsCa::ExplicitNoCa), ["tls.crt", "CN=odd is no CA's", "isCA: true"]),
        (
            with(|p| p.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
            ["tls.crt", "is no CA's", "cert sign"],
        ),
        (
            with(|p| p.not_after = clock::calendar(clock::unix(noon()) - 1).unwrap()),
            ["tls.crt", "expired at", "renewed"],
        ),
        (
            with(|p| p.not_before = clock::calendar(clock::unix(noon()) + 1).unwrap()),
            ["tls.crt", "is valid from", "clocks"],
        ),
        (
            with(|p| p.subject_alt_names = vec![uri("spiffe://evil.test")]),
            ["tls.crt", "evil.test", "trust domain"],
        ),
        (
            [below.pem, below.key.serialize_pem(), narrow.pem],
            ["ca.crt", "fewer CAs", "path length"],
        ),
    ]);
}

#[test]
fn an_issuer_signs_once_its_root_was_staged_and_is_renewed_at_once() {
    let temp = tempfile::tempdir().unwrap();
    let change = |now: SystemTime, change: Change| {
        Authority::change_in(temp.path(), &domain(), now, &change).unwrap()
    };
    let own = change(noon(), Change::Renew).0.issuing_root();
    let root = Made::root(params("root", None));
    let issuer = |name| {
        let made = root.sign(params(name, Some(0)), &PKCS_ECDSA_P384_SHA384);
        Arc::new(read(&made.pem, &made.sec1(), &root.pem).unwrap())
    };
    let (first, second) = (issuer("first"), issuer("second"));
    let (staged, changed) = change(noon(), Change::Issuer(first.clone()));
    assert!(changed && staged.issuing_root() == own, "believed, and no more");
    assert!(
        matches!(staged.roots()[1].state, RootState::Staged { .. }) && staged.roots()[1].external
    );
    assert!(!change(noon(), Change::Issuer(first.clone())).1, "the same again is no change");

    let (issuing, _) = change(noon(), Change::Issue(first.root(), DAY));
    assert_eq!(issuing.issuing_root(), first.root());
    let (renewed, changed) = change(noon(), Change::Issuer(second));
    assert!(changed);
    for authority in [&issuing, &renewed] {
        let csr = crate::csr::create(&crate::PrivateKey::generate().unwrap(), &shop("a")).unwrap();
        let csr = crate::csr::verify(&csr).unwrap();
        let chain = authority.issue(&csr, &shop("a"), DAY, noon()).unwrap().chain;
        assert!(verify::peer(&chain, &domain(), noon()).is_ok());
        assert_eq!(authority.bundle().root_of(&chain), Some(first.root()));
    }
    // What signs the control plane's own certificate is the last to go.
    let leaf: Leaf = renewed.leaf_for(&shop("a"), DAY, noon()).unwrap();
    assert_eq!(renewed.bundle().root_of(leaf.chain()), Some(own));
    let all = renewed.bundle().fingerprints();
    let (alone, _) = change(noon(), Change::Retire(all));
    let leaf = alone.leaf_for(&shop("a"), DAY, noon()).unwrap();
    assert_eq!(alone.bundle().root_of(leaf.chain()), Some(first.root()));
    assert_eq!(alone.bundle().ders().len(), 1);
    // The owner of the issuer renews it, nobody else; when it is over it is over.
    assert!(!change(noon() + 80 * DAY, Change::Renew).1);
}

#[test]
fn a_new_ca_does_not_need_an_issuer() {
    let state = Authority::new_state(&domain(), noon()).unwrap();
    let (authority, _) = Authority::from_state(&state, &domain(), noon()).unwrap();
    assert_eq!(authority.roots().len(), 1);
    assert!(!authority.roots()[0].external);
    assert_eq!(authority.not_after(), noon() + Lifetimes::default().issuing);
}

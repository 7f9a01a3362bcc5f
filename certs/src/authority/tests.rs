//! What the CA issues, what it refuses, and what an X.509 reader other than ours makes of it.

mod openssl;

use std::sync::Arc;
use std::time::Duration;

use x509_parser::prelude::{FromDer, ParsedExtension, X509Certificate};

use super::{Authority, AuthorityError, IssueError, Lifetimes, Signer, SignerError};
use crate::testing::{Ca, DAY, MINUTE, domain, noon, shop};
use crate::{Leaf, PrivateKey, SpiffeId, csr, verify};

fn authority() -> Authority {
    Authority::create(&domain(), noon(), Lifetimes::default()).unwrap()
}

fn request(id: &SpiffeId) -> csr::SigningRequest {
    let key = PrivateKey::generate().unwrap();
    csr::verify(&csr::create(&key, id).unwrap()).unwrap()
}

#[test]
fn a_request_becomes_a_leaf_of_the_asking_key() {
    let key = PrivateKey::generate().unwrap();
    let request = csr::verify(&csr::create(&key, &shop("product")).unwrap()).unwrap();
    let issued = authority().issue(&request, &shop("product"), DAY, noon()).unwrap();
    assert_eq!(issued.not_before, noon() - MINUTE);
    assert_eq!(issued.not_after, noon() + DAY);
    let leaf = Leaf::new(issued.chain.clone(), key).unwrap();
    assert_eq!(leaf.id(), &shop("product"));
    assert_eq!((leaf.not_before(), leaf.not_after()), (issued.not_before, issued.not_after));
    assert!(verify::peer(&issued.chain, &domain(), noon()).is_ok());
}

#[test]
fn somebody_elses_name_is_not_issued() {
    let error =
        authority().issue(&request(&shop("payment")), &shop("product"), DAY, noon()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the CSR asks for spiffe://demo.local/ns/shop/sa/payment, \
         but the caller is spiffe://demo.local/ns/shop/sa/product"
    );
    let foreign = SpiffeId::parse("spiffe://evil.test/ns/shop/sa/product").unwrap();
    let error = authority().issue(&request(&foreign), &foreign, DAY, noon()).unwrap_err();
    assert!(matches!(error, IssueError::ForeignTrustDomain { .. }), "{error}");
}

#[test]
fn a_leaf_never_outlives_its_issuer() {
    let lifetimes = Lifetimes { root: 10 * DAY, issuing: 90 * DAY };
    let ca = Authority::create(&domain(), noon(), lifetimes).unwrap();
    assert_eq!(ca.not_after(), noon() + 10 * DAY, "the issuer does not outlive the root either");
    let issue = |now| ca.leaf_for(&shop("a"), DAY, now);
    assert_eq!(issue(noon() + 9 * DAY + MINUTE).unwrap().not_after(), ca.not_after());
    let late = issue(ca.not_after() + MINUTE).unwrap_err();
    assert!(matches!(late, IssueError::IssuerExpired(end) if end == ca.not_after()), "{late}");
}

#[test]
fn lifetimes_are_honoured_down_to_a_second_and_not_below() {
    let ca = authority();
    let leaf = ca.leaf_for(&shop("a"), Duration::from_secs(1), noon()).unwrap();
    assert_eq!(leaf.not_after(), noon() + Duration::from_secs(1));
    let none = ca.leaf_for(&shop("a"), Duration::from_millis(999), noon());
    assert!(matches!(none, Err(IssueError::Lifetime(_))));
    let long = ca.leaf_for(&shop("a"), Duration::MAX, noon()).unwrap();
    assert_eq!(long.not_after(), ca.not_after());
}

#[test]
fn absurd_times_are_errors() {
    let far = Lifetimes { root: Duration::from_secs(1 << 60), ..Lifetimes::default() };
    let error = Authority::create(&domain(), noon(), far).unwrap_err();
    assert!(matches!(error, AuthorityError::Validity), "{error}");
    let before_christ = noon() - 366 * DAY * 2100;
    let leaf = authority().leaf_for(&shop("a"), DAY, before_christ);
    assert!(matches!(leaf, Err(IssueError::Lifetime(_))), "{leaf:?}");
}

#[test]
fn names_serials_and_key_identifiers_make_one_path() {
    let ca = authority();
    let leaf = ca.leaf_for(&shop("a"), DAY, noon()).unwrap();
    let [leaf, issuing] = leaf.chain() else { panic!("leaf and issuing certificate") };
    let [leaf, issuing, root] = [leaf, issuing, &ca.bundle().ders()[0]]
        .map(|der| X509Certificate::from_der(der).unwrap().1);

    assert_ne!(leaf.subject(), issuing.subject());
    assert_ne!(issuing.subject(), root.subject());
    assert_eq!(leaf.issuer(), issuing.subject());
    assert_eq!(issuing.issuer(), root.subject());
    assert_eq!(root.issuer(), root.subject());
    for (below, above) in [(&leaf, &issuing), (&issuing, &root)] {
        assert_eq!(key_id(below, true), key_id(above, false));
        assert_ne!(key_id(below, false), key_id(above, false));
    }
    let serials = [&leaf, &issuing, &root].map(|certificate| certificate.raw_serial().to_vec());
    assert!(serials.iter().all(|serial| serial.len() == 16 && serial[0] & 0xc0 == 0x40));
    assert!(serials[0] != serials[1] && serials[1] != serials[2]);
    let other = authority();
    let other = X509Certificate::from_der(&other.bundle().ders()[0]).unwrap().1;
    assert_ne!(root.subject(), other.subject(), "two CAs of one trust domain are told apart");
}

/// The authority key identifier, or the subject's own.
fn key_id<'a>(certificate: &'a X509Certificate<'_>, authority: bool) -> &'a [u8] {
    certificate
        .extensions()
        .iter()
        .find_map(|extension| match extension.parsed_extension() {
            ParsedExtension::SubjectKeyIdentifier(id) if !authority => Some(id.0),
            ParsedExtension::AuthorityKeyIdentifier(id) if authority => {
                id.key_identifier.as_ref().map(|id| id.0)
            }
            _ => None,
        })
        .expect("a key identifier")
}

#[test]
fn every_certificate_may_do_its_own_job_only() {
    let ca = authority();
    let leaf = ca.leaf_for(&shop("a"), DAY, noon()).unwrap();
    let [leaf, issuing] = leaf.chain() else { panic!("leaf and issuing certificate") };
    let [leaf, issuing, root] = [leaf, issuing, &ca.bundle().ders()[0]]
        .map(|der| X509Certificate::from_der(der).unwrap().1);

    let constraints = |certificate: &X509Certificate<'_>| {
        let found = certificate.basic_constraints().unwrap().unwrap();
        (found.critical, found.value.ca, found.value.path_len_constraint)
    };
    assert_eq!(constraints(&root), (true, true, Some(1)));
    assert_eq!(constraints(&issuing), (true, true, Some(0)));
    assert_eq!(constraints(&leaf), (true, false, None));

    let usage = |certificate: &X509Certificate<'_>| {
        certificate.key_usage().unwrap().unwrap().value.to_string()
    };
    assert_eq!(usage(&root), "Key Cert Sign, CRL Sign");
    assert_eq!(usage(&issuing), "Key Cert Sign, CRL Sign");
    assert_eq!(usage(&leaf), "Digital Signature");
    let purposes = leaf.extended_key_usage().unwrap().unwrap().value;
    assert!(purposes.server_auth && purposes.client_auth && !purposes.any);
    assert!(!leaf.subject().to_string().contains("shop"), "the subject is no identity");
}

#[test]
fn a_signer_elsewhere_must_fit_the_issuing_certificate() {
    struct Broken(PrivateKey);
    impl Signer for Broken {
        fn public_key(&self) -> &[u8] {
            self.0.public_key()
        }
        fn sign(&self, _message: &[u8]) -> Result<Vec<u8>, SignerError> {
            Err(SignerError("the vault is sealed".to_owned()))
        }
    }
    let ca = Ca::new(noon());
    let issuing = ca.leaf("a", noon()).chain()[1].clone();
    let with = |issuing, bundle, signer: Arc<dyn Signer>| {
        Authority::with_signer(&domain(), bundle, issuing, signer)
    };
    let own: Arc<dyn Signer> = Arc::new(ca.key.clone());
    let other: Arc<dyn Signer> = Arc::new(PrivateKey::generate().unwrap());
    let reason = |result: Result<Authority, AuthorityError>| result.unwrap_err().to_string();

    assert!(with(issuing.clone(), ca.bundle().clone(), own.clone()).is_ok());
    let key = reason(with(issuing.clone(), ca.bundle().clone(), other));
    assert!(key.contains("has another key"), "{key}");
    let root = reason(with(issuing.clone(), Ca::new(noon()).bundle().clone(), own.clone()));
    assert!(root.contains("no root signed"), "{root}");
    let renamed = ca.renamed_root(noon());
    let root = reason(with(issuing.clone(), renamed, own.clone()));
    assert!(root.contains("no root signed"), "{root}");
    let leaf = reason(with(ca.leaf("a", noon()).chain()[0].clone(), ca.bundle().clone(), own));
    assert!(leaf.contains("may not sign"), "{leaf}");

    let sealed = with(issuing, ca.bundle().clone(), Arc::new(Broken(ca.key.clone()))).unwrap();
    let error = sealed.leaf_for(&shop("a"), DAY, noon()).unwrap_err();
    assert!(error.to_string().contains("the vault is sealed"), "{error}");
}

//! Bundles are sets of roots, and of nothing else.

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa};
use rustls::pki_types::CertificateDer;

use super::{BundleError, TrustBundle};
use crate::pem::PemError;
use crate::testing::{Ca, domain, noon, uri};
use crate::{Authority, Lifetimes, PrivateKey};

fn root() -> CertificateDer<'static> {
    Ca::new(noon()).bundle().ders()[0].clone()
}

#[test]
fn order_and_repetition_do_not_matter() {
    let (a, b) = (root(), root());
    let one = TrustBundle::from_der([a.clone(), b.clone()]).unwrap();
    let other = TrustBundle::from_der([b, a.clone(), a.clone()]).unwrap();
    assert_eq!(one, other);
    assert_eq!(one.fingerprint(), other.fingerprint());
    assert_eq!(one.to_pem(), other.to_pem());
    assert_eq!(one.ders().len(), 2);

    let less = TrustBundle::from_der([a]).unwrap();
    assert_ne!(one, less);
    assert_ne!(one.fingerprint(), less.fingerprint());
}

#[test]
fn a_bundle_survives_pem_with_notes_between() {
    let bundle = TrustBundle::from_der([root(), root()]).unwrap();
    let noted = format!("# our roots\n{}\nend\n", bundle.to_pem());
    assert_eq!(TrustBundle::from_pem(&noted).unwrap(), bundle);
}

#[test]
fn what_is_not_roots_only_is_refused() {
    let ca = Ca::new(noon());
    let (root, leaf) = (ca.bundle().to_pem(), ca.leaf("a", noon()));

    assert_eq!(TrustBundle::from_pem(""), Err(BundleError::Empty));
    let key = TrustBundle::from_pem(&(root.clone() + &leaf.key().to_pem())).unwrap_err();
    assert_eq!(
        key.to_string(),
        "the trust bundle cannot be read: it has to hold certificates only, \
         but holds a certificate, a private key"
    );
    let workload = TrustBundle::from_der([leaf.chain()[0].clone()]);
    assert_eq!(workload, Err(BundleError::NotAuthority { index: 1 }));
    let cut = TrustBundle::from_pem(&root[..root.len() - 30]);
    assert!(matches!(cut, Err(BundleError::Pem(PemError::Syntax(_)))), "{cut:?}");
    let long = TrustBundle::from_pem(&"#".repeat((1 << 20) + 1));
    assert!(matches!(long, Err(BundleError::Pem(PemError::TooLong(_)))));
    let many = TrustBundle::from_der(std::iter::repeat_n(ca.bundle().ders()[0].clone(), 101));
    assert_eq!(many, Err(BundleError::TooMany(101)));
    let trailing = [ca.bundle().ders()[0].as_ref(), b"x"].concat();
    let trailing = TrustBundle::from_der([CertificateDer::from(trailing)]);
    assert!(matches!(trailing, Err(BundleError::Certificate { index: 1, .. })));
}

#[test]
fn all_roots_are_of_one_trust_domain() {
    let of = |domain: &str| {
        let domain = domain.parse().unwrap();
        let authority = Authority::create(&domain, noon(), Lifetimes::default()).unwrap();
        authority.bundle().ders()[0].clone()
    };
    let one = TrustBundle::from_der([of("demo.local"), root()]).unwrap();
    assert_eq!(one.trust_domain().unwrap().as_str(), "demo.local");
    let two = TrustBundle::from_der([of("demo.local"), of("other.local")]).unwrap();
    let error = two.trust_domain().unwrap_err();
    assert!(matches!(error, BundleError::SeveralTrustDomains(..)), "{error}");
    let mut nameless = CertificateParams::default();
    nameless.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let mut foreign = nameless.clone();
    foreign.subject_alt_names = vec![uri("https://demo.local")];
    for (params, expected) in [(nameless, "names a trust domain"), (foreign, "spiffe://")] {
        let root = params.self_signed(PrivateKey::generate().unwrap().pair()).unwrap();
        let error = TrustBundle::from_der([root.into()]).unwrap().trust_domain().unwrap_err();
        assert!(error.to_string().contains(expected), "{error}");
    }
}

proptest! {
    #[test]
    fn no_text_makes_it_panic(body in "[A-Za-z0-9+/=\n-]{0,200}") {
        let _ = TrustBundle::from_pem(&body);
        let framed = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
        prop_assert!(TrustBundle::from_pem(&framed).is_err());
    }
}

#[test]
fn roots_from_outside_name_no_trust_domain_so_the_text_does() {
    let named = Ca::new(noon()).bundle().clone();
    let key = PrivateKey::generate().unwrap();
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let nameless = params.self_signed(key.pair()).unwrap().der().clone();
    let both = [named.ders()[0].clone(), nameless.clone()];
    let (alone, both) =
        (TrustBundle::from_der([nameless]).unwrap(), TrustBundle::from_der(both).unwrap());
    assert_eq!(both.trust_domain().unwrap(), domain(), "one that says it is enough");
    assert_eq!(alone.trust_domain(), Err(BundleError::Nameless));
    assert_eq!(named.to_pem_for(&domain()), named.to_pem(), "nothing to add");
    for bundle in [alone, both] {
        let text = bundle.to_pem_for(&domain());
        let read = TrustBundle::from_pem(&text).unwrap();
        assert_eq!((read.trust_domain_in(&text).unwrap(), &read), (domain(), &bundle));
    }
}

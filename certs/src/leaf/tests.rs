//! A leaf is a chain and its own key, or it is refused.

use std::time::Duration;

use super::{Leaf, LeafError};
use crate::pem;
use crate::testing::{Ca, DAY, MINUTE, noon, shop, uri};
use crate::x509::CertificateError;

#[test]
fn a_leaf_survives_pem() {
    let leaf = Ca::new(noon()).leaf("product", noon());
    let again = Leaf::from_pem(&leaf.to_pem()).unwrap();
    assert_eq!(again.id(), &shop("product"));
    assert_eq!(again.chain(), leaf.chain());
    assert_eq!(again.key().public_key_info(), leaf.key().public_key_info());
    assert_eq!(again.not_before(), noon() - MINUTE);
    assert_eq!(again.not_after(), noon() + DAY);

    let key_first = String::clone(&leaf.key().to_pem()) + &leaf.chain_pem();
    assert_eq!(Leaf::from_pem(&key_first).unwrap().chain(), leaf.chain());
}

#[test]
fn a_key_of_another_leaf_is_noticed() {
    let ca = Ca::new(noon());
    let mixed = ca.leaf("a", noon()).chain_pem() + &ca.leaf("a", noon()).key().to_pem();
    let error = Leaf::from_pem(&mixed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the private key does not belong to the certificate of spiffe://demo.local/ns/shop/sa/a"
    );
}

#[test]
fn text_with_anything_else_is_refused() {
    let leaf = Ca::new(noon()).leaf("a", noon());
    let (chain, key) = (leaf.chain_pem(), leaf.key().to_pem());
    let csr = "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n";
    for text in [chain.clone(), chain.clone() + &key + &key, chain.clone() + &key + csr] {
        assert!(matches!(Leaf::from_pem(&text), Err(LeafError::Pem(_))), "{text}");
    }
    assert!(matches!(Leaf::from_pem(&key), Err(LeafError::ChainLength(0))));
    let long = chain.repeat(5) + &key;
    assert!(matches!(Leaf::from_pem(&long), Err(LeafError::ChainLength(10))));
}

#[test]
fn a_certificate_that_names_no_workload_is_refused() {
    let ca = Ca::new(noon());
    let two = |p: &mut rcgen::CertificateParams| p.subject_alt_names.push(uri("spiffe://a"));
    let (chain, key) = ca.odd(noon(), two);
    let error = Leaf::new(chain, key).unwrap_err();
    assert!(matches!(error, LeafError::Certificate(CertificateError::SeveralUris(2))), "{error}");
}

#[test]
fn validity_includes_its_last_second() {
    let leaf = Ca::new(noon()).leaf("a", noon());
    let almost = Duration::from_millis(999);
    assert!(!leaf.is_valid_at(noon() - MINUTE - almost));
    assert!(leaf.is_valid_at(noon() - MINUTE));
    assert!(leaf.is_valid_at(noon() + DAY + almost));
    assert!(!leaf.is_valid_at(noon() + DAY + Duration::from_secs(1)));
}

#[test]
fn debug_shows_the_name_and_not_the_key() {
    let leaf = Ca::new(noon()).leaf("product", noon());
    let shown = format!("{leaf:?}");
    assert!(shown.contains("spiffe://demo.local/ns/shop/sa/product"), "{shown}");
    assert!(shown.contains("2025-06-16T12:00:00Z") && shown.contains("redacted"), "{shown}");
    let body: String = leaf.key().to_pem().lines().nth(1).unwrap().chars().take(16).collect();
    assert!(!shown.contains(&body), "{shown}");
    assert!(shown.len() < 300, "no dump of certificates: {shown}");
    assert!(pem::certificate(b"x").ends_with("\n"));
}

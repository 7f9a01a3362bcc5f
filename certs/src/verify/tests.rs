//! Who passes for a peer, case by case, and that every refusal says who and why.

use std::time::Duration;

use proptest::prelude::*;
use rcgen::{BasicConstraints, CertificateParams, IsCa, KeyUsagePurpose, SanType};
use rustls::pki_types::CertificateDer;

use super::{PeerError, Standing, expected_peer, peer, peer_allow_expired};
use crate::CertificateError;
use crate::testing::{Ca, DAY, MINUTE, domain, noon, shop, uri};

const SECOND: Duration = Duration::from_secs(1);

fn refused(change: impl FnOnce(&mut CertificateParams)) -> PeerError {
    let (chain, _) = Ca::new(noon()).odd(noon(), change);
    peer(&chain, &domain(), noon()).unwrap_err()
}

#[test]
fn a_workload_of_ours_is_a_peer_until_its_last_second() {
    let leaf = Ca::new(noon()).leaf("product", noon());
    let found = peer(leaf.chain(), &domain(), noon()).unwrap();
    assert_eq!((found.id, found.not_after), (shop("product"), noon() + DAY));
    assert!(peer(leaf.chain(), &domain(), noon() + DAY).is_ok());
    assert!(peer(leaf.chain(), &domain(), noon() - MINUTE).is_ok());

    let late = peer(leaf.chain(), &domain(), noon() + DAY + SECOND).unwrap_err();
    assert_eq!(
        late.to_string(),
        "the certificate of spiffe://demo.local/ns/shop/sa/product expired at \
         2025-06-16T12:00:00Z, it is 2025-06-16T12:00:01Z now"
    );
    let early = peer(leaf.chain(), &domain(), noon() - MINUTE - SECOND).unwrap_err();
    assert_eq!(
        early.to_string(),
        "the certificate of spiffe://demo.local/ns/shop/sa/product is valid from \
         2025-06-15T11:59:00Z, it is 2025-06-15T11:58:59Z now"
    );
}

#[test]
fn other_names_beside_the_id_are_not_looked_at() {
    let (chain, _) = Ca::new(noon()).odd(noon(), |p| {
        p.subject_alt_names.push(SanType::DnsName("product.shop".try_into().unwrap()));
    });
    assert_eq!(peer(&chain, &domain(), noon()).unwrap().id, shop("odd"));
}

#[test]
fn certificates_that_name_no_workload_are_refused() {
    use CertificateError::{Authority, NoUri, NotSpiffe, SeveralUris};
    let case = |change: fn(&mut CertificateParams)| match refused(change) {
        PeerError::Certificate(reason) => reason,
        other => panic!("{other}"),
    };
    assert_eq!(case(|p| p.subject_alt_names.clear()), NoUri);
    assert_eq!(
        case(|p| p.subject_alt_names =
            vec![SanType::DnsName("spiffe.demo.local".try_into().unwrap())]),
        NoUri
    );
    assert_eq!(case(|p| p.subject_alt_names.push(uri(shop("b").as_str()))), SeveralUris(2));
    assert_eq!(case(|p| p.subject_alt_names.push(uri("https://demo.local/"))), SeveralUris(2));
    assert!(matches!(
        case(|p| p.subject_alt_names = vec![uri("https://demo.local/ns/shop/sa/odd")]),
        NotSpiffe { .. }
    ));
    assert!(matches!(
        case(|p| p.subject_alt_names = vec![uri("spiffe://demo.local")]),
        NotSpiffe { .. }
    ));
    assert_eq!(case(|p| p.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))), Authority);
    assert_eq!(case(|p| p.key_usages = vec![KeyUsagePurpose::KeyCertSign]), Authority);
    assert_eq!(case(|p| p.key_usages = vec![KeyUsagePurpose::CrlSign]), Authority);
}

#[test]
fn another_trust_domain_is_refused_under_the_same_root_too() {
    let foreign = refused(|p| p.subject_alt_names = vec![uri("spiffe://evil.test/ns/a/sa/b")]);
    assert_eq!(
        foreign.to_string(),
        "the peer spiffe://evil.test/ns/a/sa/b is not in the trust domain demo.local"
    );
}

#[test]
fn no_certificate_and_broken_ones_are_refused() {
    let leaf = Ca::new(noon()).leaf("a", noon());
    assert_eq!(peer(&[], &domain(), noon()), Err(PeerError::NoCertificate));
    let der = leaf.chain()[0].as_ref();
    for broken in [&der[..der.len() - 1], &[der, b"x"].concat(), b"", b"-----BEGIN"] {
        let found = peer(&[CertificateDer::from(broken)], &domain(), noon());
        let malformed = CertificateError::Malformed(String::new());
        let Err(PeerError::Certificate(reason)) = found else { panic!("{found:?}") };
        assert_eq!(std::mem::discriminant(&reason), std::mem::discriminant(&malformed));
    }
}

#[test]
fn the_one_who_was_called_must_answer() {
    let leaf = Ca::new(noon()).leaf("product", noon());
    assert!(expected_peer(leaf.chain(), &shop("product"), noon()).is_ok());
    let other = expected_peer(leaf.chain(), &shop("payment"), noon()).unwrap_err();
    assert_eq!(
        other.to_string(),
        "the peer is spiffe://demo.local/ns/shop/sa/product, \
         but spiffe://demo.local/ns/shop/sa/payment was called"
    );
}

#[test]
fn an_expired_leaf_has_seven_days_for_its_renewal_and_is_no_peer() {
    let leaf = Ca::new(noon()).leaf("product", noon());
    let end = noon() + DAY;
    let at = |now| peer_allow_expired(leaf.chain(), &domain(), now);

    let valid = at(end).unwrap();
    assert!(matches!(valid, Standing::Valid(_)));
    assert_eq!(valid.valid(end).unwrap().id, shop("product"));

    for now in [end + SECOND, end + 7 * DAY] {
        let expired = at(now).unwrap();
        assert!(matches!(&expired, Standing::Expired(e) if e.not_after == end));
        assert_eq!(expired.id(), &shop("product"));
        assert!(matches!(expired.valid(now), Err(PeerError::Expired { .. })));
        assert!(matches!(peer(leaf.chain(), &domain(), now), Err(PeerError::Expired { .. })));
    }
    assert!(matches!(at(end + 7 * DAY + SECOND), Err(PeerError::Expired { .. })));
    assert!(matches!(at(noon() - DAY), Err(PeerError::NotYetValid { .. })));
    let elsewhere = "other.local".parse().unwrap();
    let foreign = peer_allow_expired(leaf.chain(), &elsewhere, end + DAY);
    assert!(matches!(foreign, Err(PeerError::ForeignTrustDomain { .. })));
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        prop_assert!(peer(&[CertificateDer::from(bytes)], &domain(), noon()).is_err());
    }
}

#[test]
fn no_changed_byte_makes_it_panic() {
    let leaf = Ca::new(noon()).leaf("product", noon());
    let der = leaf.chain()[0].to_vec();
    for at in 0..der.len() {
        for value in [0x00, 0x30, 0x7f, 0x80, 0xff] {
            let mut changed = der.clone();
            changed[at] = value;
            let _ = peer(&[CertificateDer::from(changed)], &domain(), noon());
        }
    }
}

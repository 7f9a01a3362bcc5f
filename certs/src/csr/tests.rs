//! Requests: what we make is what we take, and nothing that asks for more gets through.

use proptest::prelude::*;
use rcgen::{
    Attribute, BasicConstraints, CertificateParams, CustomExtension, DnType,
    ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose, PKCS_ECDSA_P384_SHA384, PKCS_ED25519,
    SanType,
};

use super::{CsrError, create, verify};
use crate::PrivateKey;
use crate::testing::{shop, uri};

/// A request like ours, but for what `change` does to it.
fn request(change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    with_key(&KeyPair::generate().unwrap(), change)
}

fn with_key(key: &KeyPair, change: impl FnOnce(&mut CertificateParams)) -> Vec<u8> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(shop("product").as_str())];
    change(&mut params);
    params.serialize_request(key).unwrap().der().to_vec()
}

fn refused(change: impl FnOnce(&mut CertificateParams)) -> CsrError {
    verify(&request(change)).unwrap_err()
}

#[test]
fn what_we_make_we_take() {
    let key = PrivateKey::generate().unwrap();
    let der = create(&key, &shop("product")).unwrap();
    let request = verify(&der).unwrap();
    assert_eq!(request.id(), &shop("product"));
    assert_eq!(rcgen::PublicKeyData::subject_public_key_info(request.public_key()), {
        key.public_key_info()
    });
    assert!(der.len() < 512, "{} bytes", der.len());
}

#[test]
fn the_subject_and_harmless_usages_are_ignored() {
    let der = request(|p| {
        p.distinguished_name.push(DnType::CommonName, "spiffe://demo.local/ns/shop/sa/admin");
        p.is_ca = IsCa::ExplicitNoCa;
        p.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        p.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    });
    assert_eq!(verify(&der).unwrap().id(), &shop("product"));
}

#[test]
fn exactly_one_spiffe_id_is_needed() {
    assert_eq!(refused(|p| p.subject_alt_names.clear()), CsrError::Uris(0));
    let two = refused(|p| p.subject_alt_names.push(uri(shop("admin").as_str())));
    assert_eq!(two, CsrError::Uris(2));
    let same = refused(|p| p.subject_alt_names.push(uri(shop("product").as_str())));
    assert_eq!(same, CsrError::Uris(2));
    let web = refused(|p| p.subject_alt_names = vec![uri("https://demo.local/")]);
    assert!(matches!(web, CsrError::NotSpiffe { .. }), "{web}");
    let domain = refused(|p| p.subject_alt_names = vec![uri("spiffe://demo.local")]);
    assert!(matches!(domain, CsrError::NotSpiffe { .. }), "{domain}");
}

#[test]
fn other_names_are_refused_beside_the_id() {
    let names = [
        SanType::DnsName("product.shop".try_into().unwrap()),
        SanType::Rfc822Name("a@demo.local".try_into().unwrap()),
        SanType::IpAddress([127, 0, 0, 1].into()),
        SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 311, 20, 2, 3], "upn".to_owned().into())),
    ];
    for name in names {
        let error = refused(|p| p.subject_alt_names.push(name.clone()));
        assert!(matches!(error, CsrError::OtherName(_)), "{name:?}: {error}");
    }
}

#[test]
fn a_cas_rights_are_refused() {
    let ca = refused(|p| p.is_ca = IsCa::Ca(BasicConstraints::Unconstrained));
    assert_eq!(ca, CsrError::Authority);
    for usage in [KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign] {
        assert_eq!(refused(|p| p.key_usages = vec![usage]), CsrError::Authority);
    }
}

#[test]
fn unknown_extensions_and_attributes_are_refused_by_name() {
    let extension = CustomExtension::from_oid_content(&[2, 5, 29, 30], vec![0x30, 0]);
    let error = refused(|p| p.custom_extensions = vec![extension]);
    assert_eq!(error, CsrError::Extension("2.5.29.30".to_owned()));

    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![uri(shop("product").as_str())];
    let key = KeyPair::generate().unwrap();
    let password =
        Attribute { oid: &[1, 2, 840, 113549, 1, 9, 7], values: vec![0x31, 3, 0x0c, 1, b'x'] };
    let der = params.serialize_request_with_attributes(&key, vec![password]).unwrap();
    let error = verify(der.der()).unwrap_err();
    assert_eq!(error, CsrError::Attribute("1.2.840.113549.1.9.7".to_owned()));
}

#[test]
fn a_second_extension_request_is_refused() {
    let names = CertificateParams::default();
    let key = KeyPair::generate().unwrap();
    // extensionRequest { subjectAltName { URI "spiffe://d/ns/a/sa/b" } }
    let id = b"spiffe://d/ns/a/sa/b";
    let name = [&[0x30, 22, 0x86, 20], &id[..]].concat();
    let san = [&[0x30, 31, 6, 3, 0x55, 0x1d, 0x11, 4, 24], &name[..]].concat();
    let values = [&[0x31, 35, 0x30, 33], &san[..]].concat();
    let again = || Attribute { oid: &[1, 2, 840, 113549, 1, 9, 14], values: values.clone() };
    let once = names.serialize_request_with_attributes(&key, vec![again()]).unwrap();
    assert_eq!(verify(once.der()).unwrap().id().as_str().as_bytes(), id);
    let twice = names.serialize_request_with_attributes(&key, vec![again(), again()]).unwrap();
    assert!(matches!(verify(twice.der()), Err(CsrError::Attribute(_))));
}

#[test]
fn only_p256_is_signed() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let error = verify(&with_key(&key, |_| ())).unwrap_err();
        assert_eq!(error, CsrError::NotP256, "{algorithm:?}");
    }
    assert!(CsrError::NotP256.to_string().contains("ECDSA P-256"));
}

#[test]
fn the_signature_must_be_the_keys() {
    let (mine, other) = (KeyPair::generate().unwrap(), KeyPair::generate().unwrap());
    let der = with_key(&mine, |_| ());
    let (ours, theirs) = (mine.public_key_raw(), other.public_key_raw());
    let at = der.windows(ours.len()).position(|window| window == ours).unwrap();
    let stolen = [&der[..at], theirs, &der[at + theirs.len()..]].concat();
    assert_eq!(verify(&stolen).unwrap_err(), CsrError::Signature);
}

#[test]
fn bytes_behind_the_end_are_refused_outside_and_inside() {
    let der = request(|_| ());
    assert_eq!(der[..2], [0x30, 0x82], "two bytes of length");
    // A NULL, and the end of the request itself once more.
    for garbage in [&[0x05, 0x00], &der[der.len() - 80..]] {
        let outside = [&der[..], garbage].concat();
        assert!(matches!(verify(&outside), Err(CsrError::Malformed(_))));

        // The same, but within the outermost SEQUENCE, whose length says so.
        let length = u16::try_from(outside.len() - 4).unwrap();
        let mut inside = outside;
        inside[2..4].copy_from_slice(&length.to_be_bytes());
        assert!(matches!(verify(&inside), Err(CsrError::Malformed(_))));
    }
}

#[test]
fn size_is_bounded_and_the_longest_id_fits() {
    assert_eq!(verify(&[0x30; 16 * 1024 + 1]).unwrap_err(), CsrError::TooLong(16 * 1024 + 1));
    let prefix = "spiffe://demo.local/ns/shop/sa/";
    let longest = shop(&"x".repeat(2048 - prefix.len()));
    let der = create(&PrivateKey::generate().unwrap(), &longest).unwrap();
    assert_eq!(verify(&der).unwrap().id(), &longest);
}

#[test]
fn no_changed_bit_changes_what_is_asked_for() {
    use rcgen::PublicKeyData;
    let der = request(|_| ());
    let honest = verify(&der).unwrap();
    for at in 0..der.len() {
        for bit in 0..8 {
            let mut changed = der.clone();
            changed[at] ^= 1 << bit;
            // Bits around the signed part may be lenient DER; what was signed must stay.
            if let Ok(request) = verify(&changed) {
                assert_eq!(request.id(), honest.id(), "byte {at}, bit {bit}");
                let (found, key) = (request.public_key(), honest.public_key());
                assert_eq!(found.der_bytes(), key.der_bytes(), "byte {at}, bit {bit}");
            }
        }
        assert!(verify(&der[..at]).is_err(), "cut at {at}");
    }
}

proptest! {
    #[test]
    fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(verify(&bytes).is_err());
    }
}

//! Keys: which are taken, and that they are not shown.

mod memory;

use rcgen::{KeyPair, PKCS_ECDSA_P384_SHA384, PKCS_ED25519};

use super::{KeyError, PrivateKey};

#[test]
fn a_key_survives_pem() {
    let key = PrivateKey::generate().unwrap();
    let again = PrivateKey::from_pem(&key.to_pem()).unwrap();
    assert_eq!(key.public_key_info(), again.public_key_info());
    let other = PrivateKey::generate().unwrap();
    assert_ne!(key.public_key_info(), other.public_key_info());
}

#[test]
fn only_p256_is_taken() {
    for algorithm in [&PKCS_ECDSA_P384_SHA384, &PKCS_ED25519] {
        let pem = KeyPair::generate_for(algorithm).unwrap().serialize_pem();
        assert!(matches!(PrivateKey::from_pem(&pem), Err(KeyError::NotP256)), "{algorithm:?}");
    }
}

#[test]
fn text_with_anything_but_one_key_is_refused() {
    let pem = PrivateKey::generate().unwrap().to_pem();
    let sec1 = pem.replace("PRIVATE KEY", "EC PRIVATE KEY");
    let twice = [pem.as_str(), pem.as_str()].concat();
    for text in [String::new(), twice, pem[..pem.len() / 2].to_owned(), sec1] {
        assert!(matches!(PrivateKey::from_pem(&text), Err(KeyError::Pem(_))), "{text}");
    }
}

#[test]
fn debug_shows_nothing_of_it() {
    let key = PrivateKey::generate().unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(P-256, redacted)");
}

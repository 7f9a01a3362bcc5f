//! The installed `openssl` as the judge of our chains and the maker of foreign requests.
//!
//! Skipped, with a note on stderr, where there is none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::SystemTime;

use crate::csr::{self, CsrError};
use crate::testing::{DAY, domain, shop};
use crate::{Authority, Lifetimes, PrivateKey, pem};

/// Runs openssl in `dir`; `None` if it is not installed.
fn openssl(dir: &Path, line: &str) -> Option<Output> {
    match Command::new("openssl").args(line.split(' ')).current_dir(dir).output() {
        Ok(output) => Some(output),
        Err(e) => {
            eprintln!("SKIPPED: openssl cannot be run ({e}); our chains are judged by rustls only");
            None
        }
    }
}

fn text(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].map(String::from_utf8_lossy).concat()
}

#[test]
fn openssl_verifies_our_chain_strictly() {
    let dir = tempfile::tempdir().unwrap();
    let now = SystemTime::now();
    let ca = Authority::create(&domain(), now, Lifetimes::default()).unwrap();
    let other = Authority::create(&domain(), now, Lifetimes::default()).unwrap();
    let leaf = ca.leaf_for(&shop("product"), DAY, now).unwrap();
    let put = |name: &str, pem: &str| fs::write(dir.path().join(name), pem).unwrap();
    put("root.pem", &ca.bundle().to_pem());
    put("other.pem", &other.bundle().to_pem());
    put("leaf.pem", &pem::certificate(&leaf.chain()[0]));
    put("issuing.pem", &pem::certificate(&leaf.chain()[1]));

    for purpose in ["sslserver", "sslclient"] {
        let line = format!(
            "verify -x509_strict -purpose {purpose} -CAfile root.pem -untrusted issuing.pem leaf.pem"
        );
        let Some(output) = openssl(dir.path(), &line) else { return };
        assert!(output.status.success(), "{}", text(&output));
    }
    let stranger = "verify -CAfile other.pem -untrusted issuing.pem leaf.pem";
    let refused = openssl(dir.path(), stranger).unwrap();
    assert!(!refused.status.success(), "{}", text(&refused));
    let shown = openssl(dir.path(), "x509 -in leaf.pem -noout -ext subjectAltName").unwrap();
    assert!(text(&shown).contains("URI:spiffe://demo.local/ns/shop/sa/product"));
}

#[test]
fn openssl_reads_our_requests() {
    let dir = tempfile::tempdir().unwrap();
    let der = csr::create(&PrivateKey::generate().unwrap(), &shop("product")).unwrap();
    fs::write(dir.path().join("csr.der"), der).unwrap();
    let line = "req -in csr.der -inform DER -noout -verify -text";
    let Some(output) = openssl(dir.path(), line) else { return };
    assert!(output.status.success(), "{}", text(&output));
    let shown = text(&output);
    assert!(shown.contains("URI:spiffe://demo.local/ns/shop/sa/product"), "{shown}");
}

#[test]
fn requests_by_openssl_are_taken_if_they_ask_for_one_id_with_p256() {
    let dir = tempfile::tempdir().unwrap();
    let plain = "ecparam -name prime256v1 -genkey -noout -out plain.pem";
    let Some(_) = openssl(dir.path(), plain) else { return };
    openssl(dir.path(), "ec -in plain.pem -conv_form compressed -out compressed.pem").unwrap();
    let make = |key: &str, san: &str| {
        let line = format!(
            "req -new -nodes {key} -subj /CN=product \
             -addext subjectAltName={san} -outform DER -out csr.der"
        );
        let output = openssl(dir.path(), &line).unwrap();
        assert!(output.status.success(), "{}", text(&output));
        csr::verify(&fs::read(dir.path().join("csr.der")).unwrap())
    };
    let p256 = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -keyout key.pem";
    let id = format!("URI:{}", shop("product"));
    assert_eq!(make(p256, &id).unwrap().id(), &shop("product"));
    let named = make(p256, &format!("{id},DNS:product"));
    assert!(matches!(named, Err(CsrError::OtherName(_))));
    for key in [
        &format!("{p256} -sha384"),
        "-newkey rsa:2048 -keyout key.pem",
        "-newkey ec -pkeyopt ec_paramgen_curve:P-384 -keyout key.pem",
        "-newkey ed25519 -keyout key.pem",
        "-key compressed.pem",
    ] {
        assert_eq!(make(key, &id).unwrap_err(), CsrError::NotP256, "{key}");
    }
}

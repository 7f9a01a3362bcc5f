//! The installed `openssl` as the judge of our chains and the maker of foreign requests.
//!
//! Skipped, with a note on stderr, where there is none.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;
use std::time::SystemTime;

use crate::csr::{self, CsrError};
use crate::testing::{Ca, DAY, domain, shop};
use crate::x509::Certificate;
use crate::{Authority, Lifetimes, PrivateKey, Signer, SignerError, pem};

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

/// A key that another process has: this one sees its public half, and signatures.
struct Elsewhere {
    dir: tempfile::TempDir,
    public_key: Vec<u8>,
}

impl Signer for Elsewhere {
    fn public_key(&self) -> &[u8] {
        &self.public_key
    }

    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignerError> {
        let failed = |reason: String| SignerError(format!("openssl: {reason}"));
        fs::write(self.dir.path().join("message"), message).map_err(|e| failed(e.to_string()))?;
        let output = openssl(self.dir.path(), "dgst -sha256 -sign key.pem message");
        let output = output.ok_or_else(|| failed("it is gone".to_owned()))?;
        output.status.success().then(|| output.stdout.clone()).ok_or_else(|| failed(text(&output)))
    }
}

#[test]
fn a_key_in_another_process_issues() {
    let now = SystemTime::now();
    let (dir, ca) = (tempfile::tempdir().unwrap(), Ca::new(now));
    let key = dir.path().join("key.pem");
    fs::write(&key, ca.key.to_pem()).unwrap();
    if openssl(dir.path(), "version").is_none() {
        return;
    }
    let issuing = ca.leaf("a", now).chain()[1].clone();
    let signer = Elsewhere { dir, public_key: ca.key.public_key().to_vec() };
    let authority =
        Authority::with_signer(&domain(), ca.bundle().clone(), issuing, Arc::new(signer)).unwrap();
    let leaf = authority.leaf_for(&shop("product"), DAY, now).unwrap();
    assert!(crate::verify::peer(leaf.chain(), &domain(), now).is_ok());
    let signed = [0, 1].map(|place| Certificate::parse(&leaf.chain()[place]).unwrap());
    assert!(signed[0].is_signed_by(&signed[1]), "what it signed is what it should have");

    // Where it is out of reach the reason is said, and nothing is issued.
    fs::remove_file(key).unwrap();
    let error = authority.leaf_for(&shop("product"), DAY, now).unwrap_err().to_string();
    assert!(error.starts_with("the certificate cannot be signed: openssl:"), "{error}");
}

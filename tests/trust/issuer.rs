//! An issuing CA from outside, as cert-manager makes it, in a directory: taken up and renewed live, and refused when it is
//! of no use.

use std::fs;
use std::time::{Duration, SystemTime};

use anyhow::ensure;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, PKCS_ECDSA_P256_SHA256,
};
use serde_json::{Value, json};
use weft_certs::{PrivateKey, TrustBundle, csr};

use super::{ROTATION, SOON, Traffic, assert_done, roots, shop_of, status};
use crate::harness::{Mesh, eventually, get};

/// A CA as cert-manager makes one: no URI among its names.
pub(crate) struct Made {
    params: CertificateParams,
    key: KeyPair,
    pub(crate) pem: String,
}

impl Made {
    fn params(name: &str) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::DigitalSignature];
        params
    }

    /// A root that signs itself.
    pub(crate) fn root(name: &str) -> Self {
        let (params, key) = (Self::params(name), KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256));
        let key = key.expect("there is randomness");
        let pem = params.self_signed(&key).expect("it can be made").pem();
        Self { params, key, pem }
    }

    /// An intermediate under it.
    pub(crate) fn below(&self, name: &str) -> Self {
        let params = Self::params(name);
        let key = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("there is randomness");
        let issuer = Issuer::from_params(&self.params, &self.key);
        let pem = params.signed_by(&key, &issuer).expect("it can be made").pem();
        Self { params, key, pem }
    }

    /// Its key, in PKCS #8.
    pub(crate) fn key(&self) -> String {
        self.key.serialize_pem()
    }
}

/// The Secret that cert-manager would write of it.
pub(crate) fn secret(certificate: &str, key: &str, root: &str) -> Value {
    let data = [("tls.crt", certificate), ("tls.key", key), ("ca.crt", root)];
    let data: serde_json::Map<_, _> = data
        .iter()
        .map(|(name, text)| ((*name).to_owned(), json!(STANDARD.encode(text))))
        .collect();
    json!({
        "apiVersion": "v1", "kind": "Secret", "type": "kubernetes.io/tls",
        "metadata": {"name": "weft-issuer", "namespace": "weft-system"}, "data": data,
    })
}

/// What cert-manager would write.
fn write(mesh: &Mesh, certificate: &str, key: &str, root: &str) {
    let dir = mesh.issuer_dir();
    fs::create_dir_all(&dir).expect("the directory is ours");
    for (file, text) in [("tls.crt", certificate), ("tls.key", key), ("ca.crt", root)] {
        fs::write(dir.join(file), text).expect("the directory is ours");
    }
}

/// The certificate that signs leaves of workloads now.
fn signs(mesh: &Mesh) -> String {
    let (key, id) = (PrivateKey::generate().expect("there is randomness"), mesh.id("gateway"));
    let request =
        csr::verify(&csr::create(&key, &id).expect("it can be made")).expect("it is ours");
    let (minute, now) = (Duration::from_secs(60), SystemTime::now());
    let issued = mesh.control_plane().authority().issue(&request, &id, minute, now);
    STANDARD.encode(&issued.expect("it is issued").chain[1])
}

/// What stands between the lines of PEM.
fn body(pem: &str) -> String {
    pem.lines().filter(|line| !line.starts_with("-----")).collect()
}

/// Waits until the only root that issues is this one, and every sidecar has a certificate of it.
async fn issues(mesh: &Mesh, root: &str) {
    let bundle = TrustBundle::from_pem(root).expect("it is one");
    let wanted = bundle.fingerprints();
    eventually("the issuer's root issues", ROTATION, async || {
        let status = status(mesh).await?;
        ensure!(roots(&status, "issuing") == wanted, "{status}");
        let mut all = status["roots"].as_array().into_iter().flatten();
        let own = all.find(|root| root["state"] == "issuing");
        ensure!(
            own.is_some_and(|root| root["leaves"] == 3 && root["external"] == true),
            "{status}"
        );
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn an_issuer_from_outside_is_taken_up_renewed_and_replaced_under_load() {
    let mesh = shop_of().takes_issuer().start().await;
    let mut traffic = Traffic::start(&mesh);
    traffic.passes(50).await;
    let root = Made::root("outside");
    let (first, second) = (root.below("first"), root.below("second"));
    write(&mesh, &first.pem, &first.key(), &root.pem);
    issues(&mesh, &root.pem).await;
    assert_eq!(signs(&mesh), body(&first.pem));
    let refused = mesh.weft(&["trust", "stage"]).await;
    assert_eq!(refused.code, Some(3), "{refused:?}");
    assert!(refused.stderr.contains("the root comes from"), "{refused:?}");

    // Renewed: another key under the same root. What has a certificate keeps it, what is new is signed by the new one.
    write(&mesh, &second.pem, &second.key(), &root.pem);
    eventually("the second one signs", SOON, async || {
        ensure!(signs(&mesh) == body(&second.pem), "it does not");
        Ok(())
    })
    .await;

    // Of no use: said, and nothing changes.
    let rsa = "-----BEGIN RSA PRIVATE KEY-----\nMAA=\n-----END RSA PRIVATE KEY-----\n";
    write(&mesh, &first.pem, rsa, &root.pem);
    eventually("the fault is found", SOON, async || {
        let findings = mesh.control_plane().admin().get("/v1/analysis").await?;
        let mut all = findings.as_array().into_iter().flatten();
        let found = all.find(|finding| finding["code"] == "WEFT0501");
        ensure!(found.is_some_and(|finding| finding["field"] == "tls.key"), "{findings}");
        Ok(())
    })
    .await;
    assert_eq!(signs(&mesh), body(&second.pem));
    assert!(mesh.weft(&["trust", "status"]).await.stdout.contains("RSA"));

    // Another root: staged and issuing by itself, the ones before it retired when somebody says so.
    let other = Made::root("other");
    let third = other.below("third");
    write(&mesh, &third.pem, &third.key(), &other.pem);
    issues(&mesh, &other.pem).await;
    let retired = mesh.weft_within(&["trust", "rotate", "-o", "json"], ROTATION).await;
    assert_done(&retired, &["retire"]);
    traffic.passes(50).await;
    traffic.nothing_failed(&mesh, "an issuer taken up, renewed, broken and replaced").await;

    // No root says the trust domain any more; a sidecar of a pod learns it all the same.
    fs::remove_dir_all(mesh.issuer_dir()).unwrap();
    let gateway = mesh.proxy("gateway");
    gateway.process().terminate(SOON).await;
    let bootstrap = mesh.control_plane().join("gateway.shop").await.unwrap();
    let in_pod = mesh.start_sidecar_in_pod("gateway", bootstrap).unwrap();
    in_pod.ready().await;
    assert_eq!(get(in_pod.entry("product"), "/").await.unwrap().status, 200);
}

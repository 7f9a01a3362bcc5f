//! Real handshakes with collectors of every kind of certificate.

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, CertifiedKey, IsCa, KeyPair,
    date_time_ymd,
};
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::server::WebPkiClientVerifier;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A collector's certificate with its key, and who is to be believed for it, as PEM.
struct Shown {
    chain: Vec<CertificateDer<'static>>,
    key: Vec<u8>,
    believed: String,
}

fn authority() -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// By an authority.
fn issued(names: &[&str]) -> Shown {
    let authority = authority();
    let key = KeyPair::generate().unwrap();
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    let leaf = CertificateParams::new(names).unwrap().signed_by(&key, &authority).unwrap();
    Shown { chain: vec![leaf.into()], key: key.serialize_der(), believed: authority.pem() }
}

/// By itself, as `openssl req -x509` makes it.
fn own(change: impl Fn(&mut CertificateParams)) -> Shown {
    let mut params = CertificateParams::new(vec!["127.0.0.1".to_owned()]).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let cert = params.self_signed(&key).unwrap();
    let believed = cert.pem();
    Shown { chain: vec![cert.into()], key: key.serialize_der(), believed }
}

/// Greets whoever gets in; with `clients`, only those whom this authority knows.
async fn collector(shown: Shown, clients: Option<&str>) -> Uri {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let uri = format!("https://{}", listener.local_addr().unwrap()).parse().unwrap();
    let provider = Arc::new(default_provider());
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider));
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let builder = match clients {
        None => builder.with_no_client_auth(),
        Some(pem) => {
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(certificates(pem.as_bytes()).unwrap());
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let key = PrivatePkcs8KeyDer::from(shown.key).into();
    let mut config = builder.with_single_cert(shown.chain, key).unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let Ok(mut stream) = acceptor.accept(stream).await else { continue };
            let spoken = stream.get_ref().1.alpn_protocol().unwrap_or_default().to_vec();
            let _ = stream.write_all(&spoken).await;
            let _ = stream.shutdown().await;
        }
    });
    uri
}

/// What the collector greets with.
async fn greeted(uri: &Uri, authorities: Option<&str>, tls: &Tls) -> Result<String, String> {
    let way = Way::new(uri, authorities, tls, b"h2")?;
    let mut stream = way.open().await.map_err(|error| error.to_string())?.into_inner();
    let mut text = String::new();
    stream.read_to_string(&mut text).await.map_err(|error| error.to_string())?;
    Ok(text)
}

fn file(directory: &tempfile::TempDir, name: &str, text: &str) -> std::path::PathBuf {
    let path = directory.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[tokio::test]
async fn whoever_has_a_good_certificate_is_spoken_to_and_nobody_else() {
    let directory = tempfile::tempdir().unwrap();
    let (nobody, none) = (authority().pem(), Tls::default());
    let shown = issued(&["127.0.0.1"]);
    let believed = shown.believed.clone();
    let good = collector(shown, None).await;
    assert_eq!(greeted(&good, Some(&believed), &none).await.as_deref(), Ok("h2"));
    let by_file =
        Tls { authorities: Some(file(&directory, "ca.pem", &believed)), ..Tls::default() };
    assert_eq!(greeted(&good, None, &by_file).await.as_deref(), Ok("h2"));
    let refused = greeted(&good, Some(&nobody), &by_file).await.unwrap_err();
    let says = "invalid peer certificate";
    assert!(refused.contains(says), "the mesh goes before the environment: {refused}");
    let by_name = format!("https://localhost:{}", good.port().unwrap()).parse().unwrap();
    let refused = greeted(&by_name, Some(&believed), &none).await.unwrap_err();
    assert!(refused.contains("not valid for name"), "{refused}");
    let both = nobody.clone() + &believed;
    assert_eq!(greeted(&good, Some(&both), &none).await.as_deref(), Ok("h2"), "any of them");
}

#[tokio::test]
async fn one_that_has_signed_itself_is_spoken_to_if_that_very_certificate_is_named() {
    let none = Tls::default();
    let shown = own(|_| {});
    let believed = shown.believed.clone();
    let uri = collector(shown, None).await;
    assert_eq!(greeted(&uri, Some(&believed), &none).await.as_deref(), Ok("h2"));
    let refused = greeted(&uri, Some(&own(|_| {}).believed), &none).await;
    assert!(refused.is_err(), "{refused:?}");
    for (change, why) in [
        (
            (|params| params.not_after = date_time_ymd(2020, 1, 1)) as fn(&mut CertificateParams),
            "expired",
        ),
        (|params| params.subject_alt_names.clear(), "name"),
    ] {
        let shown = own(change);
        let believed = shown.believed.clone();
        let uri = collector(shown, None).await;
        let refused = greeted(&uri, Some(&believed), &none).await.unwrap_err();
        assert!(refused.contains(why), "{why}: {refused}");
    }
}

#[tokio::test]
async fn a_collector_that_asks_who_we_are_is_told() {
    let directory = tempfile::tempdir().unwrap();
    let shown = issued(&["127.0.0.1"]);
    let believed = shown.believed.clone();
    let CertifiedKey { cert, signing_key } =
        rcgen::generate_simple_self_signed(vec!["us".to_owned()]).unwrap();
    let uri = collector(shown, Some(&cert.pem())).await;
    let nobody = greeted(&uri, Some(&believed), &Tls::default()).await;
    assert!(nobody.is_err(), "{nobody:?}");
    let certificate = Some(file(&directory, "cert.pem", &cert.pem()));
    let key = Some(file(&directory, "key.pem", &signing_key.serialize_pem()));
    let us = Tls { certificate: certificate.clone(), key, authorities: None };
    assert_eq!(greeted(&uri, Some(&believed), &us).await.as_deref(), Ok("h2"));
    let half = Tls { certificate, ..Tls::default() };
    let refused = greeted(&uri, Some(&believed), &half).await.unwrap_err();
    assert!(refused.contains("takes its key"), "{refused}");
}

#[tokio::test]
async fn what_cannot_be_read_is_said() {
    let directory = tempfile::tempdir().unwrap();
    let uri = collector(own(|_| {}), None).await;
    for (name, text, why) in [
        ("missing.pem", None, "missing.pem"),
        ("empty.pem", Some(""), "has no certificate"),
        ("odd.pem", Some("-----BEGIN CERTIFICATE-----\n*\n-----END CERTIFICATE-----\n"), "not PEM"),
    ] {
        let path =
            text.map_or_else(|| directory.path().join(name), |text| file(&directory, name, text));
        let tls = Tls { authorities: Some(path), ..Tls::default() };
        let refused = greeted(&uri, None, &tls).await.unwrap_err();
        assert!(refused.contains(why), "{refused}");
    }
}

#[test]
fn ways_are_urls_with_a_host() {
    let way = |text: &str| Way::new(&text.parse().unwrap(), None, &Tls::default(), b"h2");
    for (text, address) in [
        ("http://otel", "otel:80"),
        ("https://otel.example.org", "otel.example.org:443"),
        ("https://[::1]:4317", "[::1]:4317"),
        ("http://user:pass@otel:4317", "otel:4317"),
    ] {
        assert_eq!(way(text).unwrap().address(), address);
    }
    for wrong in ["ftp://otel", "otel:4317", "/otel"] {
        assert!(way(wrong).is_err(), "{wrong}");
    }
}

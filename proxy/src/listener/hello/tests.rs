//! ClientHellos of rustls, whole and in pieces.

use std::sync::Arc;

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use super::offers_mesh;

fn hello(alpn: &[&[u8]]) -> Vec<u8> {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let mut config = ClientConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_root_certificates(RootCertStore::empty())
        .with_no_client_auth();
    config.alpn_protocols = alpn.iter().map(|protocol| protocol.to_vec()).collect();
    let name = ServerName::try_from("product.shop").unwrap();
    let mut client = ClientConnection::new(Arc::new(config), name).unwrap();
    let mut bytes = Vec::new();
    client.write_tls(&mut bytes).unwrap();
    bytes
}

#[test]
fn only_a_protocol_of_the_mesh_makes_it_one_of_the_mesh() {
    for (alpn, expected) in [
        (&[][..], false),
        (&[&b"h2"[..], b"http/1.1"][..], false),
        (&[b"weft-h2"], true),
        (&[b"h2", b"weft-tcp"], true),
        (&[b"weft-open", b"weft-tcp"], true),
        (&[b"left-weft-"], false),
    ] {
        assert_eq!(offers_mesh(&hello(alpn)), Some(expected), "{alpn:?}");
    }
}

#[test]
fn a_part_of_one_says_nothing_yet() {
    let whole = hello(&[b"weft-h2"]);
    for end in 0..whole.len() {
        assert_eq!(offers_mesh(&whole[..end]), None, "{end} of {}", whole.len());
    }
    let mut more = whole.clone();
    more.extend([0; 100]);
    assert_eq!(offers_mesh(&more), Some(true));
}

#[test]
fn what_is_no_handshake_is_not_the_meshs() {
    for bytes in
        [&b"GET / HTTP/1.1\r\n\r\n"[..], &[22, 3, 1, 0, 5, 2, 0, 0, 1, 0], &[22, 9, 9, 9, 9]]
    {
        assert_eq!(offers_mesh(bytes), Some(false), "{bytes:?}");
    }
}

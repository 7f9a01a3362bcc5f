//! Post-quantum key exchange: what sidecars agree on, and that it can be switched off on one side.

use std::time::Duration;

use rustls::NamedGroup;

use crate::harness::{Mesh, TlsClient, get};

/// What a client that can do both agrees on with the sidecar.
async fn agreed(mesh: &Mesh) -> Option<NamedGroup> {
    let leaf = mesh.leaf("gateway", Duration::from_secs(3600));
    let authority = mesh.control_plane().authority();
    let client = TlsClient::new(Some(&leaf), authority.bundle(), &mesh.id("product"));
    let knock = client.knock(mesh.proxy("product-v1").inbound()).await;
    assert!(knock.is_let_in(), "{knock:?}");
    // Between sidecars as well.
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
    knock.key_exchange
}

#[tokio::test]
async fn sidecars_prefer_a_secret_that_no_quantum_computer_finds() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").mtls("STRICT");
    assert_eq!(agreed(&mesh.start().await).await, Some(NamedGroup::X25519MLKEM768));
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").mtls("STRICT");
    let mesh = mesh.proxy_args(&["--post-quantum", "off"]).start().await;
    assert_eq!(agreed(&mesh).await, Some(NamedGroup::X25519));
}

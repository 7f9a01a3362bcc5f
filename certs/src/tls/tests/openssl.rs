//! `openssl s_client` against our server, over a real socket: another TLS than rustls on the far end.
//!
//! Skipped, with a note on stderr, where there is none.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::process::Command;
use tokio_rustls::TlsAcceptor;

use super::{H1, Side, id_of};
use crate::testing::{Ca, shop};
use crate::tls::{ClientAuth, server_config};

/// Generous for a loaded machine; reached only when something hangs.
const DEADLINE: Duration = Duration::from_secs(30);

/// What the server saw of `openssl s_client` with `arguments`; `None` if openssl is not installed.
async fn visit(arguments: &str) -> Option<std::io::Result<Side>> {
    let now = SystemTime::now();
    let (ca, dir) = (Ca::new(now), tempfile::tempdir().unwrap());
    let put = |name: &str, pem: &str| fs::write(dir.path().join(name), pem).unwrap();
    put("root.pem", &ca.bundle().to_pem());
    put("client.pem", &ca.leaf("gateway", now).to_pem());
    let leaf = ca.leaf("product", now);
    let server = server_config(&leaf, ca.bundle(), ClientAuth::Required, &[H1]).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let line = format!(
        "s_client -connect {} -CAfile root.pem -verify_return_error -quiet -alpn weft-http/1.1 \
         {arguments}",
        listener.local_addr().unwrap()
    );
    let visitor = Command::new("openssl")
        .args(line.split(' '))
        .current_dir(dir.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn();
    let mut visitor = match visitor {
        Ok(visitor) => visitor,
        Err(e) => {
            eprintln!("SKIPPED: openssl cannot be run ({e}); our server met rustls only");
            return None;
        }
    };
    visitor.stdin.as_mut().unwrap().write_all(b"?").await.unwrap();
    let accept = async {
        let (stream, _) = listener.accept().await?;
        let mut stream = TlsAcceptor::from(Arc::new(server)).accept(stream).await?;
        stream.read_exact(&mut [0]).await?;
        stream.write_all(b"!").await?;
        stream.flush().await?;
        visitor.stdout.as_mut().unwrap().read_exact(&mut [0]).await?;
        Ok(Side::of(stream.get_ref().1))
    };
    Some(tokio::time::timeout(DEADLINE, accept).await.expect("a visit within the deadline"))
}

#[tokio::test]
async fn openssl_with_a_leaf_of_ours_is_let_in_over_tls_1_3() {
    let Some(side) = visit("-tls1_3 -cert client.pem -key client.pem -cert_chain client.pem").await
    else {
        return;
    };
    let side = side.unwrap();
    assert_eq!(id_of(&side), shop("gateway"));
    assert_eq!(side.alpn.as_deref(), Some(H1));
}

#[tokio::test]
async fn openssl_without_a_leaf_is_not() {
    let Some(side) = visit("-tls1_3").await else { return };
    let reason = side.unwrap_err().to_string();
    assert!(reason.contains("no certificates"), "{reason}");
}

#[tokio::test]
async fn tls_1_2_is_refused() {
    let Some(side) = visit("-tls1_2 -cert client.pem -key client.pem").await else { return };
    let reason = side.unwrap_err().to_string();
    assert!(reason.contains("incompatible") || reason.contains("NotSupported"), "{reason}");
}

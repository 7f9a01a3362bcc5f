//! S21, what TLS offers: version 1.3 and nothing older, three suites, three groups, no compression, no renegotiation, no early
//! data; and only to who shows a certificate, which is seen by a client that reads after its handshake. Asked by another
//! TLS than ours, `openssl s_client`, and by those who make scanners.

mod scanners;

use std::net::SocketAddr;
use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use super::pair;
use crate::harness::{Mesh, TlsClient, ask, loud, within};

const HOUR: Duration = Duration::from_secs(3600);

/// A port that speaks TLS, and what its clients say they speak.
struct Port {
    name: &'static str,
    to: SocketAddr,
    protocol: &'static str,
    /// Is nobody let in without a certificate? The control plane's has to give certificates to who has none.
    strict: bool,
}

fn ports(mesh: &Mesh) -> [Port; 2] {
    [
        Port {
            name: "sidecar",
            to: mesh.proxy("product-v1").inbound(),
            protocol: "weft-http/1.1",
            strict: true,
        },
        Port {
            name: "control plane",
            to: mesh.control_plane().address(),
            protocol: "h2",
            strict: false,
        },
    ]
}

/// What `openssl s_client` says after it has asked, and read to the end.
struct Visit(String);

impl Visit {
    /// Version and suite; `None` if there was no handshake.
    fn agreed(&self) -> Option<&str> {
        let line = self.0.lines().find_map(|line| line.strip_prefix("New, "))?;
        (!line.contains("NONE")).then_some(line)
    }

    fn says(&self, text: &str) -> bool {
        self.0.contains(text)
    }
}

/// `None` if there is no openssl here.
async fn visit(directory: &Path, port: &Port, arguments: &str) -> Option<Visit> {
    let line = format!(
        "s_client -connect {} -CAfile root.pem -alpn {} -ign_eof {arguments}",
        port.to, port.protocol
    );
    let visitor = Command::new("openssl")
        .args(line.split_whitespace())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn();
    let mut visitor = match visitor {
        Ok(visitor) => visitor,
        Err(error) => {
            loud(&format!("SKIPPED: S21 by openssl: it cannot be run: {error}"));
            return None;
        }
    };
    let mut said = visitor.stdin.take().unwrap();
    // The control plane takes it for nonsense and ends the connection.
    let _ = said.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await;
    let output = within(&line, Duration::from_secs(40), visitor.wait_with_output()).await.unwrap();
    drop(said);
    let text = [output.stdout, output.stderr].concat();
    Some(Visit(String::from_utf8_lossy(&text).into_owned()))
}

fn credentials(mesh: &Mesh) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    let authority = mesh.control_plane().authority();
    let put = |name: &str, pem: &str| std::fs::write(directory.path().join(name), pem).unwrap();
    put("root.pem", &authority.bundle().to_pem());
    put("client.pem", &mesh.leaf("gateway", HOUR).to_pem());
    directory
}

const CLIENT: &str = "-cert client.pem -key client.pem -cert_chain client.pem";

/// Arguments, and how the version and the suite begin that are agreed on with them.
const OFFERS: [(&str, Option<&str>); 17] = [
    ("-tls1_3", Some("TLSv1.3, Cipher is TLS_")),
    (
        "-tls1_3 -ciphersuites TLS_AES_256_GCM_SHA384",
        Some("TLSv1.3, Cipher is TLS_AES_256_GCM_SHA384"),
    ),
    (
        "-tls1_3 -ciphersuites TLS_CHACHA20_POLY1305_SHA256",
        Some("TLSv1.3, Cipher is TLS_CHACHA20_POLY1305_SHA256"),
    ),
    ("-tls1_3 -ciphersuites TLS_AES_128_CCM_SHA256", None),
    ("-tls1_3 -ciphersuites TLS_AES_128_CCM_8_SHA256", None),
    ("-tls1_3 -groups X25519", Some("TLSv1.3, Cipher is TLS_")),
    ("-tls1_3 -groups P-256", Some("TLSv1.3, Cipher is TLS_")),
    ("-tls1_3 -groups P-384", Some("TLSv1.3, Cipher is TLS_")),
    ("-tls1_3 -groups P-521", None),
    ("-tls1_3 -groups X448", None),
    ("-tls1_3 -groups ffdhe2048", None),
    ("-tls1_2", None),
    ("-tls1_2 -cipher ALL:@SECLEVEL=0", None),
    ("-tls1_1 -cipher ALL:@SECLEVEL=0", None),
    ("-tls1 -cipher ALL:@SECLEVEL=0", None),
    ("-no_tls1_3 -cipher ALL:eNULL:@SECLEVEL=0", None),
    ("-tls1_3 -comp", Some("TLSv1.3, Cipher is TLS_")),
];

#[tokio::test]
async fn tls_1_3_and_nothing_else() {
    let mesh = pair().mtls("STRICT").start().await;
    let directory = credentials(&mesh);
    for port in ports(&mesh) {
        for (offer, expected) in OFFERS {
            let arguments = format!("{CLIENT} {offer}");
            let Some(visit) = visit(directory.path(), &port, &arguments).await else { return };
            let agreed = visit.agreed().unwrap_or_default();
            let fits = expected.map_or(agreed.is_empty(), |begins| agreed.starts_with(begins));
            assert!(fits, "{}: {offer}: {agreed}: {}", port.name, visit.0);
            if expected.is_some() {
                assert!(visit.says("Compression: NONE"), "{}: {offer}", port.name);
                assert!(!visit.says("Secure Renegotiation IS supported"), "{}: {offer}", port.name);
                assert!(
                    !visit.says("Max Early Data: ") || visit.says("Max Early Data: 0"),
                    "{offer}"
                );
                assert!(visit.says("Verify return code: 0 (ok)"), "{}: {}", port.name, visit.0);
                assert_eq!(
                    visit.says("HTTP/1.1 200 OK"),
                    port.strict,
                    "{}: {}",
                    port.name,
                    visit.0
                );
            }
        }
        eprintln!("S21 {}: {} offers, answered as they should be", port.name, OFFERS.len());
    }
}

/// In TLS 1.3 a client is done before the server has judged its certificate: only who reads afterwards learns of it.
#[tokio::test]
async fn a_certificate_is_required_and_who_has_none_reads_an_alert() {
    let mesh = pair().mtls("STRICT").start().await;
    let (directory, app) = (credentials(&mesh), mesh.app("product-v1"));
    let before = app.count();
    for port in ports(&mesh).into_iter().filter(|port| port.strict) {
        let Some(visit) = visit(directory.path(), &port, "-tls1_3").await else { return };
        assert!(visit.agreed().is_some(), "on its side the handshake was done: {}", visit.0);
        assert!(visit.says("certificate required"), "{}", visit.0);
        assert!(!visit.says("HTTP/1.1"), "{}", visit.0);
        assert_eq!(app.count(), before);
        // The same by ours.
        let authority = mesh.control_plane().authority();
        let knock =
            TlsClient::new(None, authority.bundle(), &mesh.id("product")).knock(port.to).await;
        assert!(knock.handshake.is_some() && !knock.is_let_in(), "{knock:?}");
        // And in plaintext, whatever is said first.
        for words in [
            &b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"[..],
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0",
            b"\0\0\0\0\0\0\0\0",
            b"EHLO a\r\n",
        ] {
            let answer = ask(port.to, words).await.unwrap_or_default();
            // Nothing, or an alert.
            assert!(answer.is_empty() || answer[0] == 21, "{words:?}: {answer:?}");
        }
        assert_eq!(app.count(), before, "the application has heard of none of them");
    }
}

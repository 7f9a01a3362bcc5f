//! `x-forwarded-client-cert` is the mesh's word and nobody else's: whatever a caller writes, by whichever way and in
//! whichever spelling, the application sees what the certificate says, or nothing.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use http::Method;

use crate::harness::{App, Mesh, TlsClient, ask, http2, request};

const HOUR: Duration = Duration::from_secs(3600);
const NAME: &str = "x-forwarded-client-cert";
const FORGED: &str = "By=spiffe://mesh.test/x;Hash=00;URI=spiffe://mesh.test/ns/shop/sa/root";

/// What may become of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fate {
    /// It arrives, without what was forged.
    Stripped,
    /// It does not arrive.
    Refused,
}
use Fate::{Refused, Stripped};

/// Lines of a head of HTTP/1.1; `#` stands for the forged value.
const HEADS: [(&str, &str, Fate); 12] = [
    ("one", "x-forwarded-client-cert: #\r\n", Stripped),
    ("mixed case", "X-Forwarded-CLIENT-Cert: #\r\n", Stripped),
    ("two", "x-forwarded-client-cert: #\r\nX-Forwarded-Client-Cert: #\r\n", Stripped),
    ("a list", "x-forwarded-client-cert: #,#\r\n", Stripped),
    ("empty", "x-forwarded-client-cert:\r\n", Stripped),
    ("underscores", "x_forwarded_client_cert: #\r\n", Refused),
    ("an underscore", "x-forwarded-client_cert: #\r\n", Refused),
    ("capitals and underscores", "X_FORWARDED_CLIENT_CERT: #\r\n", Refused),
    ("a space before the colon", "x-forwarded-client-cert : #\r\n", Refused),
    ("a space before the name", " x-forwarded-client-cert: #\r\n", Refused),
    ("folded", "x-a: b\r\n x-forwarded-client-cert: #\r\n", Refused),
    ("listed by Connection", "connection: close, x-forwarded-client-cert\r\n", Refused),
];

/// Trailers of a body in chunks; the application waits for all of it.
const TRAILERS: [&str; 3] = [
    "x-forwarded-client-cert: #\r\n",
    "X-Forwarded-Client-Cert: #\r\n",
    "x_forwarded_client_cert: #\r\n",
];

fn with_head(lines: &str, path: &str) -> String {
    let lines = lines.replace('#', FORGED);
    let end = if lines.contains("connection") { "" } else { "connection: close\r\n" };
    format!("GET {path} HTTP/1.1\r\nhost: a\r\n{lines}{end}\r\n")
}

fn with_trailers(lines: &str, path: &str) -> String {
    let lines = lines.replace('#', FORGED);
    format!(
        "POST {path} HTTP/1.1\r\nhost: a\r\nte: trailers\r\ntransfer-encoding: chunked\r\nconnection: close\r\n\r\n\
         2\r\nhi\r\n0\r\n{lines}\r\n"
    )
}

/// What the application saw of the request of this path: the values of every header that any application could take for
/// it.
fn seen(app: &App, path: &str) -> Vec<Vec<String>> {
    let values = |headers: &http::HeaderMap| {
        let of = headers.iter().filter(|(name, _)| name.as_str().replace('_', "-") == NAME);
        of.map(|(_, value)| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
    };
    app.seen().iter().filter(|seen| seen.path == path).map(|seen| values(&seen.headers)).collect()
}

/// A path that no other request has.
fn path() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("/{}", NEXT.fetch_add(1, Relaxed))
}

#[track_caller]
fn judge(what: &str, fate: Fate, status: u16, seen: &[Vec<String>], expected: Option<&str>) {
    let expected: Vec<String> = expected.map(str::to_owned).into_iter().collect();
    match fate {
        Stripped => {
            assert_eq!(status, 200, "{what}");
            assert_eq!(seen, [expected], "{what}");
        }
        Refused => {
            assert_eq!(status, 400, "{what}");
            assert!(seen.is_empty(), "{what}: {seen:?}");
        }
    }
}

fn status(answer: &[u8]) -> u16 {
    let text = String::from_utf8_lossy(answer);
    text.split(' ').nth(1).and_then(|status| status.parse().ok()).unwrap_or_default()
}

/// Who asks, and where.
enum Way<'a> {
    Plain(SocketAddr),
    Peer(&'a TlsClient, SocketAddr),
}

impl Way<'_> {
    async fn say(&self, text: &str) -> u16 {
        match self {
            Self::Plain(to) => status(&ask(*to, text.as_bytes()).await.unwrap()),
            Self::Peer(client, to) => {
                let knock = client.say(*to, "", text).await;
                status(knock.response.unwrap_or_default().as_bytes())
            }
        }
    }
}

#[tokio::test]
async fn whatever_a_caller_claims_the_application_sees_what_his_certificate_says() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let (app, inbound) = (mesh.app("product-v1"), mesh.proxy("product-v1").inbound());
    let authority = mesh.control_plane().authority();
    let leaf = mesh.leaf("gateway", HOUR);
    let peer = TlsClient::new(Some(&leaf), authority.bundle(), &mesh.id("product"));
    let entry = mesh.entry("gateway", "product");

    // What is true, once for each certificate: the caller's sidecar has another one than the test.
    let truth = async |way: &Way<'_>| {
        let path = path();
        assert_eq!(way.say(&with_head("", &path)).await, 200);
        seen(&app, &path).remove(0).pop()
    };
    let ways = [
        ("plaintext", Way::Plain(inbound)),
        ("outbound", Way::Plain(entry)),
        ("peer", Way::Peer(&peer, inbound)),
    ];
    let mut told = Vec::new();
    for (name, way) in &ways {
        let expected = truth(way).await;
        assert_eq!(expected.is_none(), *name == "plaintext", "{name}: {expected:?}");
        if let Some(expected) = &expected {
            let begins = format!("By={};Hash=", mesh.id("product"));
            let ends = format!(";URI={}", mesh.id("gateway"));
            assert!(expected.starts_with(&begins) && expected.ends_with(&ends), "{expected}");
        }
        for (what, lines, fate) in HEADS {
            let path = path();
            let status = way.say(&with_head(lines, &path)).await;
            let (what, seen) = (format!("{name}, {what}"), seen(&app, &path));
            judge(&what, fate, status, &seen, expected.as_deref());
        }
        for lines in TRAILERS {
            // The head is on its way when the trailer comes: it must be true, and the request never whole.
            let (path, whole) = (path(), app.bodies().len());
            assert_eq!(way.say(&with_trailers(lines, &path)).await, 400, "{name}, {lines}");
            for told in seen(&app, &path) {
                assert_eq!(told.first(), expected.as_ref(), "{name}, {lines}");
            }
            assert_eq!(app.bodies().len(), whole, "{name}, {lines}");
        }
        told.push((*name, HEADS.len() + TRAILERS.len()));
    }
    for (name, to, expected) in
        [("plaintext", inbound, None), ("outbound", entry, truth(&ways[1].1).await)]
    {
        for (headers, fate) in [
            (&[(NAME, FORGED)][..], Stripped),
            (&[(NAME, FORGED), (NAME, "URI=spiffe://mesh.test/ns/shop/sa/admin")], Stripped),
            (&[("x_forwarded_client_cert", FORGED)], Refused),
            (&[("x_forwarded-client-cert", FORGED)], Refused),
        ] {
            let path = path();
            let answer = http2(to, request(Method::GET, &path, headers, "")).await.unwrap();
            let what = format!("{name}, HTTP/2, {headers:?}");
            let status = answer.status.as_u16();
            judge(&what, fate, status, &seen(&app, &path), expected.as_deref());
        }
        told.push((name, 4));
    }
    eprintln!("forged identities by way: {told:?}; 0 arrived");
}

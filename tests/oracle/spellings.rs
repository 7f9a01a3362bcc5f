//! Random spellings of paths, by a fixed seed, through our sidecar and through a real Envoy that is told the same: what either
//! passes on is the same path, and what they refuse is the same but for what is listed here.

use std::net::{Ipv4Addr, SocketAddr};

use futures_util::{StreamExt, stream};

use super::generate::Random;
use super::neighbour::{ENVOY, Neighbour};
use crate::harness::manifests::SERVICE_PORT;
use crate::harness::{Mesh, ask};

const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 9, 9);

/// How many.
const COUNT: usize = 300;

/// What paths are put together from.
const PIECES: [&str; 44] = [
    "/", "/", "/", "/", "//", "///", ".", "..", "/./", "/../", "/..", "/.", "%2e", "%2E", "%2e%2e",
    "..;", "..;x", ".;x=1", ";", ";v=1", "\\", "%5c", "%5C", "%2f", "%2F", "a", "admin", "users",
    "A", "%61", "%41", "%7e", "~", "%3b", "%00", "%", "%zz", "%c0%ae", "?", "?x=/../a", "%20",
    "\"", "{x}", "*",
];

/// What one of them made of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Made {
    /// The application saw this.
    Passed(String),
    /// It was refused, with this status.
    Refused(String),
}

fn spelling(random: &mut Random) -> String {
    let mut path = String::from("/");
    for _ in 0..1 + random.below(7) {
        path += random.of(&PIECES);
    }
    path
}

#[tokio::test]
async fn random_paths_become_what_an_envoy_makes_of_them() {
    // Boxed: it holds a whole mesh's start.
    let Some(scene) = Box::pin(scene()).await else { return };
    let weft = (scene.mesh.entry("gateway", "product"), String::new());
    let envoy = (scene.door, Neighbour::words((CLUSTER_IP, SERVICE_PORT).into()));
    let mut random = Random(7);
    let paths: Vec<String> = (0..COUNT).map(|_| spelling(&mut random)).collect();
    let both = async |path: String| {
        let (ours, theirs) = tokio::join!(made(&weft, &path), made(&envoy, &path));
        (path, ours, theirs)
    };
    let found: Vec<_> = stream::iter(paths).map(both).buffered(8).collect().await;
    let mut counts = [0; 3];
    let mut wrong = Vec::new();
    for (path, ours, theirs) in found {
        let place = match (&ours, &theirs) {
            _ if ours == theirs => 0,
            (Made::Refused(_), Made::Passed(_)) if is_stricter(&path) => 1,
            (Made::Passed(_), Made::Passed(_)) if is_read_twice(&path) => 2,
            _ => {
                wrong.push(format!("{path}: {ours:?}, Envoy {theirs:?}"));
                continue;
            }
        };
        counts[place] += 1;
    }
    let [same, refused, otherwise] = counts;
    eprintln!("{COUNT} spellings: {same} the same, {refused} refused, {otherwise} read otherwise");
    assert!(
        wrong.is_empty(),
        "{} of {COUNT} differ:\n{}\n{}",
        wrong.len(),
        wrong.join("\n"),
        scene.quote()
    );
    assert!(counts[0] > COUNT * 9 / 10, "{counts:?}");
}

async fn scene() -> Option<Neighbour> {
    let mesh = async {
        let builder = Mesh::builder().absent_caller(ENVOY).caller("gateway");
        let mesh = builder.service("product", &["v1"]).start().await;
        mesh.write(
            "service-product.yaml",
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: product, namespace: shop}}\nspec:\n  \
                 clusterIP: {CLUSTER_IP}\n  selector: {{app: product}}\n  \
                 ports: [{{name: main, port: {SERVICE_PORT}, targetPort: main, appProtocol: http}}]\n"
            ),
        );
        mesh
    };
    Neighbour::start(Box::pin(mesh), 2).await
}

async fn made((to, words): &(SocketAddr, String), path: &str) -> Made {
    let request =
        format!("{words}GET {path} HTTP/1.1\r\nhost: product.shop\r\nconnection: close\r\n\r\n");
    let answer = ask(*to, request.as_bytes()).await.unwrap_or_default();
    let answer = String::from_utf8_lossy(&answer).into_owned();
    let status = answer.get(9..12).unwrap_or("none").to_owned();
    let body = answer.split("\r\n\r\n").nth(1).unwrap_or_default();
    match (status.as_str(), serde_json::from_str::<serde_json::Value>(body)) {
        ("200", Ok(echo)) => Made::Passed(echo["path"].as_str().unwrap_or_default().to_owned()),
        _ => Made::Refused(status),
    }
}

/// What begins no escape Envoy passes on as it is, and a NUL it does not see in what it leaves out, as in `/..;%00`.
fn is_stricter(path: &str) -> bool {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    path.split('%').skip(1).any(|rest| {
        let digits = rest.bytes().take(2).filter(u8::is_ascii_hexdigit);
        digits.count() < 2 || rest.starts_with("00")
    })
}

/// Parameters of a dot segment: Envoy needs a second round for `%2e%2e;x`, and leaves out what is behind a backslash with them,
/// which is a slash to us there too.
fn is_read_twice(path: &str) -> bool {
    path.contains(';') && (path.contains("%2") || path.contains('\\'))
}

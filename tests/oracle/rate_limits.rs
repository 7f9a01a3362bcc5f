//! Rate limits of an InboundPolicy, on the receiving side: a real Envoy takes the filters that it is sent, and refuses
//! what weft-proxy refuses. Behind neither there is an application, so that 503 means that a request was let in.

use std::net::SocketAddr;
use std::time::Duration;

use weft_certs::Leaf;

use super::case::Step;
use super::client::{Door, send};
use super::neighbour::{ENVOY, Neighbour};
use crate::harness::{Mesh, TlsClient};

const WEFT: &str = "weft-v1";
const LIFE: Duration = Duration::from_secs(3600);

/// For every workload of the namespace.
const POLICY: &str = "\
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {name: limits, namespace: shop}
spec:
  rateLimits:
  - {requests: 2, per: 1h, key: CallerIdentity}
  - {requests: 3, per: 1h, burst: 1, key: {header: x-tenant}}
";

/// Who calls, over mutual TLS or in plaintext with a tenant, and how often in turn.
const CALLS: [(&str, &str, usize); 5] =
    [("one", "", 3), ("two", "", 3), ("three", "", 2), ("", "a", 3), ("one", "", 1)];

/// What becomes of them: let in, or refused. The third caller's is the last of the four that name no tenant.
const EXPECTED: &str = "++- ++- -- ++- -";

/// How a workload is reached: the port, and what is said before anything else.
struct Way {
    to: SocketAddr,
    door: Door,
    words: String,
}

#[tokio::test]
async fn an_envoy_refuses_what_a_sidecar_refuses() {
    let builder = Mesh::builder().absent_caller(ENVOY).without_app("weft", "http");
    let mesh = builder.file("limits.yaml", POLICY).start();
    // The port of all connections, the one Service's listener, and its own.
    let Some(scene) = Neighbour::start(Box::pin(mesh), 3).await else { return };
    let mesh = &scene.mesh;
    let inbound = mesh.workload_address(WEFT);
    let weft = Way {
        to: inbound,
        door: Door { address: inbound, destination: None },
        words: String::new(),
    };
    let inbound = mesh.workload_address(ENVOY);
    let envoy_way = Way {
        to: scene.door,
        door: Door { address: scene.door, destination: Some(inbound) },
        words: Neighbour::words(inbound),
    };
    assert_eq!(ask(mesh, "weft", &weft).await, EXPECTED, "weft-proxy");
    assert_eq!(ask(mesh, ENVOY, &envoy_way).await, EXPECTED, "{}", scene.quote());
}

/// `+` for a request that was let in, `-` for one that was refused and told when to come again.
async fn ask(mesh: &Mesh, account: &str, way: &Way) -> String {
    let authority = mesh.control_plane().authority();
    let mut turns = Vec::new();
    for (caller, tenant, count) in CALLS {
        let leaf: Option<Leaf> = (!caller.is_empty()).then(|| mesh.leaf(caller, LIFE));
        let mut turn = String::new();
        for _ in 0..count {
            let text = match &leaf {
                Some(leaf) => {
                    let client = TlsClient::new(Some(leaf), authority.bundle(), &mesh.id(account));
                    client.knock_after(way.to, &way.words).await.response.expect("an answer")
                }
                None => {
                    let step = Step::get("/").header("x-tenant", tenant);
                    let answer = send(&way.door, &step, "limits").await.expect("an answer");
                    format!("HTTP/1.1 {} {:?}", answer.status, answer.headers)
                }
            };
            turn.push(match text.get(9..12) {
                Some("503") => '+',
                Some("429") if text.to_ascii_lowercase().contains("retry-after") => '-',
                _ => panic!("{caller} {tenant}: {text}"),
            });
        }
        turns.push(turn);
    }
    turns.join(" ")
}

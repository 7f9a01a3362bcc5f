//! Access, on the receiving side: a real Envoy takes the filters that it is sent, and lets in whom weft-proxy lets in.
//! Behind neither there is an application, so that 503 means that a request was let in.

use std::net::SocketAddr;
use std::time::Duration;

use weft_certs::Leaf;

use super::neighbour::{ENVOY, Neighbour};
use crate::harness::{Mesh, TlsClient};

const WEFT: &str = "weft-v1";
const LIFE: Duration = Duration::from_secs(3600);

/// For every workload of the namespace.
const POLICIES: &str = "\
apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: readers, namespace: shop}
spec:
  action: ALLOW
  rules:
  - from: [{serviceAccounts: [reader, writer]}]
    to:
    - {methods: [GET, HEAD], paths: [{value: /carts}, {type: Exact, value: /health}]}
    - {paths: [{type: Template, value: '/users/{id}/name'}, {type: Template, value: '/files/**'}]}
  - name: roles
    from: [{namespaces: [shop], cidrs: [127.0.0.0/8]}]
    to: [{headers: [{name: x-role, type: Prefix, value: admin}, {name: x-why, type: Present}]}]
  - from: [{serviceAccounts: [writer], cidrs: [10.0.0.0/8]}]
---
apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: secrets, namespace: shop}
spec:
  action: DENY
  rules:
  - to: [{paths: [{value: /carts/secret}]}]
  - from: [{identities: ['spiffe://mesh.test/ns/shop/sa/thief']}]
---
apiVersion: weft.dev/v1alpha1
kind: AccessPolicy
metadata: {name: told, namespace: shop}
spec: {action: AUDIT, rules: [{to: [{methods: [GET]}]}]}
";

const ADMIN: &str = "x-role: admin-of-all\r\nx-why: because\r\n";

/// Who asks for what with which headers, and is he let in?
const CASES: [(&str, &str, &str, &str, bool); 27] = [
    ("reader", "GET", "/carts", "", true),
    ("reader", "HEAD", "/carts/7", "", true),
    ("reader", "POST", "/carts", "", false),
    ("reader", "GET", "/cartsy", "", false),
    ("reader", "GET", "/carts?x=/admin", "", true),
    ("reader", "GET", "/Carts", "", false),
    ("reader", "GET", "/health", "", true),
    ("reader", "GET", "/health/x", "", false),
    ("reader", "POST", "/users/7/name", "", true),
    ("reader", "POST", "/users/7/8/name", "", false),
    ("reader", "POST", "/users//name", "", false),
    ("reader", "PUT", "/files/a/b", "", true),
    ("reader", "PUT", "/files", "", false),
    ("reader", "GET", "/carts/secret", "", false),
    ("reader", "GET", "/carts/secret/1", "", false),
    ("reader", "GET", "/carts/x/../secret", "", false),
    ("reader", "GET", "/carts//secret", "", false),
    ("reader", "GET", "/carts/%73ecret", "", false),
    ("reader", "GET", "/carts/secrets", "", true),
    ("writer", "GET", "/carts", "", true),
    ("writer", "DELETE", "/", "", false),
    ("other", "GET", "/carts", "", false),
    ("other", "DELETE", "/", ADMIN, true),
    ("other", "DELETE", "/", "x-role: admin\r\n", false),
    ("other", "DELETE", "/", "x-role: user\r\nx-why: because\r\n", false),
    ("thief", "DELETE", "/", ADMIN, false),
    ("thief", "GET", "/carts", "", false),
];

/// How a workload is reached: the port, and what is said before anything else.
struct Way {
    account: &'static str,
    to: SocketAddr,
    words: String,
}

#[tokio::test]
async fn an_envoy_lets_in_whom_a_sidecar_lets_in() {
    let builder = Mesh::builder().absent_caller(ENVOY).without_app("weft", "http");
    let mesh = builder.file("access.yaml", POLICIES).start();
    // The port of all connections, the one Service's listener, and its own.
    let Some(scene) = Neighbour::start(Box::pin(mesh), 3).await else { return };
    let mesh = &scene.mesh;
    let words = Neighbour::words(mesh.workload_address(ENVOY));
    let ways = [
        Way { account: "weft", to: mesh.workload_address(WEFT), words: String::new() },
        Way { account: ENVOY, to: scene.door, words },
    ];
    for way in &ways {
        for (caller, method, path, headers, expected) in CASES {
            let leaf = mesh.leaf(caller, LIFE);
            let request = format!(
                "{method} {path} HTTP/1.1\r\nhost: product\r\n{headers}content-length: 0\r\nconnection: close\r\n\r\n"
            );
            let status = ask(mesh, way, &leaf, &request).await;
            let found = match status.as_str() {
                "503" => true,
                "403" => false,
                _ => panic!("{} to {}: {status}\n{}", request, way.account, scene.quote()),
            };
            assert_eq!(found, expected, "{caller} to {}: {request}", way.account);
        }
    }
}

async fn ask(mesh: &Mesh, way: &Way, leaf: &Leaf, request: &str) -> String {
    let bundle = mesh.control_plane().authority().bundle().clone();
    let client = TlsClient::new(Some(leaf), &bundle, &mesh.id(way.account));
    let answer = client.say(way.to, &way.words, request).await.response;
    let answer = answer.unwrap_or_else(|error| panic!("{request} to {}: {error}", way.account));
    answer.get(9..12).unwrap_or_default().to_owned()
}

//! S30, deep nesting and bombs of references: in protobuf to the control plane and to a sidecar, in JSON to the admin
//! sockets and the webhook, in YAML to the source and the command line. An error, no overflow of the stack, and no wait.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use bytes::Bytes;
use http::Method;
use tonic::Code;
use tonic::transport::Channel;

use super::pair;
use crate::harness::{
    Mesh, Plain, Program, binary, control_channel, eventually, get, request, run,
};

const HOUR: Duration = Duration::from_secs(3600);
const DEEP: usize = 10_000;
/// Longer than any of it may take on a machine that has other things to do.
const SOON: Duration = Duration::from_secs(60);

/// Field `number` of a message, of length-delimited content.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut bytes = vec![number << 3 | 2];
    let mut length = content.len();
    while length >= 0x80 {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        length >>= 7;
    }
    bytes.push(u8::try_from(length).unwrap());
    bytes.extend(content);
    bytes
}

/// A Struct in a Struct in a Struct: `fields` is 1, its value 2, and `struct_value` of a Value 5.
fn nested_struct(depth: usize) -> Vec<u8> {
    let mut inner = Vec::new();
    for _ in 0..depth {
        let value = field(5, &inner);
        inner = field(1, &[field(1, b"a"), field(2, &value)].concat());
    }
    inner
}

/// Groups have no length, so that as many fit as there are bytes.
fn groups(number: u8, depth: usize) -> Vec<u8> {
    [vec![number << 3 | 3; depth], vec![number << 3 | 4; depth]].concat()
}

/// The code that a stream ends with whose first message is these bytes.
async fn said(channel: Channel, method: &'static str, message: Vec<u8>) -> Code {
    let mut client = tonic::client::Grpc::new(channel);
    client.ready().await.unwrap();
    let path = http::uri::PathAndQuery::from_static(method);
    let messages = tokio_stream::once(Bytes::from(message));
    match client.streaming(tonic::Request::new(messages), path, Plain).await {
        Err(status) => status.code(),
        Ok(responses) => {
            let mut responses = responses.into_inner();
            loop {
                match responses.message().await {
                    Ok(Some(_)) => {}
                    Ok(None) => return Code::Ok,
                    Err(status) => return status.code(),
                }
            }
        }
    }
}

const METHODS: [&str; 3] = [
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources",
    "/weft.telemetry.v1.Telemetry/Report",
    "/weft.identity.v1.Identity/Issue",
];

#[tokio::test]
async fn protobuf_that_is_too_deep_is_refused() {
    let mesh = pair().absent_caller("web").start().await;
    let leaf = mesh.leaf("web", HOUR);
    // Node is 1 and its metadata 3.
    let node = |content: Vec<u8>| field(1, &[field(1, b"web.shop"), content].concat());
    let messages = [
        ("Structs", node(field(3, &nested_struct(DEEP)))),
        ("a few Structs", node(field(3, &nested_struct(30)))),
        ("groups", groups(15, 500_000)),
        ("groups in a node", node(groups(15, 500_000))),
        ("groups that do not end", vec![15 << 3 | 3; 1_000_000]),
        ("fields in themselves", (0..DEEP).fold(Vec::new(), |inner, _| field(1, &inner))),
    ];
    for method in METHODS {
        for (what, message) in &messages {
            let channel = control_channel(mesh.control_plane(), Some(&leaf)).await.unwrap();
            let started = Instant::now();
            let asked = tokio::time::timeout(SOON, said(channel, method, message.clone())).await;
            let code = asked.unwrap_or_else(|_| panic!("{method}: no answer to {what}"));
            eprintln!("S30 {method}: {what}: {code:?} after {:?}", started.elapsed());
            assert_alive(&mesh).await;
        }
    }
}

async fn assert_alive(mesh: &Mesh) {
    mesh.control_plane().process().pid().unwrap();
    mesh.control_plane().admin().get("/v1/version").await.unwrap();
    assert_eq!(get(mesh.entry("gateway", "product"), "/").await.unwrap().status, 200);
}

#[tokio::test]
async fn json_that_is_too_deep_is_refused() {
    let mesh = pair().start().await;
    let deep =
        |depth: usize, open: &str, close: &str| [open.repeat(depth), close.repeat(depth)].concat();
    for (what, body) in [
        ("arrays", deep(DEEP, "[", "]")),
        ("objects", deep(5_000, "{\"a\":", "}")),
        ("arrays that do not end", "[".repeat(60_000)),
        ("a number of 60,000 digits", "9".repeat(60_000)),
        ("arrays in a name", format!("{{\"workload\": {}}}", deep(DEEP, "[", "]"))),
    ] {
        let answer =
            mesh.control_plane().admin().ask(Method::POST, "/v1/join-tokens", &body).await.unwrap();
        assert!(answer.status.is_client_error(), "{what}: {answer:?}");
        let headers = [("origin", "x")];
        let sent = request(Method::POST, "/v1/drain", &headers, &body);
        let answer = mesh.proxy("product-v1").admin().send(sent).await.unwrap();
        assert_eq!(answer.status, 403, "{what}");
    }
    assert_alive(&mesh).await;
}

/// What YAML can be made to mean.
fn yaml() -> Vec<(&'static str, String)> {
    let object = |spec: &str| {
        format!(
            "apiVersion: v1\nkind: Service\nmetadata: {{name: odd, namespace: shop}}\nspec: {spec}\n"
        )
    };
    let laughs: String = (1..30)
        .map(|level| {
            format!("  l{level}: &l{level} [{}]\n", vec![format!("*l{}", level - 1); 10].join(", "))
        })
        .collect();
    let anchors: String = (0..DEEP).map(|n| format!("  a{n}: &a{n} x\n")).collect();
    let aliases: String = (0..DEEP).map(|n| format!("  b{n}: *a{n}\n")).collect();
    let merges: String = (1..100)
        .map(|n| format!("  m{n}: &m{n} {{<<: [*m{0}, *m{0}], k{n}: x}}\n", n - 1))
        .collect();
    vec![
        ("deep sequences", object(&[vec!["["; DEEP].concat(), vec!["]"; DEEP].concat()].concat())),
        (
            "deep mappings",
            object(
                &[vec!["{a: "; DEEP].concat(), "x".to_owned(), vec!["}"; DEEP].concat()].concat(),
            ),
        ),
        (
            "deep by indentation",
            object(&format!(
                "\n{}",
                (1..2_000).map(|n| format!("{}a:\n", " ".repeat(n))).collect::<String>()
            )),
        ),
        ("sequences that do not end", object(&"[".repeat(100_000))),
        ("a billion laughs", object(&format!("\n  l0: &l0 lol\n{laughs}"))),
        ("ten thousand anchors", object(&format!("\n{anchors}{aliases}"))),
        ("merges of merges", object(&format!("\n  m0: &m0 {{k0: x}}\n{merges}"))),
        ("an alias of itself", object("&a [*a]")),
        ("a key of 100 KB", object(&format!("{{? {} : x}}", "k".repeat(100 << 10)))),
        ("a document of tags", object(&"!!a ".repeat(50_000))),
        ("ten thousand documents", object("{}").replace("spec", "---\nspec").repeat(2_000)),
    ]
}

#[tokio::test]
async fn yaml_that_is_too_deep_or_a_bomb_is_a_finding() {
    let mesh = pair().start().await;
    let process = mesh.control_plane().process();
    let directory = tempfile::tempdir().unwrap();
    for (number, (what, text)) in yaml().into_iter().enumerate() {
        process.forget_peak();
        let (before, started) = (process.rss(), Instant::now());
        mesh.write("odd.yaml", &text);
        // What comes after it is read, so it has been.
        let after =
            crate::harness::manifests::service(&format!("after{number}"), "after", None, "http");
        mesh.write("zz-after.yaml", &after);
        eventually(&format!("the source goes on after {what}"), SOON, async || {
            let analysis = mesh.control_plane().admin().get("/v1/analysis").await?.to_string();
            ensure!(
                analysis.contains(&format!("after{number}")),
                "{}",
                &analysis[..analysis.len().min(500)]
            );
            Result::Ok(())
        })
        .await;
        let grown = super::mib(process.peak().saturating_sub(before));
        let taken = started.elapsed();
        let file = directory.path().join("odd.yaml");
        std::fs::write(&file, &text).unwrap();
        let program = Program {
            name: format!("weft analyze of {what}"),
            path: binary("weft"),
            args: vec!["analyze".into(), directory.path().into()],
            variables: Vec::new(),
            log: "".into(),
        };
        let started = Instant::now();
        let analysed = run(&program, SOON).await;
        // 0, or 3 for what it has found; an overflow of the stack would be a signal.
        assert!(matches!(analysed.code, Some(0 | 3)), "{what}: {analysed:?}");
        eprintln!(
            "S30 YAML, {what}: source {taken:?}, {grown:.1} MiB more; weft analyze: {:?} after {:?}",
            analysed.code,
            started.elapsed()
        );
        assert!(grown < 200.0, "{what}: {grown} MiB");
        assert_alive(&mesh).await;
    }
}

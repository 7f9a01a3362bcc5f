//! S28, telemetry: whoever can send requests can neither make the tables of metrics grow nor write into the logs what is not
//! there. Hosts, paths and agents by the thousand, and bytes by which terminals take commands and readers of logs are
//! led to believe in lines of their own.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

use super::{mib, pair};
use crate::harness::manifests::{backend, http_route};
use crate::harness::{Act, Collector, Mesh, ask, eventually, within};

const CONNECTIONS: usize = 8;
const SOON: Duration = Duration::from_secs(20);

/// Some are routed, some are not.
fn route() -> String {
    let rule = format!(
        "  - matches: [{{path: {{type: PathPrefix, value: /some}}}}]\n    backendRefs: [{}]\n",
        backend("product", 1)
    );
    http_route("product", "product", &rule)
}

async fn series(mesh: &Mesh, workload: &str) -> usize {
    let text = mesh.proxy(workload).metrics().await.unwrap();
    text.lines().filter(|line| !line.starts_with('#')).count()
}

/// So many requests, no two of which have host, path, agent or trace in common.
async fn flood(to: SocketAddr, many: usize, prefix: &'static str) {
    let mut clients = JoinSet::new();
    for client in 0..CONNECTIONS {
        clients.spawn(async move {
            let mut stream = TcpStream::connect(to).await.unwrap();
            let mut seen = Vec::new();
            for round in 0..many / CONNECTIONS / 50 {
                let requests: String = (0..50)
                    .map(|number| {
                        let id = format!("{client}-{round}-{number}");
                        format!("GET {prefix}/{id} HTTP/1.1\r\nHost: h{id}.test\r\nUser-Agent: agent/{id}\r\nX-Request-Id: {id}\r\nReferer: http://r{id}.test/\r\n\r\n")
                    })
                    .collect();
                stream.write_all(requests.as_bytes()).await.unwrap();
                let mut answers = 0;
                while answers < 50 {
                    let mut piece = [0; 16 * 1024];
                    let read = stream.read(&mut piece).await.unwrap();
                    assert!(read > 0, "the connection ended");
                    seen.extend_from_slice(&piece[..read]);
                    answers += String::from_utf8_lossy(&seen).matches("HTTP/1.1 ").count();
                    let kept = seen.len().saturating_sub(8);
                    seen.drain(..kept);
                }
                seen.clear();
            }
        });
    }
    while let Some(client) = clients.join_next().await {
        client.unwrap();
    }
}

async fn grows(many: usize) {
    let mesh = pair().file("route.yaml", &route()).start().await;
    mesh.app("product-v1").script(|_| Act::Status(204));
    let sides = [
        ("outbound", "gateway", mesh.entry("gateway", "product")),
        ("inbound", "product-v1", mesh.proxy("product-v1").inbound()),
    ];
    for (.., to) in sides {
        for prefix in ["/some", "/other"] {
            // What a request of this kind makes is there before.
            flood(to, 400, prefix).await;
        }
    }
    for (side, workload, to) in sides {
        let sidecar = mesh.proxy(workload);
        let before = series(&mesh, workload).await;
        sidecar.forget_peak();
        let (rss, started) = (sidecar.rss(), Instant::now());
        for prefix in ["/some", "/other"] {
            flood(to, many / 2, prefix).await;
        }
        let after = series(&mesh, workload).await;
        let grown = mib(sidecar.peak().saturating_sub(rss));
        eprintln!(
            "S28 {side}: {many} hosts, paths, agents and ids in {:?}: series {before} → {after}; {grown:.2} MiB more",
            started.elapsed()
        );
        assert!(after <= before + 20, "{before} series became {after}");
        assert!(grown <= 5.0, "{grown} MiB");
        let edges = edges(&mesh).await;
        assert!(edges <= 4, "the control plane knows of {edges} edges");
    }
}

/// Edges that the control plane keeps.
async fn edges(mesh: &Mesh) -> usize {
    let stat = mesh.control_plane().admin().get("/v1/stat?window=all").await.unwrap();
    stat["edges"].as_array().map_or(0, Vec::len)
}

#[tokio::test]
async fn thousands_of_hosts_and_paths_make_no_series() {
    grows(20_000).await;
}

#[tokio::test]
#[ignore = "long; run by tests/run --all"]
async fn a_hundred_thousand_hosts_and_paths_make_no_series() {
    grows(100_000).await;
}

/// Bytes that readers of logs take for something else, wherever a client can put them.
const ODD: [(&str, &[u8]); 9] = [
    ("C1's CSI in UTF-8", b"\xc2\x9b31mred"),
    ("C1's CSI alone", b"\x9b31mred"),
    ("no UTF-8", b"\xff\xfe\xe9"),
    ("a line of its own, escaped", b"%0d%0a{\"level\":\"ERROR\"}"),
    ("quotes and braces", b"\"},{\"status\":200,\"x\":\""),
    ("a backslash", b"\\u001b[31m\\"),
    ("the other way round", "\u{202e}gnp.exe".as_bytes()),
    ("a separator of lines", "\u{2028}second".as_bytes()),
    ("a thousand letters", &[b'x'; 4_000]),
];

/// What terminals and readers of text take for more than a letter.
fn is_odd(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Everything odd in every place; how many requests that were.
async fn send_odd(mesh: &Mesh) -> usize {
    let mut sent = 0;
    for to in [mesh.entry("gateway", "product"), mesh.proxy("product-v1").inbound()] {
        for (what, odd) in ODD {
            for place in [
                "path",
                "query",
                "user-agent",
                "x-request-id",
                "referer",
                "x-forwarded-for",
                "traceparent",
                "host",
            ] {
                let (path, host) = match place {
                    "path" => ([b"/some/", odd].concat(), b"shop.test".to_vec()),
                    "query" => ([b"/some?q=", odd].concat(), b"shop.test".to_vec()),
                    "host" => (b"/some".to_vec(), odd.to_vec()),
                    _ => (b"/some".to_vec(), b"shop.test".to_vec()),
                };
                let mut request = [
                    b"GET ",
                    &path[..],
                    b" HTTP/1.1\r\nHost: ",
                    &host,
                    b"\r\nConnection: close\r\n",
                ]
                .concat();
                if !matches!(place, "path" | "query" | "host") {
                    request.extend([place.as_bytes(), b": ", odd, b"\r\n"].concat());
                }
                request.extend(b"\r\n");
                let answer = ask(to, &request)
                    .await
                    .unwrap_or_else(|error| panic!("{what} in {place}: {error}"));
                assert!(answer.starts_with(b"HTTP/1.1 "), "{what} in {place}");
                sent += 1;
            }
            // In plaintext where a handshake is expected, and ahead of any HTTP.
            let mut stream = TcpStream::connect(to).await.unwrap();
            stream.write_all(odd).await.unwrap();
            stream.shutdown().await.unwrap();
            let _ = within("its end", SOON, stream.read_to_end(&mut Vec::new())).await;
        }
    }
    sent
}

/// The logs' lines, each of which is whole and what it says; how many.
async fn plain_lines(mesh: &Mesh, sent: usize) -> usize {
    let mut lines = 0;
    for workload in ["gateway", "product-v1"] {
        let log = eventually("the lines are there", SOON, async || {
            let log = mesh.proxy(workload).process().log();
            ensure!(log.lines().count() >= sent / 4, "{} lines", log.lines().count());
            // The last one may not be whole yet.
            let whole = log.rfind('\n').map_or("", |end| &log[..end]).to_owned();
            Result::Ok(whole)
        })
        .await;
        for line in log.lines() {
            lines += 1;
            let read: Value =
                serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line:?}"));
            assert!(read.is_object(), "{line}");
            assert!(read.get("level").is_none_or(|level| level != "ERROR"), "{line}");
            let odd = line.chars().find(|c| is_odd(*c));
            assert_eq!(odd, None, "{line:?}");
            assert!(line.len() < 8 << 10, "{} bytes", line.len());
        }
    }
    lines
}

#[tokio::test]
async fn log_lines_and_spans_are_what_they_say() {
    let collector = Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap();
    let tracing = format!("tracing: {{endpoint: 'http://{}', sampling: 1.0}}", collector.address());
    let mesh = pair().proxy_args(&["--access-log", "all"]).file("route.yaml", &route());
    let mesh = mesh.setting(&tracing).start().await;
    let sent = send_odd(&mesh).await;
    let lines = plain_lines(&mesh, sent).await;
    let spans = eventually("spans arrive", SOON, async || {
        let spans = collector.spans();
        ensure!(spans.len() >= 50, "{}", spans.len());
        Result::Ok(spans)
    })
    .await;
    let names: std::collections::BTreeSet<_> = spans.iter().map(|span| span.name.clone()).collect();
    eprintln!(
        "S28: {sent} odd requests: {lines} lines, each of one piece; {} spans of the names {names:?}",
        spans.len()
    );
    assert!(names.len() <= 6, "names of spans follow what is configured: {names:?}");
    for span in &spans {
        for (key, value) in &span.attributes {
            assert!(value.len() <= 2_048 && !value.contains(is_odd), "{key}: {value:?}");
        }
    }
}

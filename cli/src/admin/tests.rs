//! Questions to a real Unix socket.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

async fn answer_once(path: &Path, response: &'static str) {
    let listener = tokio::net::UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut request = [0; 1024];
        let length = stream.read(&mut request).await.unwrap();
        assert!(length > 0);
        stream.write_all(response.as_bytes()).await.unwrap();
    });
}

#[tokio::test]
async fn a_json_answer_is_read() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("admin.sock");
    answer_once(
        &path,
        "HTTP/1.1 200 OK\r\ncontent-length: 25\r\n\r\n{\"trust_domain\":\"demo.x\"}",
    )
    .await;
    let mesh: MeshInfo = AdminSocket::new(&path).get("/v1/mesh").await.unwrap();
    assert_eq!(mesh.trust_domain, "demo.x");
}

#[tokio::test]
async fn a_refusal_carries_the_other_sides_words() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("admin.sock");
    answer_once(
        &path,
        "HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n{\"error\":\"no workload x.y\"}",
    )
    .await;
    let refused = AdminSocket::new(&path).get::<Value>("/v1/x").await.unwrap_err();
    assert_eq!(refused.to_string(), "no workload x.y (HTTP 404 Not Found)");
}

#[tokio::test]
async fn a_socket_nobody_listens_on_is_named() {
    let scratch = tempfile::tempdir().unwrap();
    let path = scratch.path().join("admin.sock");
    let error = AdminSocket::new(&path).get::<Value>("/ready").await.unwrap_err();
    assert!(error.to_string().contains("admin.sock"), "{error}");
}

use serde_json::Value;

#[test]
fn unknown_fields_of_a_newer_control_plane_are_kept() {
    let text = r#"{"schema_version":1,"window_s":10,"edges":[{"source":"a","destination":"b",
        "mesh":true,"requests":20,"rps":2.0,"success_rate":0.85,"p50_ms":null,"mtls_share":1.0,
        "p95_ms":7}]}"#;
    let stat: Stat = serde_json::from_str(text).unwrap();
    assert_eq!(stat.edges[0].golden.failures(), 3);
    let again = serde_json::to_value(&stat.edges[0]).unwrap();
    assert_eq!((again["p95_ms"].clone(), again["requests"].clone()), (7.into(), 20.into()));
}

#[test]
fn a_proxy_is_synced_when_all_that_was_sent_was_accepted() {
    let proxy = |acked: &str, rejected: &str| -> Proxy {
        serde_json::from_str(&format!(
            r#"{{"workload":"a.b","connected":true,
                 "resources":{{"routes":{{"sent":"2","acked":"{acked}","rejected":{rejected}}}}}}}"#
        ))
        .unwrap()
    };
    assert!(proxy("2", "null").is_synced());
    assert!(!proxy("1", "null").is_synced());
    let nacked = proxy("2", r#"{"version":"2","reason":"routes[0]: no cluster"}"#);
    assert!(!nacked.is_synced());
    assert_eq!(nacked.rejections().next().unwrap().1.reason, "routes[0]: no cluster");
}

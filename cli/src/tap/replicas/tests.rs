//! Control planes that come and go, as sockets that speak for them.

use std::path::Path;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::UnixListener;
use tokio::time::timeout;

use super::*;

const DEADLINE: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(10);

/// Shows one request to whoever asks, for as long as it is let.
fn control_plane(path: &Path, name: &'static str) -> tokio::task::JoinHandle<()> {
    let listener = UnixListener::bind(path).unwrap();
    tokio::spawn(async move {
        let mut open = Vec::new();
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await.unwrap();
            let line = format!("{{\"type\":\"request\",\"by\":\"{name}\"}}\n");
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            let chunk = format!("{head}{:x}\r\n{line}\r\n", line.len());
            stream.write_all(chunk.as_bytes()).await.unwrap();
            open.push(stream);
        }
    })
}

async fn next(said: &mut mpsc::Receiver<Said>) -> Option<Said> {
    timeout(DEADLINE, said.recv()).await.unwrap()
}

async fn shown_by(said: &mut mpsc::Receiver<Said>) -> String {
    match next(said).await {
        Some(Said::Line(line)) => line["by"].as_str().unwrap().to_owned(),
        Some(Said::Gone(why)) => why,
        None => "nobody".to_owned(),
    }
}

#[tokio::test]
async fn one_that_comes_later_is_heard_and_it_ends_with_the_last() {
    let scratch = tempfile::tempdir().unwrap();
    let path = |name: &str| scratch.path().join(name);
    let first = control_plane(&path("first"), "first");
    let all = [AdminSocket::new(&path("first")), AdminSocket::new(&path("second"))];
    let known = all.clone();
    let planes = Planes::following(vec![all[0].clone()], move || known.to_vec());
    let (sender, mut said) = mpsc::channel(4);
    let replicas = Replicas::new(Value::Null, sender);
    replicas.begin(&all[..1]).await.unwrap();
    assert_eq!(shown_by(&mut said).await, "first");
    assert!(replicas.begin(&all[1..]).await.is_err(), "it is not there yet");

    planes.lost();
    let second = control_plane(&path("second"), "second");
    let following = tokio::spawn(replicas.follow(planes, SOON, SOON * 10));
    assert_eq!(shown_by(&mut said).await, "second", "and the first is not asked twice");
    for plane in [first, second] {
        plane.abort();
        assert!(shown_by(&mut said).await.contains("nothing answers"));
    }
    timeout(DEADLINE, following).await.unwrap().unwrap();
    assert!(next(&mut said).await.is_none());
}

//! The access log by real sidecars: what a line has, who asks for it, and readers that do not read.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::ensure;
use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use hyper_util::rt::TokioIo;
use nix::sys::stat::Mode;
use nix::unistd::{Uid, mkfifo};
use serde_json::Value;
use tokio::time::Instant;

use crate::harness::{Act, Collector, Kept, Mesh, eventually, get};

const SOON: Duration = Duration::from_secs(20);

fn lines(text: &str) -> Vec<Value> {
    let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines.filter(|line| line["protocol"].is_string() || line["path"].is_string()).collect()
}

fn logged(mesh: &Mesh, workload: &str) -> Vec<Value> {
    lines(&mesh.proxy(workload).process().log())
}

/// A TelemetryPolicy; `spec` is flow YAML.
fn policy(spec: &str) -> String {
    format!(
        "apiVersion: weft.dev/v1alpha1\nkind: TelemetryPolicy\nmetadata: {{name: log, namespace: shop}}\nspec: {spec}\n"
    )
}

/// A body of so many bytes whose length nobody is told.
async fn upload(to: std::net::SocketAddr, bytes: usize) -> u16 {
    let chunks = std::iter::repeat_n(Bytes::from_static(&[b'x'; 1000]), bytes / 1000);
    let body = StreamBody::new(tokio_stream::iter(
        chunks.map(|chunk| Ok::<_, std::io::Error>(Frame::data(chunk))),
    ));
    let stream = TokioIo::new(tokio::net::TcpStream::connect(to).await.unwrap());
    let (mut sender, connection) = hyper::client::conn::http1::handshake(stream).await.unwrap();
    tokio::spawn(connection);
    let request = Request::post("/upload").header("host", "shop.test").body(body).unwrap();
    let answer = sender.send_request(request).await.unwrap();
    let status = answer.status().as_u16();
    answer.into_body().collect().await.unwrap();
    status
}

#[tokio::test]
async fn a_line_has_times_and_bytes_of_both_ways() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .file("log.yaml", &policy("{accessLog: {successes: 1}}"))
        .start()
        .await;
    mesh.app("product-v1").script(|_| Act::Delay(Duration::from_millis(30)));
    assert_eq!(upload(mesh.entry("gateway", "product"), 50_000).await, 200);
    for workload in ["gateway", "product-v1"] {
        let line = eventually("the line is there", SOON, async || {
            let lines = logged(&mesh, workload);
            ensure!(lines.len() == 1, "{lines:?}");
            Ok(lines[0].clone())
        })
        .await;
        assert_eq!(line["bytes_sent"], 50_000, "{line}");
        assert!(line["bytes_received"].as_u64() > Some(50_000), "an echo: {line}");
        let ms = |name: &str| line[name].as_f64().unwrap_or_else(|| panic!("no {name}: {line}"));
        assert!(ms("first_byte_ms") >= 30.0 && ms("duration_ms") >= ms("first_byte_ms"), "{line}");
        assert!(ms("connect_ms") < ms("first_byte_ms"), "{line}");
        assert_eq!(line["attempts"], 1);
    }
}

#[tokio::test]
async fn a_policy_chooses_lines_by_outcome_and_fields_by_name() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    let entry = mesh.entry("gateway", "product");
    mesh.app("product-v1")
        .script(|seen| if seen.path == "/bad" { Act::Status(500) } else { Act::Echo });
    get(entry, "/bad").await.unwrap();
    mesh.write("log.yaml", &policy("{accessLog: {fields: [method, path, status]}}"));
    for workload in ["gateway", "product-v1"] {
        eventually("failures are logged", SOON, async || {
            get(entry, "/good").await?;
            get(entry, "/bad").await?;
            ensure!(!logged(&mesh, workload).is_empty(), "nothing yet");
            Ok(())
        })
        .await;
        for line in logged(&mesh, workload) {
            assert_eq!(line, serde_json::json!({"method": "GET", "path": "/bad", "status": 500}));
        }
    }
    mesh.write("log.yaml", &policy("{accessLog: {successes: 0.25, fields: [path]}}"));
    eventually("some successes are, on both sides", SOON, async || {
        get(entry, "/good").await?;
        for workload in ["gateway", "product-v1"] {
            let lines = logged(&mesh, workload);
            ensure!(lines.iter().any(|line| line["path"] == "/good"), "{workload}: none yet");
        }
        Ok(())
    })
    .await;
    for _ in 0..400 {
        get(entry, "/many").await.unwrap();
    }
    let many = eventually("the last lines are out", SOON, async || {
        let count = |workload| {
            logged(&mesh, workload).iter().filter(|line| line["path"] == "/many").count()
        };
        // 400 draws at a quarter: 100, standard deviation 8.7; these are seven of them and more.
        let counts = (count("gateway"), count("product-v1"));
        ensure!((35..=165).contains(&counts.0) && counts.0 == counts.1, "{counts:?}");
        Ok(counts.0)
    })
    .await;
    println!("access log: {many} of 400 at a share of 0.25, the same on both sides");
}

#[tokio::test]
async fn lines_go_to_a_collector_besides() {
    for over_http in [false, true] {
        let collector = match over_http {
            true => Collector::start_http().await.unwrap(),
            false => Collector::start("127.0.0.1:0".parse().unwrap()).await.unwrap(),
        };
        let protocol = if over_http { "http/protobuf" } else { "grpc" };
        let at = collector.address();
        let mesh = Mesh::builder()
            .service("product", &["v1"])
            .caller("gateway")
            .setting(&format!(
                "accessLog: {{successes: 1, endpoint: 'http://{at}', protocol: {protocol}}}"
            ))
            .start()
            .await;
        let entry = mesh.entry("gateway", "product");
        mesh.app("product-v1")
            .script(|seen| if seen.path == "/bad" { Act::Status(500) } else { Act::Echo });
        get(entry, "/good").await.unwrap();
        get(entry, "/bad").await.unwrap();
        let records = eventually("records arrive", SOON, async || {
            let records = collector.records();
            ensure!(records.len() >= 4, "{records:?}");
            Ok(records)
        })
        .await;
        let bad = records.iter().find(|record| record.attributes["path"] == "/bad").unwrap();
        assert_eq!((bad.severity.as_str(), bad.body.as_str()), ("ERROR", "GET /bad 500"));
        assert_eq!(bad.attributes["status"], "500");
        let services: std::collections::BTreeSet<_> =
            records.iter().map(|record| &record.service).collect();
        assert_eq!(services.len(), 2, "{services:?}");
        assert!(records.iter().all(|record| record.trace.is_empty()), "no trace has begun");
        eventually("they go to standard output too", SOON, async || {
            let lines = logged(&mesh, "gateway");
            ensure!(lines.len() == 2, "{lines:?}");
            Ok(())
        })
        .await;
    }
}

/// Sends so many requests, one after the other, with paths that make long lines; each has to be answered.
async fn busy(mesh: &Mesh, requests: usize) -> Duration {
    let path = format!("/{}", "x".repeat(900));
    let mut client = Kept::http1(mesh.entry("gateway", "product")).await.unwrap();
    let mut slowest = Duration::ZERO;
    for number in 0..requests {
        let start = Instant::now();
        let answer =
            client.get(&path).await.unwrap_or_else(|error| panic!("request {number}: {error:#}"));
        assert_eq!(answer.status, 200, "request {number}");
        slowest = slowest.max(start.elapsed());
    }
    slowest
}

async fn dropped(mesh: &Mesh, workload: &str) -> f64 {
    mesh.proxy(workload).metric("weft_access_log_dropped_total", &[]).await.unwrap()
}

#[tokio::test]
async fn a_pipe_that_nobody_reads_costs_lines_and_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let pipe = directory.path().join("pipe");
    mkfifo(&pipe, Mode::S_IRWXU).unwrap();
    // Held open, and never read. Standard error goes there too, as in a container, with a great deal to say.
    let nobody =
        OpenOptions::new().read(true).custom_flags(nix::libc::O_NONBLOCK).open(&pipe).unwrap();
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .proxy_args(&["--access-log", "all"])
        .proxy_variable("WEFT_LOG", "trace")
        .prepared("gateway", &format!("exec >{0} 2>&1", pipe.display()))
        .start()
        .await;
    let slowest = busy(&mesh, 3000).await;
    let lost = eventually("lines are dropped", SOON, async || {
        let lost = dropped(&mesh, "gateway").await;
        ensure!(lost > 0.0, "the pipe took everything");
        Ok(lost)
    })
    .await;
    let start = Instant::now();
    let status = mesh.proxy("gateway").process().terminate(SOON).await;
    assert!(status.success(), "{status}");
    println!(
        "blocked pipe: 3000 requests, 0 lost, the slowest {slowest:?}; {lost} lines dropped; exit in {:?}",
        start.elapsed()
    );
    drop(nobody);
}

/// A file system of 64 KiB, which takes root; gone with the value.
struct SmallDisk(PathBuf);

impl SmallDisk {
    fn mount(at: &Path) -> Self {
        let options = ["-t", "tmpfs", "-o", "size=64k", "weft-test"];
        let status = Command::new("mount").args(options).arg(at).status().unwrap();
        assert!(status.success(), "{status}");
        Self(at.to_owned())
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

#[tokio::test]
async fn a_full_disk_costs_lines_and_no_request() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Uid::effective().is_root().then(|| SmallDisk::mount(directory.path()));
    let file = match disk {
        Some(_) => directory.path().join("log"),
        None => "/dev/full".into(),
    };
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .caller("gateway")
        .proxy_args(&["--access-log", "all"])
        .prepared("gateway", &format!("exec >>{0}", file.display()))
        .start()
        .await;
    busy(&mesh, 300).await;
    eventually("lines are dropped", SOON, async || {
        let lost = dropped(&mesh, "gateway").await;
        ensure!(lost >= 100.0, "{lost}");
        Ok(())
    })
    .await;
    if disk.is_none() {
        return;
    }
    // There is room again: what comes then is whole.
    OpenOptions::new().write(true).truncate(true).open(&file).unwrap();
    eventually("lines come again", SOON, async || {
        busy(&mesh, 1).await;
        let text = fs::read_to_string(&file)?;
        let whole = lines(&text).len();
        ensure!(whole >= 2, "{text}");
        let torn: Vec<_> = text.lines().filter(|line| !line.is_empty()).skip(1).collect();
        ensure!(torn.iter().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{text}");
        Ok(())
    })
    .await;
    println!(
        "full disk: 301 requests and more, 0 lost; {} lines dropped",
        dropped(&mesh, "gateway").await
    );
}

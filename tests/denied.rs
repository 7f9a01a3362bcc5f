//! The deny list: whom it names is neither served nor called, live, on resumed sessions and on connections that are
//! open, gets no certificate and no configuration; and whoever is taken off it is as before.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use nix::sys::signal::Signal;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::harness::{
    Answer, Builder, Kept, Mesh, TRUST_DOMAIN, TcpApp, TlsApp, TlsClient, eventually, get,
    manifests, within,
};

mod refused;

const DEADLINE: Duration = Duration::from_secs(20);
const HOUR: Duration = Duration::from_secs(3600);
/// Connections of each caller.
const MANY: usize = 100;

fn shop() -> Builder {
    Mesh::builder().service("product", &["v1"]).caller("gateway").caller("batch")
}

/// Has the mesh deny these and nobody else; returns when that was written.
fn deny(mesh: &Mesh, identities: &[&str], serials: &[&str]) -> Instant {
    let entries = |list: &str, name: &str, entries: &[&str]| {
        let entry = |entry: &&str| format!("    - {{{name}: '{entry}', reason: key leaked}}\n");
        let entries: String = entries.iter().map(entry).collect();
        if entries.is_empty() { String::new() } else { format!("    {list}:\n{entries}") }
    };
    let identities = entries("identities", "identity", identities);
    let spec = format!("  denied:\n{identities}{}", entries("serials", "serial", serials));
    mesh.write("mesh.yaml", &manifests::mesh_config(TRUST_DOMAIN, &spec));
    Instant::now()
}

/// Serial number of a sidecar's certificate.
async fn serial(mesh: &Mesh, workload: &str) -> Result<String> {
    let certificate = mesh.proxy(workload).admin().get("/v1/config/certificate").await?;
    let serial = certificate["serial"].as_str().map(str::to_owned);
    serial.ok_or_else(|| anyhow::anyhow!("{certificate}"))
}

/// A request that ends so, and why.
async fn fails(entry: SocketAddr, error: &str) -> Answer {
    eventually(error, DEADLINE, async || {
        let answer = get(entry, "/").await?;
        let status = answer.header("proxy-status");
        ensure!(answer.status == 503 && status.contains(error), "{} {status}", answer.status);
        Ok(answer)
    })
    .await
}

async fn succeeds(entry: SocketAddr) {
    eventually("a request succeeds", DEADLINE, async || {
        let answer = get(entry, "/").await?;
        ensure!(answer.status == 200, "{}", answer.header("proxy-status"));
        Ok(())
    })
    .await;
}

/// A connection through a sidecar to an application that has greeted.
async fn greeted(entry: SocketAddr) -> TcpStream {
    let mut stream = TcpStream::connect(entry).await.unwrap();
    let mut greeting = vec![0; TcpApp::GREETING.len()];
    within("the greeting", DEADLINE, stream.read_exact(&mut greeting)).await.unwrap();
    stream
}

async fn until_cut(mut stream: TcpStream) -> Instant {
    let ended = within("the end", DEADLINE, stream.read(&mut [0])).await;
    assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
    Instant::now()
}

fn told(what: &str, mut times: Vec<Duration>) {
    times.sort();
    let (p50, last) = (times[times.len() / 2], times[times.len() - 1]);
    eprintln!("{what}: {} cut, p50 {p50:.0?}, last {last:.0?} after the change", times.len());
}

#[tokio::test]
async fn a_denied_caller_is_cut_and_refused_and_comes_back() {
    let mesh = shop().start().await;
    let [gateway, batch] = ["gateway", "batch"].map(|caller| mesh.entry(caller, "product"));
    let mut kept = Kept::http2(batch).await.unwrap();
    assert_eq!(kept.get("/").await.unwrap().status, 200);
    succeeds(gateway).await;
    let app = mesh.app("product-v1");
    let product = mesh.proxy("product-v1");

    let since = deny(&mesh, &["shop/batch"], &[]);
    let answer = fails(batch, "identity_denied").await;
    eprintln!("a denied caller's own sidecar: closed {:.0?} after the change", since.elapsed());
    let reason = answer.header("proxy-status");
    assert!(
        reason.contains("spiffe://mesh.test/ns/shop/sa/batch is denied: key leaked"),
        "{reason}"
    );
    is_not_ready(&mesh, "batch", "key leaked").await;
    assert_eq!(kept.get("/").await.unwrap().status, 503, "on a kept connection too");
    // Somebody who has its key and no sidecar is refused by the other side.
    let authority = mesh.control_plane().authority();
    let thief = mesh.leaf("batch", HOUR);
    let thief = TlsClient::new(Some(&thief), authority.bundle(), &mesh.id("product"));
    eventually("he is refused, and told why", DEADLINE, async || {
        let knock = thief.knock(product.inbound()).await;
        ensure!(!knock.is_let_in(), "{knock:?}");
        let response = knock.response.unwrap_err();
        ensure!(response.contains("CertificateRevoked"), "{response}");
        Ok(())
    })
    .await;
    let before = app.count();
    assert!(!thief.knock(product.inbound()).await.is_let_in());
    assert_eq!(kept.get("/").await.unwrap().status, 503);
    assert_eq!(app.count(), before, "nothing of it arrives");
    product.process().logged(&["denied peer refused", "key leaked"]).await;
    let refused = ["direction=\"inbound\"", "by=\"identity\"", "outcome=\"refused\""];
    are_counted(&mesh, "product-v1", &refused).await;
    succeeds(gateway).await;

    let since = deny(&mesh, &[], &[]);
    succeeds(batch).await;
    eprintln!("a caller that is denied no more: served {:.0?} after the change", since.elapsed());
    eventually("and by the other side too", DEADLINE, async || {
        let knock = thief.knock(product.inbound()).await;
        ensure!(knock.is_let_in(), "{knock:?}");
        Ok(())
    })
    .await;
}

/// Its sidecar is not ready, and says why.
async fn is_not_ready(mesh: &Mesh, workload: &str, why: &str) {
    eventually("its sidecar says why", DEADLINE, async || {
        let ready = mesh.proxy(workload).readiness().await;
        let reason = ready.err().map(|reason| reason.to_string()).unwrap_or_default();
        ensure!(reason.contains(why), "{workload}: {reason}");
        Ok(())
    })
    .await;
}

/// Its sidecar has counted peers that are denied.
async fn are_counted(mesh: &Mesh, workload: &str, labels: &[&str]) {
    eventually("they are counted", DEADLINE, async || {
        let count = mesh.proxy(workload).metric("weft_denied_peers_total", labels).await?;
        ensure!(count >= 1.0, "{workload} {labels:?}: {count}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_denied_server_is_not_called_not_even_over_a_kept_connection() {
    let mesh = shop().service("order", &["v1"]).start().await;
    let [product, order] = ["product", "order"].map(|service| mesh.entry("gateway", service));
    for entry in [product, order] {
        succeeds(entry).await;
    }
    let denied = serial(&mesh, "product-v1").await.unwrap();
    let since = deny(&mesh, &["spiffe://mesh.test/ns/shop/sa/order"], &[&denied]);
    let answer = fails(order, "peer_denied").await;
    eprintln!("a denied server: not called {:.0?} after the change", since.elapsed());
    let reason = answer.header("proxy-status");
    assert!(reason.contains("sa/order is denied: key leaked"), "{reason}");
    // Its sidecar knows that its certificate is denied, and takes no calls itself.
    eventually("the other's neither", DEADLINE, async || {
        ensure!(get(product, "/").await?.status == 503, "still called");
        Ok(())
    })
    .await;
    is_not_ready(&mesh, "product-v1", &format!("certificate {denied} is denied")).await;
    for (workload, entry) in [("product-v1", product), ("order-v1", order)] {
        let before = mesh.app(workload).count();
        assert_eq!(get(entry, "/").await.unwrap().status, 503, "{workload}");
        assert_eq!(mesh.app(workload).count(), before, "{workload}");
    }
    let labels = ["direction=\"outbound\"", "by=\"identity\"", "outcome=\"refused\""];
    are_counted(&mesh, "gateway", &labels).await;
    deny(&mesh, &[], &[]);
    succeeds(product).await;
    succeeds(order).await;
}

#[tokio::test]
async fn a_hundred_open_connections_of_a_denied_caller_are_cut_and_no_other() {
    let mesh =
        Mesh::builder().without_app("db", "tcp").caller("gateway").caller("batch").start().await;
    let _app = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let (mut kept, mut doomed) = (Vec::new(), JoinSet::new());
    for _ in 0..MANY {
        kept.push(greeted(mesh.entry("gateway", "db")).await);
        doomed.spawn(until_cut(greeted(mesh.entry("batch", "db")).await));
    }
    // The caller's own sidecar would end them too, and may be the first: for now it does nothing.
    let batch = mesh.proxy("batch");
    batch.process().signal(Signal::SIGSTOP);
    let since = deny(&mesh, &["shop/batch"], &[]);
    let labels = ["direction=\"inbound\"", "outcome=\"cut\""];
    are_counted(&mesh, "db-v1", &labels).await;
    batch.process().signal(Signal::SIGCONT);
    let ends = doomed.join_all().await;
    told("open connections of a denied caller", ends.iter().map(|end| *end - since).collect());
    for stream in &mut kept {
        stream.write_all(b"again").await.unwrap();
        let mut said = [0; 5];
        within("the echo", DEADLINE, stream.read_exact(&mut said)).await.unwrap();
    }
    // It may be over before it is known here that it was begun.
    if let Ok(refused) = TcpStream::connect(mesh.entry("batch", "db")).await {
        until_cut(refused).await;
    }
    deny(&mesh, &[], &[]);
    eventually("it is served again", DEADLINE, async || {
        let mut stream = TcpStream::connect(mesh.entry("batch", "db")).await?;
        let mut greeting = vec![0; TcpApp::GREETING.len()];
        stream.read_exact(&mut greeting).await?;
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_hundred_connections_to_a_denied_server_are_cut() {
    let mesh = Mesh::builder().without_app("db", "tcp").caller("gateway").without_app("log", "tcp");
    let mesh = mesh.start().await;
    let _db = TcpApp::greeting(mesh.app_address("db-v1")).await.unwrap();
    let _log = TcpApp::greeting(mesh.app_address("log-v1")).await.unwrap();
    let (mut kept, mut doomed) = (Vec::new(), JoinSet::new());
    for _ in 0..MANY {
        kept.push(greeted(mesh.entry("gateway", "log")).await);
        doomed.spawn(until_cut(greeted(mesh.entry("gateway", "db")).await));
    }
    let since = deny(&mesh, &[], &[&serial(&mesh, "db-v1").await.unwrap()]);
    let ends = doomed.join_all().await;
    told("open connections to a denied server", ends.iter().map(|end| *end - since).collect());
    for stream in &mut kept {
        stream.write_all(b"again").await.unwrap();
        within("the echo", DEADLINE, stream.read_exact(&mut [0; 5])).await.unwrap();
    }
}

#[tokio::test]
async fn a_resumed_session_is_refused_and_another_certificate_is_not() {
    let mesh = shop().mtls("STRICT").start().await;
    let inbound = mesh.proxy("product-v1").inbound();
    let authority = mesh.control_plane().authority();
    let [stolen, other] = [mesh.leaf("gateway", HOUR), mesh.leaf("gateway", HOUR)];
    let client = |leaf| TlsClient::new(Some(leaf), authority.bundle(), &mesh.id("product"));
    let (stolen_client, other_client) = (client(&stolen), client(&other));
    for _ in 0..2 {
        assert!(stolen_client.knock(inbound).await.is_let_in());
    }
    let resumed = stolen_client.knock(inbound).await;
    assert_eq!(resumed.handshake, Some(rustls::HandshakeKind::Resumed), "{resumed:?}");
    let since = deny(&mesh, &[], &[&stolen.serial().to_string()]);
    let knock = eventually("it is refused", DEADLINE, async || {
        let knock = stolen_client.knock(inbound).await;
        ensure!(!knock.is_let_in(), "{knock:?}");
        Ok(knock)
    })
    .await;
    eprintln!("a client that resumes: refused {:.0?} after the change: {knock:?}", since.elapsed());
    let before = mesh.app("product-v1").count();
    for _ in 0..5 {
        let knock = stolen_client.knock(inbound).await;
        assert!(!knock.is_let_in(), "{knock:?}");
    }
    assert_eq!(mesh.app("product-v1").count(), before);
    assert!(other_client.knock(inbound).await.is_let_in(), "the same workload's other one");
    deny(&mesh, &[], &[]);
    eventually("it is let in again", DEADLINE, async || {
        ensure!(stolen_client.knock(inbound).await.is_let_in(), "not yet");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_calling_sidecar_does_not_resume_a_session_with_a_denied_server() {
    let mesh = Mesh::builder().without_sidecar("bank", "http").caller("gateway").start().await;
    let authority = mesh.control_plane().authority();
    let leaf = mesh.leaf("bank", HOUR);
    let address = mesh.workload_address("bank-v1");
    let server = TlsApp::start(address, &leaf, authority.bundle()).await.unwrap();
    let entry = mesh.entry("gateway", "bank");
    for _ in 0..2 {
        succeeds(entry).await;
    }
    assert!(server.handshakes().contains(&Some(rustls::HandshakeKind::Resumed)));
    deny(&mesh, &[], &[&leaf.serial().to_string()]);
    fails(entry, "peer_denied").await;
    let before = server.requests();
    fails(entry, "peer_denied").await;
    assert_eq!(server.requests(), before, "not a byte of a request left");
    server.show(&mesh.leaf("bank", HOUR), authority.bundle());
    succeeds(entry).await;
}

#[tokio::test]
async fn a_restart_in_an_outage_keeps_the_list() {
    let mesh = shop().mtls("STRICT").start().await;
    let product = mesh.proxy("product-v1");
    let authority = mesh.control_plane().authority();
    let leaves = ["batch", "gateway"].map(|account| mesh.leaf(account, HOUR));
    let [batch, gateway] = leaves
        .each_ref()
        .map(|leaf| TlsClient::new(Some(leaf), authority.bundle(), &mesh.id("product")));
    deny(&mesh, &["shop/batch"], &[]);
    eventually("it is refused", DEADLINE, async || {
        ensure!(!batch.knock(product.inbound()).await.is_let_in(), "not yet");
        Ok(())
    })
    .await;
    mesh.control_plane().process().kill();
    product.process().kill();
    product.restart().await;
    eventually("it says that it is stale", DEADLINE, async || {
        let stale = product.metric("weft_config_stale", &[]).await?;
        ensure!(stale > 0.0, "{stale}");
        Ok(())
    })
    .await;
    for _ in 0..3 {
        let knock = batch.knock(product.inbound()).await;
        assert!(!knock.is_let_in(), "{knock:?}");
    }
    assert!(gateway.knock(product.inbound()).await.is_let_in());
}

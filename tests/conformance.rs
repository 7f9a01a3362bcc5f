//! The field's own judges of HTTP/2 and gRPC, through the sidecars: h2spec, and the interop client and server of
//! grpc-go. They are Go programs; `tests/run` builds them and runs these tests, which are ignored otherwise.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsConnector;
use weft_certs::tls;
use weft_proto::alpn;

use crate::harness::{Mesh, Output, Process, Program, eventually, own_port, run, tool};

/// Every case of grpc-go's client that needs no credentials of a cloud.
pub(crate) const CASES: [&str; 16] = [
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "custom_metadata",
    "unimplemented_method",
    "unimplemented_service",
    "orca_per_rpc",
    "orca_oob",
];

/// The configuration of a client that looks at load reports.
pub(crate) const ORCA: &str =
    r#"{"loadBalancingConfig":[{"test_backend_metrics_load_balancer":{}}]}"#;

async fn judge(name: &str, args: &[&str]) -> Output {
    let program = Program {
        name: format!("{name} {}", args.join(" ")),
        path: tool(name),
        args: args.iter().map(Into::into).collect(),
        variables: Vec::new(),
        log: PathBuf::new(),
    };
    run(&program, Duration::from_secs(300)).await
}

async fn h2spec(what: &str, to: SocketAddr) {
    let (host, port) = (to.ip().to_string(), to.port().to_string());
    let output = judge("h2spec", &["-S", "-o", "2", "-h", &host, "-p", &port]).await;
    let summary = output.stdout.lines().rev().find(|line| line.contains(" tests, "));
    eprintln!("h2spec, {what}: {}", summary.unwrap_or("no summary"));
    let report = output.stdout.split("Failures:").nth(1).unwrap_or_default();
    let failed: Vec<&str> = report.lines().filter(|line| line.contains('×')).collect();
    assert!(summary.is_some(), "{}{}", output.stdout, output.stderr);
    assert!(failed.is_empty(), "{what}: {failed:?}: {report}");
}

#[tokio::test]
#[ignore = "needs h2spec: tests/run"]
async fn h2spec_finds_nothing_outbound() {
    let mesh = Mesh::builder().service("product", &["v1"]).caller("gateway").start().await;
    h2spec("outbound over h2c", mesh.entry("gateway", "product")).await;
}

/// h2spec cannot show a certificate, so something stands before it that can.
#[tokio::test]
#[ignore = "needs h2spec: tests/run"]
async fn h2spec_finds_nothing_inbound() {
    let mesh = Mesh::builder()
        .service("product", &["v1"])
        .absent_caller("gateway")
        .mtls("STRICT")
        .start()
        .await;
    let shim = shim(&mesh).await.unwrap();
    h2spec("inbound over mutual TLS", shim).await;
}

/// Plaintext in, mesh mTLS to the sidecar of `product-v1` out.
async fn shim(mesh: &Mesh) -> Result<SocketAddr> {
    let leaf = mesh.leaf("gateway", Duration::from_secs(3600));
    let authority = mesh.control_plane().authority();
    let config = tls::client_config(Some(&leaf), authority.bundle(), &[alpn::HTTP2])?;
    let connector = TlsConnector::from(Arc::new(config));
    let (expected, to) = (mesh.id("product"), mesh.proxy("product-v1").inbound());
    let listener = TcpListener::bind(mesh.spare_address(9000)).await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move {
        while let Ok((mut plain, _)) = listener.accept().await {
            let (connector, name) = (connector.clone(), tls::server_name(&expected));
            tokio::spawn(async move {
                let stream = TcpStream::connect(to).await?;
                let mut secure = connector.connect(name, stream).await?;
                copy_bidirectional(&mut plain, &mut secure).await
            });
        }
    });
    Ok(address)
}

/// Go's server takes a port of all addresses, so it has one that nobody else has, and this leads there.
async fn forward(from: SocketAddr, to: SocketAddr) -> Result<AbortHandle> {
    let listener = TcpListener::bind(from).await?;
    let forwarding = tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            tokio::spawn(async move {
                let mut far = TcpStream::connect(to).await?;
                copy_bidirectional(&mut near, &mut far).await
            });
        }
    });
    Ok(forwarding.abort_handle())
}

#[tokio::test]
#[ignore = "needs grpc-go's interop programs: tests/run"]
async fn grpc_go_interoperates_through_both_sidecars() {
    let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
    let port = own_port();
    let _server = Process::start(Program {
        name: "grpc-go's interop server".to_owned(),
        path: tool("grpc-interop-server"),
        args: vec!["-port".into(), port.to_string().into()],
        variables: Vec::new(),
        log: mesh.config_dir().with_file_name("grpc-interop-server.log"),
    })
    .unwrap();
    let server = SocketAddr::from(([127, 0, 0, 1], port));
    eventually("the server listens", Duration::from_secs(10), async || {
        TcpStream::connect(server).await?;
        Ok(())
    })
    .await;
    let _forwarding = forward(mesh.app_address("product-v1"), server).await.unwrap();
    let entry = mesh.entry("gateway", "product");
    let (host, port) = (entry.ip().to_string(), entry.port().to_string());
    let mut failed = Vec::new();
    for case in CASES {
        let mut args = vec!["-server_host", &host, "-server_port", &port, "-test_case", case];
        if case.starts_with("orca") {
            // The client looks at load reports in this balancer only.
            args.extend(["-service_config_json", ORCA]);
        }
        let output = judge("grpc-interop-client", &args).await;
        eprintln!(
            "grpc-go interop: {case}: {}",
            if output.code == Some(0) { "passed" } else { "FAILED" }
        );
        if output.code != Some(0) {
            failed.push(format!("{case}: {}", output.stderr));
        }
    }
    assert!(failed.is_empty(), "{failed:#?}");
}

//! A port whose protocol nobody has declared, called by a real Envoy. It offers every protocol of the mesh in its
//! handshake, whatever it then carries, so the receiving sidecar has to look.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::envoy::{Envoy, Ports};
use super::{install, loud};
use crate::harness::manifests::SERVICE_PORT;
use crate::harness::{Mesh, head, until, within};

const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 9, 9);
const SOON: Duration = Duration::from_secs(10);

struct Scene {
    // Order: dropped in this order.
    _envoy: Envoy,
    mesh: Mesh,
    app: TcpListener,
    outbound: SocketAddr,
}

impl Scene {
    async fn new() -> Option<Self> {
        let Some(program) = install::envoy() else {
            loud("detected: SKIPPED, no Envoy: run tests/run without --quick once");
            return None;
        };
        let builder = Mesh::builder().absent_caller("envoy").without_app("mail", "null");
        let mesh = builder.mtls("STRICT").start().await;
        mesh.write(
            "service-mail.yaml",
            &format!(
                "apiVersion: v1\nkind: Service\nmetadata: {{name: mail, namespace: shop}}\nspec:\n  \
                 clusterIP: {CLUSTER_IP}\n  selector: {{app: mail}}\n  \
                 ports: [{{name: main, port: {SERVICE_PORT}, targetPort: main}}]\n"
            ),
        );
        let app = TcpListener::bind(mesh.app_address("mail-v1")).await.unwrap();
        let outbound = mesh.spare_address(15001);
        let ports = Ports { outbound, admin: mesh.spare_address(9901) };
        let envoy = Envoy::start(program, &mesh, "envoy", "envoy", ports).await.unwrap();
        // Its own, and the Service's.
        envoy.settled(2).await;
        Some(Self { _envoy: envoy, mesh, app, outbound })
    }

    async fn call(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.outbound).await.unwrap();
        let from = client.local_addr().unwrap();
        let (IpAddr::V4(ip), port) = (from.ip(), from.port()) else { panic!("loopback") };
        let header = format!("PROXY TCP4 {ip} {CLUSTER_IP} {port} {SERVICE_PORT}\r\n");
        client.write_all(header.as_bytes()).await.unwrap();
        client
    }

    async fn answer(&self) -> TcpStream {
        within("the application is called", SOON, self.app.accept()).await.unwrap().0
    }
}

#[tokio::test]
async fn what_an_envoy_carries_is_seen_and_not_believed() {
    // Boxed: it holds a whole mesh's start.
    let Some(scene) = Box::pin(Scene::new()).await else { return };
    // Bytes that are no HTTP, the client's first.
    let mut client = scene.call().await;
    client.write_all(b"\x01\x02\x03GET / HTTP/1.1 no\r\n").await.unwrap();
    let mut server = scene.answer().await;
    let mut heard = [0; 22];
    within("bytes as they are", SOON, server.read_exact(&mut heard)).await.unwrap();
    assert_eq!(&heard, b"\x01\x02\x03GET / HTTP/1.1 no\r\n");
    server.write_all(b"\0!").await.unwrap();
    assert_eq!(until(&mut client, "!").await.unwrap(), "\0!");
    // The server's first.
    let mut client = scene.call().await;
    let mut server = scene.answer().await;
    server.write_all(b"220 ready\r\n").await.unwrap();
    assert_eq!(until(&mut client, "\r\n").await.unwrap(), "220 ready\r\n");
    // And requests: the application is told who is calling.
    let mut client = scene.call().await;
    client.write_all(b"GET /who HTTP/1.1\r\nHost: mail.shop\r\n\r\n").await.unwrap();
    let mut server = scene.answer().await;
    let asked = head(&mut server).await.unwrap();
    assert!(asked.starts_with("GET /who HTTP/1.1\r\n"), "{asked}");
    let caller = format!("URI={}", scene.mesh.id("envoy"));
    assert!(asked.contains("x-forwarded-client-cert: ") && asked.contains(&caller), "{asked}");
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert!(until(&mut client, "ok").await.unwrap().starts_with("HTTP/1.1 200 "));
}

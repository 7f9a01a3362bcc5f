//! A port whose protocol nobody has declared, called by a real Envoy. It offers every protocol of the mesh in its
//! handshake, whatever it then carries, so the receiving sidecar has to look.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use super::neighbour::{ENVOY, Neighbour};
use crate::harness::manifests::SERVICE_PORT;
use crate::harness::{Mesh, head, until, within};

const CLUSTER_IP: Ipv4Addr = Ipv4Addr::new(10, 96, 9, 9);
const SOON: Duration = Duration::from_secs(10);

struct Scene {
    neighbour: Neighbour,
    app: TcpListener,
}

impl Scene {
    async fn new() -> Option<Self> {
        let builder = Mesh::builder().absent_caller(ENVOY).without_app("mail", "null");
        let mesh = async {
            let mesh = builder.mtls("STRICT").start().await;
            mesh.write(
                "service-mail.yaml",
                &format!(
                    "apiVersion: v1\nkind: Service\nmetadata: {{name: mail, namespace: shop}}\nspec:\n  \
                     clusterIP: {CLUSTER_IP}\n  selector: {{app: mail}}\n  \
                     ports: [{{name: main, port: {SERVICE_PORT}, targetPort: main}}]\n"
                ),
            );
            mesh
        };
        // Its own, and the Service's.
        let neighbour = Neighbour::start(Box::pin(mesh), 2).await?;
        let app = TcpListener::bind(neighbour.mesh.app_address("mail-v1")).await.unwrap();
        Some(Self { neighbour, app })
    }

    async fn call(&self) -> TcpStream {
        let mut client = TcpStream::connect(self.neighbour.door).await.unwrap();
        let words = Neighbour::words((CLUSTER_IP, SERVICE_PORT).into());
        client.write_all(words.as_bytes()).await.unwrap();
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
    let caller = format!("URI={}", scene.neighbour.mesh.id("envoy"));
    assert!(asked.contains("x-forwarded-client-cert: ") && asked.contains(&caller), "{asked}");
    server.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").await.unwrap();
    assert!(until(&mut client, "ok").await.unwrap().starts_with("HTTP/1.1 200 "));
}

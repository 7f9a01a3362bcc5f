//! A control plane in the test's own process: real TLS and gRPC on a port of its own, what it says is the test's.
//! Faults (silence, refusals, short lives, a dead port) cannot be had from the real one.

mod ads;
mod identity;

use std::net::SocketAddr;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, SystemTime};

use rustls::pki_types::CertificateDer;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Runtime;
use tokio::sync::mpsc;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::{Connected, Server};
use weft_certs::tls::{ClientAuth, server_config};
use weft_certs::{Authority, Leaf, Lifetimes, SpiffeId, TrustBundle};
use weft_proto::envoy::discovery::aggregated_discovery_service_server::AggregatedDiscoveryServiceServer;
use weft_proto::identity::identity_server::IdentityServer;

pub(crate) use ads::Conversation;
pub(crate) use identity::{Issuing, Proven};

use crate::bootstrap::{Bootstrap, ControlPlaneAddress, Roots, ServiceName, Token};
use crate::identity::Credentials;
use crate::testing::own_address;

pub(crate) const WORKLOAD: &str = "product-v1.shop";
pub(crate) const TOKEN: &str = "s3cret";
const ID: &str = "spiffe://demo.local/ns/shop/sa/product";
const SERVER: &str = "spiffe://demo.local/ns/weft-system/sa/weft-control-plane";
/// The longest that a test waits for something that should happen.
const DEADLINE: Duration = Duration::from_secs(60);

/// A CA and, while it is started, a server.
pub(crate) struct FakeControlPlane {
    pub(crate) authority: Arc<Authority>,
    address: SocketAddr,
    /// What the identity service does.
    pub(crate) issuing: Arc<Issuing>,
    /// ADS streams in the order in which they are opened.
    pub(crate) streams: mpsc::Receiver<Conversation>,
    opened: mpsc::Sender<Conversation>,
    /// A runtime of its own: shut down it takes listener and connections with it, as the end of a process does.
    server: Option<Runtime>,
}

impl FakeControlPlane {
    pub(crate) fn start() -> Self {
        let listener = std::net::TcpListener::bind(own_address()).unwrap();
        let (opened, streams) = mpsc::channel(16);
        let mut fake = Self {
            authority: Arc::new(new_authority()),
            address: listener.local_addr().unwrap(),
            issuing: Arc::new(Issuing::default()),
            streams,
            opened,
            server: None,
        };
        fake.serve(listener);
        fake
    }

    pub(crate) fn bootstrap(&self) -> Bootstrap {
        Bootstrap {
            locality: crate::model::Locality::default(),
            workload: WORKLOAD.to_owned(),
            identity: id(),
            control_plane: ControlPlaneAddress {
                address: self.address.to_string(),
                identity: SERVER.parse().unwrap(),
            },
            roots: Roots::given(self.bundle()),
            token: Some(Token::Join(TOKEN.to_owned())),
            service: ServiceName::default(),
            in_pod: false,
        }
    }

    /// The same for a pod, whose files are in `directory`; the token is not there yet.
    pub(crate) fn bootstrap_in_pod(&self, directory: &Path) -> Bootstrap {
        let roots = directory.join("root.pem");
        std::fs::write(&roots, self.bundle().to_pem()).unwrap();
        let (roots, _) = Roots::from_file(&roots).unwrap();
        let token = Some(Token::ServiceAccount(directory.join("token")));
        Bootstrap { roots, token, in_pod: true, ..self.bootstrap() }
    }

    /// Credentials without having asked for them.
    pub(crate) fn credentials(&self) -> Arc<Credentials> {
        let leaf = self.leaf(&id(), Duration::from_secs(3600));
        Arc::new(Credentials { leaf, bundle: self.bundle(), epoch: 1 })
    }

    pub(crate) fn leaf(&self, id: &SpiffeId, life: Duration) -> Leaf {
        self.authority.leaf_for(id, life, SystemTime::now()).unwrap()
    }

    pub(crate) fn bundle(&self) -> TrustBundle {
        self.authority.bundle().clone()
    }

    /// The process dies: when this returns its port is closed and its connections are cut.
    pub(crate) async fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            let end = tokio::task::spawn_blocking(|| server.shutdown_timeout(DEADLINE));
            end.await.unwrap();
        }
    }

    /// And comes back on the same port.
    pub(crate) fn restart(&mut self) {
        self.serve(std::net::TcpListener::bind(self.address).unwrap());
    }

    /// As somebody whose CA is another one.
    pub(crate) fn replace_authority(&mut self) {
        self.authority = Arc::new(new_authority());
    }

    pub(crate) async fn next_stream(&mut self) -> Conversation {
        within("a stream", self.streams.recv()).await.unwrap()
    }

    fn serve(&mut self, listener: std::net::TcpListener) {
        let leaf = self.leaf(&SERVER.parse().unwrap(), Duration::from_secs(3600));
        let clients = ClientAuth::OptionalAllowExpired;
        let config = server_config(&leaf, &self.bundle(), clients, &[b"h2"]).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let identity = identity::Service {
            authority: Arc::clone(&self.authority),
            issuing: Arc::clone(&self.issuing),
        };
        let ads = ads::Service(self.opened.clone());
        let server =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
        let server = server.unwrap();
        server.spawn(async move {
            listener.set_nonblocking(true).unwrap();
            let listener = TcpListener::from_std(listener).unwrap();
            let (accepted, incoming) = mpsc::channel(16);
            tokio::spawn(accept(listener, acceptor, accepted));
            Server::builder()
                .add_service(IdentityServer::new(identity))
                .add_service(AggregatedDiscoveryServiceServer::new(ads))
                .serve_with_incoming(ReceiverStream::new(incoming))
                .await
                .unwrap();
        });
        self.server = Some(server);
    }
}

impl Drop for FakeControlPlane {
    fn drop(&mut self) {
        if let Some(server) = self.server.take() {
            server.shutdown_background();
        }
    }
}

async fn accept(
    listener: TcpListener,
    acceptor: TlsAcceptor,
    accepted: mpsc::Sender<std::io::Result<Accepted>>,
) {
    while let Ok((tcp, _)) = listener.accept().await {
        if let Ok(stream) = acceptor.accept(tcp).await {
            let _ = accepted.send(Ok(Accepted(stream))).await;
        }
    }
}

fn new_authority() -> Authority {
    let domain = "demo.local".parse().unwrap();
    Authority::create(&domain, SystemTime::now(), Lifetimes::default()).unwrap()
}

pub(crate) fn id() -> SpiffeId {
    ID.parse().unwrap()
}

/// Waits for something that should happen soon.
pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("waited in vain for {what}"),
    }
}

/// A TLS stream that tells tonic who is at its other end.
struct Accepted(TlsStream<TcpStream>);

/// Certificates of the client, leaf first.
#[derive(Clone)]
pub(crate) struct ClientChain(Vec<CertificateDer<'static>>);

impl Connected for Accepted {
    type ConnectInfo = ClientChain;

    fn connect_info(&self) -> ClientChain {
        ClientChain(self.0.get_ref().1.peer_certificates().unwrap_or_default().to_vec())
    }
}

impl AsyncRead for Accepted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_read(context, buffer)
    }
}

impl AsyncWrite for Accepted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(context)
    }
}

//! What several unit tests need: a clock to set, a small mesh, a CA in a directory of its own.

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::ClientConfig;
use tonic::transport::{Channel, Endpoint};
use weft_certs::{Authority, Leaf, PrivateKey, SpiffeId, TrustBundle, TrustDomain, csr, tls};

use crate::ca::{CaStore, CertificateAuthority};
use crate::clock::{Clock, unix};
use crate::model::{Key, Mesh, MeshConfig, Origin, Workload};

/// A clock that stands still until it is set; starts at the system's time.
#[derive(Clone, Debug)]
pub(crate) struct ManualClock(Arc<AtomicU64>);

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self(Arc::new(AtomicU64::new(unix(SystemTime::now()))))
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.as_secs(), Ordering::Relaxed);
    }

    pub(crate) fn clock(&self) -> Clock {
        let this = self.0.clone();
        Clock::from_fn(move || {
            SystemTime::UNIX_EPOCH + Duration::from_secs(this.load(Ordering::Relaxed))
        })
    }
}

/// Stops tokio's clock: a limit passes when the test advances the clock, not because the machine is slow. While every
/// task waits for I/O a paused clock runs ahead, so one never waits; for a minute, so that what hangs comes to an end.
pub(crate) fn stop_the_clock() {
    tokio::time::pause();
    let begun = std::time::Instant::now();
    tokio::spawn(async move {
        while begun.elapsed() < Duration::from_secs(60) {
            tokio::task::yield_now().await;
        }
    });
}

/// A loopback address of the caller's own, any port: what is closed there is not opened by another test by chance.
pub(crate) fn own_address() -> SocketAddr {
    static GIVEN: AtomicU16 = AtomicU16::new(1);
    let [high, low] = GIVEN.fetch_add(1, Ordering::Relaxed).to_be_bytes();
    let process = u8::try_from(std::process::id() % 100).unwrap();
    SocketAddr::from(([127, 100 + process, high, low], 0))
}

/// The trust domain of [`mesh`].
pub(crate) fn trust_domain() -> TrustDomain {
    "demo.local".parse().unwrap()
}

/// `spiffe://demo.local/ns/shop/sa/<service account>`.
pub(crate) fn id(service_account: &str) -> SpiffeId {
    SpiffeId::workload(&trust_domain(), "shop", service_account).unwrap()
}

/// A mesh of `name` (service account the same) in namespace `shop`, all with sidecars.
pub(crate) fn mesh(names: &[&str]) -> Arc<Mesh> {
    let workload = |name: &&str| {
        let key = Key::new("shop", *name);
        let workload = Workload {
            key: key.clone(),
            origin: Origin::default(),
            address: [127, 0, 0, 1].into(),
            ports: Vec::new(),
            service_account: (*name).to_owned(),
            labels: [("app".to_owned(), (*name).to_owned())].into(),
            meshed: true,
            probes: vec![],
            locality: Default::default(),
            draining: false,
        };
        (key, workload)
    };
    let config = MeshConfig { trust_domain: "demo.local".to_owned(), ..MeshConfig::default() };
    let workloads = names.iter().map(workload).collect();
    Arc::new(Mesh { config, workloads, ..Mesh::default() })
}

/// A CA over a mesh that can be changed.
pub(crate) struct TestCa {
    pub(crate) ca: Arc<CertificateAuthority>,
    pub(crate) mesh: watch::Sender<Arc<Mesh>>,
    pub(crate) clock: ManualClock,
    pub(crate) dir: tempfile::TempDir,
}

impl TestCa {
    /// Made a month ago, so that it can have issued what has expired since.
    pub(crate) fn new(names: &[&str]) -> Self {
        let (dir, clock) = (tempfile::tempdir().unwrap(), ManualClock::new());
        let month = Duration::from_secs(30 * 24 * 3600);
        let made = clock.clock().now() - month;
        Authority::load_or_create(&dir.path().join("ca"), &trust_domain(), made).unwrap();
        let mesh = watch::Sender::new(mesh(names));
        let path = dir.path().join("ca");
        let now = clock.clock().now();
        let authority = Authority::load_or_create(&path, &trust_domain(), now).unwrap();
        let store = CaStore::Directory(path);
        let ca = CertificateAuthority::new(authority, store, mesh.subscribe(), clock.clock());
        Self { ca: Arc::new(ca), mesh, clock, dir }
    }

    /// The authority behind the CA, to issue what it would not.
    pub(crate) fn authority(&self) -> Authority {
        let dir = self.dir.path().join("ca");
        Authority::load_or_create(&dir, &trust_domain(), SystemTime::now()).unwrap()
    }

    /// A join token for the workload `name`.
    pub(crate) fn token(&self, name: &str) -> String {
        self.ca.mint(&Key::new("shop", name)).unwrap().0
    }
}

/// A new key's request for the service account.
pub(crate) fn csr(service_account: &str) -> Vec<u8> {
    csr::create(&PrivateKey::generate().unwrap(), &id(service_account)).unwrap()
}

/// Connects to a control plane's port as its proxies do.
pub(crate) struct Client {
    address: SocketAddr,
    server: SpiffeId,
    bundle: TrustBundle,
}

impl Client {
    pub(crate) fn new(address: SocketAddr, server: SpiffeId, bundle: TrustBundle) -> Self {
        Self { address, server, bundle }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// A configuration with a session cache of its own.
    pub(crate) fn tls(&self, leaf: Option<&Leaf>) -> Arc<ClientConfig> {
        Arc::new(tls::client_config(leaf, &self.bundle, &[b"h2"]).unwrap())
    }

    pub(crate) async fn connect(
        &self,
        leaf: Option<&Leaf>,
    ) -> Result<Channel, tonic::transport::Error> {
        self.connect_with(self.tls(leaf)).await
    }

    /// One connection; it is not made again when it breaks.
    pub(crate) async fn connect_with(
        &self,
        config: Arc<ClientConfig>,
    ) -> Result<Channel, tonic::transport::Error> {
        let (address, name) = (self.address, tls::server_name(&self.server));
        let mut once = Some(TlsConnector::from(config));
        let connector = tower::service_fn(move |_: http::Uri| {
            let (connector, name) = (once.take(), name.clone());
            async move {
                let connector = connector.ok_or(ErrorKind::NotConnected)?;
                let tcp = tokio::net::TcpStream::connect(address).await?;
                Ok::<_, std::io::Error>(TokioIo::new(connector.connect(name, tcp).await?))
            }
        });
        Endpoint::from_static("http://control-plane").connect_with_connector(connector).await
    }
}

/// One HTTP/1.1 exchange on a Unix socket: status and body. `head` is method and target.
pub(crate) async fn http(socket: &Path, head: &str, body: &[u8]) -> (u16, String) {
    let mut stream = UnixStream::connect(socket).await.unwrap();
    let length = body.len();
    let head = format!(
        "{head} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    // A server that refuses a large body may stop reading.
    let _ = stream.write_all(body).await;
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer).await {
        // That is how it ends where the server has not read everything.
        Err(error) if error.kind() == ErrorKind::ConnectionReset && !answer.is_empty() => {}
        end => drop(end.unwrap()),
    }
    let answer = String::from_utf8(answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

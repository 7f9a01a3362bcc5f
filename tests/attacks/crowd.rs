//! Many connections that cost their owner little: opened side by side, held until the other side ends them, opened again
//! where the attack goes on.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use weft_certs::tls;
use weft_proto::alpn;

use crate::harness::Mesh;

/// What one of them does once it is connected, before it waits.
pub(super) type Words =
    Arc<dyn Fn(TcpStream) -> Pin<Box<dyn Future<Output = Option<TcpStream>> + Send>> + Send + Sync>;

/// They end with the value.
pub(super) struct Crowd {
    _tasks: JoinSet<()>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    /// Times that somebody was connected.
    connected: AtomicUsize,
    /// Connected now.
    held: AtomicUsize,
    /// Connected at a time, at the most.
    most: AtomicUsize,
    /// Times that the other side ended it.
    ended: AtomicUsize,
}

impl Crowd {
    /// So many, each with these words; one that is turned away comes again up to `times`, a little later.
    pub(super) fn gather(to: SocketAddr, many: usize, times: usize, words: &Words) -> Self {
        let (mut tasks, counts) = (JoinSet::new(), Arc::new(Counts::default()));
        for number in 0..many {
            let (words, counts) = (Arc::clone(words), Arc::clone(&counts));
            tasks.spawn(async move {
                // They come one after the other, as fast as a machine of two processors makes connections.
                tokio::time::sleep(
                    Duration::from_micros(400) * u32::try_from(number).unwrap_or_default(),
                )
                .await;
                for _ in 0..times {
                    if let Ok(stream) = TcpStream::connect(to).await {
                        counts.connected.fetch_add(1, Relaxed);
                        let held = counts.held.fetch_add(1, Relaxed) + 1;
                        counts.most.fetch_max(held, Relaxed);
                        if let Some(stream) = words(stream).await {
                            to_the_end(stream).await;
                        }
                        counts.held.fetch_sub(1, Relaxed);
                        counts.ended.fetch_add(1, Relaxed);
                    }
                    tokio::time::sleep(Duration::from_millis(250)).await;
                }
            });
        }
        Self { _tasks: tasks, counts }
    }

    /// Connected now.
    pub(super) fn held(&self) -> usize {
        self.counts.held.load(Relaxed)
    }

    /// Connected at a time, at the most.
    pub(super) fn most(&self) -> usize {
        self.counts.most.load(Relaxed)
    }

    /// Times that somebody was connected.
    pub(super) fn connected(&self) -> usize {
        self.counts.connected.load(Relaxed)
    }

    /// Times that the other side ended it.
    pub(super) fn ended(&self) -> usize {
        self.counts.ended.load(Relaxed)
    }
}

async fn to_the_end(mut stream: TcpStream) {
    let mut rest = [0; 1024];
    while let Ok(1..) = stream.read(&mut rest).await {}
}

/// These bytes.
pub(super) fn saying(bytes: impl Into<Arc<[u8]>>) -> Words {
    let bytes = bytes.into();
    Arc::new(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        Box::pin(async move {
            stream.write_all(&bytes).await.ok()?;
            Some(stream)
        })
    })
}

/// These bytes, and then a byte now and then.
pub(super) fn dripping(bytes: impl Into<Arc<[u8]>>, pause: Duration) -> Words {
    let bytes = bytes.into();
    Arc::new(move |mut stream| {
        let bytes = Arc::clone(&bytes);
        Box::pin(async move {
            stream.write_all(&bytes).await.ok()?;
            loop {
                tokio::time::sleep(pause).await;
                stream.write_all(b"x").await.ok()?;
            }
        })
    })
}

/// The first message of a handshake with `account`, as a sidecar would send it.
pub(super) fn client_hello(mesh: &Mesh, account: &str) -> Vec<u8> {
    hello(mesh, account, alpn::HTTP1)
}

/// The same for this protocol.
pub(super) fn hello(mesh: &Mesh, account: &str, protocol: &[u8]) -> Vec<u8> {
    let authority = mesh.control_plane().authority();
    let config = tls::client_config(None, authority.bundle(), &[protocol]).unwrap();
    let name = tls::server_name(&mesh.id(account));
    let mut client = rustls::ClientConnection::new(Arc::new(config), name).unwrap();
    let mut hello = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut hello).unwrap();
    }
    hello
}

//! The HTTPS port that the API server calls.
//!
//! Run by `Webhook`. Anybody in the cluster can connect, and what they get is an opinion about a pod of their own making; what
//! matters is that they cannot keep the API server out. So connections, their handshakes, heads and bodies have bounds in
//! number and time, connections also by address.
//!
//! When the control plane stops, the API server may be led here for a second longer, and on connections that it has for as long
//! as it likes. So for [`LAME_DUCK`] everything is answered, and each answer ends its connection; then what is idle ends.

use std::collections::HashMap;
use std::convert::Infallible;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::body::{Body, to_bytes};
use http::{Method, Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::rustls::ServerConfig;

use super::ANSWER_TIMEOUT;
use super::review::Reviewer;

/// Where reviews are posted.
const PATH: &str = "/inject";
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(5);
/// Longer than the 90 s after which the API server closes an idle connection itself: it must not find closed what it
/// is about to use.
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// From the signal to stop until no more is taken. Kubernetes gives a pod 30 s to end.
pub(super) const LAME_DUCK: Duration = Duration::from_secs(3);
/// From then until connections are cut.
const STOP_GRACE: Duration = Duration::from_secs(2);
/// After an error of the system's, such as no free file descriptor.
const BACK_OFF: Duration = Duration::from_millis(100);

// Bound: `listen` backlog.
const BACKLOG: u32 = 1024;
// Bound: connections; a few for each API server.
const MAX_CONNECTIONS: usize = 1024;
// Bound: of them, from one address.
const MAX_OF_ONE_ADDRESS: usize = 256;
// Bound: of one body. The API server takes objects of up to 3 MiB and etcd less.
const MAX_BODY: usize = 3 << 20;
// Bound: KiB of all bodies that are being read or answered.
const MAX_BODIES: usize = 64 << 10;

/// A bound port.
#[derive(Debug)]
pub(super) struct Server {
    listener: TcpListener,
    address: SocketAddr,
    serving: watch::Receiver<Option<Arc<ServerConfig>>>,
    stopping: watch::Receiver<bool>,
    ready: watch::Sender<bool>,
    lame_duck: Duration,
    drained: watch::Sender<bool>,
}

/// What every connection shares.
struct Shared {
    reviewer: Arc<Reviewer>,
    serving: watch::Receiver<Option<Arc<ServerConfig>>>,
    /// Answers end their connections.
    stopping: watch::Receiver<bool>,
    /// Connections end.
    closing: watch::Sender<bool>,
    bodies: Arc<Semaphore>,
    addresses: Addresses,
}

/// Connections by address; an entry goes with its last connection.
type Addresses = Arc<Mutex<HashMap<IpAddr, usize>>>;

impl Server {
    pub(super) fn bind(
        address: SocketAddr,
        serving: watch::Receiver<Option<Arc<ServerConfig>>>,
        stopping: watch::Receiver<bool>,
        lame_duck: Duration,
    ) -> io::Result<Self> {
        let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
        socket.set_reuseaddr(true)?;
        socket.bind(address)?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (ready, drained) = (watch::Sender::new(false), watch::Sender::new(false));
        Ok(Self { listener, address, serving, stopping, ready, lame_duck, drained })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Whether it has a certificate to show and is not stopping.
    pub(super) fn ready(&self) -> watch::Receiver<bool> {
        self.ready.subscribe()
    }

    /// Whether it has stopped, and everything is answered.
    pub(super) fn drained(&self) -> watch::Receiver<bool> {
        self.drained.subscribe()
    }

    /// For ever; see the module for its end. Cancel: connections end with it.
    pub(super) async fn run(self, reviewer: Arc<Reviewer>) {
        let shared = Arc::new(Shared {
            reviewer,
            serving: self.serving.clone(),
            stopping: self.stopping.clone(),
            closing: watch::Sender::new(false),
            bodies: Arc::new(Semaphore::new(MAX_BODIES)),
            addresses: Addresses::default(),
        });
        let (mut serving, mut stopping) = (self.serving, self.stopping);
        let mut connections = JoinSet::new();
        let readiness = async {
            // An error means that there will be no other certificate.
            if serving.wait_for(Option::is_some).await.is_ok() {
                self.ready.send_replace(true);
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = readiness => {}
            () = accept_all(&self.listener, &shared, &mut connections) => {}
            // An error means that the sender is gone, which is a stop as well.
            _ = stopping.wait_for(|stopping| *stopping) => {}
        }
        self.ready.send_replace(false);
        let more = accept_all(&self.listener, &shared, &mut connections);
        let _ = tokio::time::timeout(self.lame_duck, more).await;
        drop(self.listener);
        shared.closing.send_replace(true);
        // Order: what is under way is answered; then connections are cut, answered or not.
        let ended = async { while connections.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(STOP_GRACE, ended).await;
        connections.shutdown().await;
        self.drained.send_replace(true);
        std::future::pending::<()>().await;
    }
}

async fn accept_all(listener: &TcpListener, shared: &Arc<Shared>, connections: &mut JoinSet<()>) {
    let room = Arc::new(Semaphore::new(MAX_CONNECTIONS));
    loop {
        // Order: room first, then accept; what waits for room waits in the kernel's backlog.
        let Ok(permit) = room.clone().acquire_owned().await else { return };
        match listener.accept().await {
            Ok((tcp, from)) => {
                let Some(place) = Place::take(&shared.addresses, from.ip()) else {
                    tracing::debug!(%from, "too many connections to the webhook");
                    continue;
                };
                let shared = shared.clone();
                connections.spawn(async move {
                    if let Err(error) = shared.connection(tcp).await {
                        tracing::debug!(%from, %error, "a connection to the webhook failed");
                    }
                    drop((permit, place));
                });
            }
            Err(error) => {
                tracing::warn!(%error, "the webhook cannot accept connections for now");
                tokio::time::sleep(BACK_OFF).await;
            }
        }
        // Bound: finished tasks leave no trace in the set.
        while connections.try_join_next().is_some() {}
    }
}

impl Shared {
    async fn connection(self: Arc<Self>, tcp: TcpStream) -> io::Result<()> {
        tcp.set_nodelay(true)?;
        let config = self.serving.borrow().clone();
        let config = config.ok_or_else(|| io::Error::other("there is no certificate yet"))?;
        let handshake = TlsAcceptor::from(config).accept(tcp);
        let tls = tokio::time::timeout(HANDSHAKE_TIMEOUT, handshake).await??;
        let mut closing = self.closing.subscribe();
        let service = service_fn(move |request| {
            let shared = self.clone();
            async move {
                let mut response = shared.respond(request).await;
                if *shared.stopping.borrow() {
                    let close = header::HeaderValue::from_static("close");
                    response.headers_mut().insert(header::CONNECTION, close);
                }
                Ok::<_, Infallible>(response)
            }
        });
        let mut serving = pin!(
            http1::Builder::new()
                .timer(TokioTimer::new())
                .header_read_timeout(HEAD_TIMEOUT)
                .serve_connection(TokioIo::new(tls), service)
        );
        tokio::select! {
            ended = serving.as_mut() => return ended.map_err(io::Error::other),
            _ = closing.wait_for(|closing| *closing) => serving.as_mut().graceful_shutdown(),
        }
        serving.await.map_err(io::Error::other)
    }

    async fn respond(&self, request: Request<Incoming>) -> Response<Body> {
        if request.uri().path() != PATH {
            return refuse(StatusCode::NOT_FOUND, "reviews are posted to /inject");
        }
        if request.method() != Method::POST {
            return refuse(StatusCode::METHOD_NOT_ALLOWED, "reviews are posted");
        }
        match tokio::time::timeout(ANSWER_TIMEOUT, self.review(request)).await {
            Ok(response) => response,
            Err(_elapsed) => refuse(StatusCode::SERVICE_UNAVAILABLE, "no answer in time"),
        }
    }

    async fn review(&self, request: Request<Incoming>) -> Response<Body> {
        let length = request.headers().get(header::CONTENT_LENGTH);
        let length = length.and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
        let Some(length) = length else {
            return refuse(StatusCode::LENGTH_REQUIRED, "a review has a Content-Length");
        };
        if length > MAX_BODY {
            return refuse(StatusCode::PAYLOAD_TOO_LARGE, "a review has at most 3 MiB");
        }
        let Some(_room) = self.room(length).await else {
            return refuse(StatusCode::SERVICE_UNAVAILABLE, "stopping");
        };
        let Ok(body) = to_bytes(Body::new(request.into_body()), MAX_BODY).await else {
            return refuse(StatusCode::BAD_REQUEST, "the body broke off");
        };
        match self.reviewer.answer(&body).await {
            Ok(answer) => {
                let mut response = Response::new(Body::from(answer));
                let json = header::HeaderValue::from_static("application/json");
                response.headers_mut().insert(header::CONTENT_TYPE, json);
                response
            }
            Err(error) => refuse(StatusCode::BAD_REQUEST, &error.to_string()),
        }
    }

    /// Room for a body of so many bytes, once there is.
    async fn room(&self, length: usize) -> Option<OwnedSemaphorePermit> {
        let kibibytes = u32::try_from(length / 1024 + 1).ok()?;
        self.bodies.clone().acquire_many_owned(kibibytes).await.ok()
    }
}

fn refuse(status: StatusCode, message: &str) -> Response<Body> {
    let mut response = Response::new(Body::from(format!("{message}\n")));
    *response.status_mut() = status;
    response
}

/// One connection of an address; free again when dropped.
struct Place {
    addresses: Addresses,
    address: IpAddr,
}

impl Place {
    fn take(addresses: &Addresses, address: IpAddr) -> Option<Self> {
        let mut known = addresses.lock().unwrap_or_else(PoisonError::into_inner);
        let connections = known.entry(address).or_default();
        if *connections >= MAX_OF_ONE_ADDRESS {
            return None;
        }
        *connections += 1;
        Some(Self { addresses: addresses.clone(), address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut known = self.addresses.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connections) = known.get_mut(&self.address) {
            *connections -= 1;
            if *connections == 0 {
                known.remove(&self.address);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! Accepts connections and gives each a task. Every listener of the data path runs here, on every worker; what
//! a connection means is decided by the handler that `app` passes in.

mod budget;
mod detect;
mod heads;
mod hello;
mod http;
mod limits;
mod linger;
mod original;
mod paced;
mod streams;
mod wire;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use nix::errno::Errno;
use tokio::net::{TcpListener, TcpStream};

use crate::drain;
use crate::io::prepare;
use crate::overload::Overload;

pub use detect::{Carried, First, carried, detect};
pub(crate) use detect::{PATIENCE, SILENCE, claims_no_http, judge};
pub(crate) use hello::is_mesh;
#[cfg(any(test, fuzzing))]
pub(crate) use hello::offers_mesh;
pub(crate) use http::serve;
pub use limits::{HttpLimits, Limits};
pub(crate) use original::original_destination;

/// Bound: open connections of one side (inbound or outbound). One more is closed at once.
const MAX_CONNECTIONS: usize = 10_000;
/// Pause after an error that accepting again would only repeat (no file descriptors left).
const PAUSE: Duration = Duration::from_millis(50);
const BACKLOG: i32 = 1024;

/// Binds `address`. The workers share the socket: each gets a clone of it.
///
/// # Errors
/// As the system says, with the address in front.
pub fn bind(address: SocketAddr) -> io::Result<std::net::TcpListener> {
    let open = || -> io::Result<std::net::TcpListener> {
        let domain = socket2::Domain::for_address(address);
        let socket = socket2::Socket::new(domain, socket2::Type::STREAM, None)?;
        socket.set_reuse_address(true)?;
        if address.is_ipv6() {
            // The same port of IPv4 is a socket of its own.
            socket.set_only_v6(true)?;
        }
        socket.set_nonblocking(true)?;
        // Every connection that is accepted from it inherits them.
        prepare(&socket);
        socket.bind(&address.into())?;
        socket.listen(BACKLOG)?;
        Ok(socket.into())
    };
    open().map_err(|error| {
        io::Error::new(error.kind(), format!("cannot listen on {address}: {error}"))
    })
}

/// Accepts until it is dropped, unless there is too little left: small, because there is one for each Service port that may be called. The handler must
/// not block: it spawns.
///
/// # Errors
/// Only if the socket cannot be registered with this runtime.
pub async fn run(
    socket: std::net::TcpListener,
    drain: drain::Source,
    overload: Overload,
    handle: impl Fn(TcpStream, SocketAddr, drain::Watch),
) -> io::Result<()> {
    let listener = TcpListener::from_std(socket)?;
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                if !overload.takes(&stream) {
                    continue;
                }
                let watch = drain.watch();
                if watch.open() > MAX_CONNECTIONS {
                    continue;
                }
                handle(stream, peer, watch);
            }
            Err(error) if is_of_one_connection(&error) => {}
            Err(error) => {
                match error.raw_os_error().map(Errno::from_raw) {
                    Some(Errno::EMFILE | Errno::ENFILE) => overload.no_files(),
                    _ => tracing::warn!(%error, "cannot accept connections"),
                }
                // Boxed: a timer in every listener that waits would be memory for nothing.
                Box::pin(tokio::time::sleep(PAUSE)).await;
            }
        }
    }
}

fn is_of_one_connection(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionAborted
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionRefused
    )
}

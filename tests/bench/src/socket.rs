//! Listening sockets and free ports. All addresses are loopback; nothing needs a privilege.

use std::cell::Cell;
use std::net::{Ipv4Addr, SocketAddr, TcpListener as StdListener};

use anyhow::{Context, Result, bail};
use tokio::net::{TcpListener, TcpSocket};

/// Ports are taken from here, below Linux's default range for outgoing connections (32768–60999): a port of
/// that range may be somebody's source port by the time that a proxy binds it.
const RANGE: std::ops::Range<u16> = 20_000..30_000;

/// A backlog that takes every connection of a cell at once.
const BACKLOG: u32 = 4096;

/// Hands out loopback addresses that nobody listens on, each once.
#[derive(Debug)]
pub(crate) struct Ports {
    next: Cell<u16>,
}

impl Ports {
    /// Begins at a place of its own for each process, so that two runs at once seldom meet.
    pub(crate) fn new() -> Self {
        let places = u32::from((RANGE.end - RANGE.start) / 100);
        let place = u16::try_from(std::process::id() % places).unwrap_or(0);
        Self { next: Cell::new(RANGE.start + place * 100) }
    }

    /// The next free address on 127.0.0.1.
    pub(crate) fn take(&self) -> Result<SocketAddr> {
        for _ in RANGE {
            let port = self.next.get();
            self.next.set(if port + 1 < RANGE.end { port + 1 } else { RANGE.start });
            let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
            if StdListener::bind(address).is_ok() {
                return Ok(address);
            }
        }
        bail!("no free port between {} and {}", RANGE.start, RANGE.end)
    }
}

/// Listens with a backlog that fits the load.
pub(crate) fn listen(address: SocketAddr) -> Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address).with_context(|| format!("cannot bind {address}"))?;
    Ok(socket.listen(BACKLOG)?)
}

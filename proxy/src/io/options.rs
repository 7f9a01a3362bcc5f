//! The options of every TCP socket of the data path, in one place. `listener::bind` sets them on the socket that
//! listens, from which the system hands them to each connection; `upstream::connect` sets them on what it opens.
//!
//! A peer that is gone without a word (a host that lost power, a network that broke) is found in about 15 s: by
//! keep-alive on a connection with nothing under way, by the retransmissions else. `TCP_USER_TIMEOUT` must not be set:
//! Linux applies it to a peer that lives and keeps its window shut as well, so a reader that pauses would be cut off.

use std::os::fd::AsFd;
use std::time::Duration;

use nix::sys::socket::setsockopt;
use nix::{getsockopt_impl, libc, setsockopt_impl, sockopt_impl};
use socket2::{SockRef, TcpKeepalive};

/// Silence before the peer is asked whether it is still there.
pub(crate) const KEEP_ALIVE_IDLE: Duration = Duration::from_secs(6);
/// Between such questions.
pub(crate) const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// Questions without an answer after which the peer is given up: 6 + 3 × 2 = 12 s.
pub(crate) const KEEP_ALIVE_PROBES: u32 = 3;
/// Longest pause between two retransmissions, and between two questions to a peer whose window is shut. The default,
/// 120 s, makes the 15 retransmissions of Linux (`net.ipv4.tcp_retries2`) last for a quarter of an hour; with this
/// they take 15 s. The smallest value that the system takes.
pub(crate) const RETRANSMIT_MAX: Duration = Duration::from_secs(1);

/// `linux/tcp.h`; since Linux 6.15.
const TCP_RTO_MAX_MS: libc::c_int = 44;

sockopt_impl!(
    /// See [`RETRANSMIT_MAX`].
    RetransmitMax,
    Both,
    libc::IPPROTO_TCP,
    TCP_RTO_MAX_MS,
    u32
);

/// Sets them all. A socket that does not take one works without it: none changes what is sent.
pub(crate) fn prepare(socket: &impl AsFd) {
    let alive = TcpKeepalive::new()
        .with_time(KEEP_ALIVE_IDLE)
        .with_interval(KEEP_ALIVE_INTERVAL)
        .with_retries(KEEP_ALIVE_PROBES);
    let options = SockRef::from(socket);
    let set = options.set_tcp_nodelay(true).and_then(|()| options.set_tcp_keepalive(&alive));
    if let Err(error) = set {
        tracing::debug!(%error, "socket options");
    }
    let limit = u32::try_from(RETRANSMIT_MAX.as_millis()).unwrap_or(u32::MAX);
    // An older system does not know it, and finds what is lost under way by its own, longer limit.
    let _ = setsockopt(socket, RetransmitMax, &limit);
}

/// Shall the socket's end be a reset, that of a process which is killed too, instead of an end in order?
pub(crate) fn set_reset_on_close(socket: &impl AsFd, reset: bool) {
    // Fails only on what is no socket.
    let _ = SockRef::from(socket).set_linger(reset.then_some(Duration::ZERO));
}

#[cfg(test)]
mod tests;

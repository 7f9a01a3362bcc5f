//! Where a connection that was redirected to this proxy wanted to go. Asked first thing by `outbound::intercepted` and
//! `inbound::intercepted`.

use std::net::SocketAddr;

use socket2::SockRef;
use tokio::net::TcpStream;

/// `SO_ORIGINAL_DST`: what the kernel's connection tracking knows of it. `None` if it was not redirected but made
/// straight to the proxy's port: forwarding such a connection to where it says it goes would come back here for ever.
pub(crate) fn original_destination(stream: &TcpStream) -> Option<SocketAddr> {
    let local = stream.local_addr().ok()?;
    let socket = SockRef::from(stream);
    let known = if local.is_ipv4() { socket.original_dst_v4() } else { socket.original_dst_v6() };
    known.ok()?.as_socket().filter(|destination| *destination != local)
}

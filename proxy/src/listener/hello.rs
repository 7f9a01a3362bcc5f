//! Whose handshake a TLS connection begins with: the mesh's, or the application's own. The bytes are looked at, not
//! taken. Asked by `inbound::door` where plaintext is allowed; rustls does the reading.

use std::io;
use std::time::Duration;

use rustls::server::Acceptor;
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep, timeout_at};

/// Bound of a ClientHello, as far as it is looked at. Post-quantum ones have some 1.5 KiB.
const MOST: usize = 16 * 1024;
const FIRST: usize = 2 * 1024;
const PATIENCE: Duration = Duration::from_secs(10);
/// Pause before looking again at one that is not whole yet.
const AGAIN: Duration = Duration::from_millis(2);
/// What protocols of the mesh begin with.
const MESH: &[u8] = b"weft-";

/// Does the connection begin with a handshake in which a protocol of the mesh is offered? What is no handshake, or none
/// that is whole in time, is not.
///
/// # Errors
/// If the connection fails.
pub(crate) async fn is_mesh(stream: &TcpStream) -> io::Result<bool> {
    let deadline = Instant::now() + PATIENCE;
    let mut bytes = vec![0; FIRST];
    loop {
        let Ok(peeked) = timeout_at(deadline, stream.peek(&mut bytes)).await else {
            return Ok(false);
        };
        let count = peeked?;
        if let Some(answer) = offers_mesh(&bytes[..count]) {
            return Ok(answer);
        }
        if count == 0 || Instant::now() >= deadline || count >= MOST {
            return Ok(false);
        }
        if count == bytes.len() {
            bytes.resize((2 * count).min(MOST), 0);
        } else {
            sleep(AGAIN).await;
        }
    }
}

/// `None`: more bytes are needed.
pub(crate) fn offers_mesh(bytes: &[u8]) -> Option<bool> {
    let mut acceptor = Acceptor::default();
    let mut left = bytes;
    while !left.is_empty() {
        // Reading from a slice cannot fail; what rustls does not want any more says so below.
        match acceptor.read_tls(&mut left) {
            Ok(0) | Err(_) => return Some(false),
            Ok(_) => {}
        }
        match acceptor.accept() {
            Ok(Some(accepted)) => {
                let hello = accepted.client_hello();
                let mut offered = hello.alpn().into_iter().flatten();
                return Some(offered.any(|protocol| protocol.starts_with(MESH)));
            }
            Ok(None) => {}
            Err(_) => return Some(false),
        }
    }
    None
}

#[cfg(test)]
mod tests;

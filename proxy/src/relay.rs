//! Both directions of one opaque connection. Used by `outbound` and `inbound`. Half-close is kept: each side may
//! stop speaking while the other goes on.

use tokio::io::copy_bidirectional_with_sizes;

use crate::drain;
use crate::error::Token;
use crate::io::Io;

/// Bytes held for each direction.
const BUFFER: usize = 16 * 1024;

/// What has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relayed {
    /// Bytes from downstream to upstream; 0 if it was broken off.
    pub sent: u64,
    /// Bytes from upstream to downstream; 0 if it was broken off.
    pub received: u64,
    /// Why it was broken off.
    pub error: Option<Token>,
}

/// Carries bytes both ways until both sides have ended, one of them fails, or the drain aborts.
pub async fn relay(downstream: &mut Io, upstream: &mut Io, watch: &drain::Watch) -> Relayed {
    let copied = tokio::select! {
        copied = copy_bidirectional_with_sizes(downstream, upstream, BUFFER, BUFFER) => copied,
        () = watch.aborted() => Err(std::io::ErrorKind::ConnectionAborted.into()),
    };
    match copied {
        Ok((sent, received)) => Relayed { sent, received, error: None },
        Err(_) => Relayed { sent: 0, received: 0, error: Some(Token::ConnectionTerminated) },
    }
}

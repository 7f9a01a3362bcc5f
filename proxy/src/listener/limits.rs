//! Limits of the connections that a sidecar accepts, as far as they can be set.

use std::time::Duration;

/// Limits of HTTP connections.
#[derive(Clone, Copy, Debug)]
pub struct HttpLimits {
    /// From the first byte of an HTTP/1 head to its last.
    pub head_timeout: Duration,
    /// Streams of one HTTP/2 connection side by side.
    pub streams: u32,
    /// Bytes of request headers held at once for one HTTP/2 connection; a stream beyond it is refused unread.
    pub held_headers: usize,
    /// Streams that a client may make us reset by breaking the protocol, before its connection ends.
    pub local_resets: usize,
    /// How long the data of an HTTP/2 response may wait for a window.
    pub stall: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            streams: 100,
            held_headers: 1 << 20,
            local_resets: 100,
            stall: Duration::from_secs(30),
        }
    }
}

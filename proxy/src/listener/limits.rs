//! Limits of the connections that a sidecar accepts, as far as they can be set.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

/// Limits of HTTP connections.
#[derive(Clone, Debug)]
pub struct HttpLimits {
    /// From the first byte of an HTTP/1 head to its last.
    pub head_timeout: Duration,
    /// Header fields of a request; crumbs of a cookie count one by one.
    pub header_fields: usize,
    /// Streams of one HTTP/2 connection side by side.
    pub streams: u32,
    /// Bytes of request headers held at once for one HTTP/2 connection; a stream beyond it is refused unread.
    pub held_headers: usize,
    /// Bytes held at once for all HTTP/2 connections: headers, and 4 KiB for each stream. A stream beyond it is refused
    /// unread, if its connection holds more than 64 KiB.
    pub memory: usize,
    /// What is held of that now, by all connections with these limits.
    pub all: Arc<AtomicUsize>,
    /// Streams that a client may make us reset by breaking the protocol, before its connection ends.
    pub local_resets: usize,
    /// How long the data of an HTTP/2 response may wait for a window; of what waits that long at least 1 KiB must be
    /// taken.
    pub stall: Duration,
}

impl Default for HttpLimits {
    fn default() -> Self {
        Self {
            head_timeout: Duration::from_secs(10),
            header_fields: 100,
            streams: 100,
            held_headers: 1 << 20,
            memory: 16 << 20,
            all: Arc::default(),
            local_resets: 100,
            stall: Duration::from_secs(30),
        }
    }
}

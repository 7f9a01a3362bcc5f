//! The table of loads. A cell is one load over one protocol; every peer meets every cell in every round.

/// What client, proxies and application speak, end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with prior knowledge where it is plaintext.
    Http2,
}

/// How requests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Closed loop: each stream of each connection sends its next request when the last is answered.
    Closed {
        /// Connections to the outbound proxy.
        connections: usize,
        /// Requests in flight on each; 1 for HTTP/1.1.
        streams: usize,
    },
    /// Open loop: requests are due at fixed times, evenly staggered over the connections, and latency counts
    /// from the time that a request was due, so that a stall is not hidden by the requests it held up.
    Rate {
        /// Requests per second, over all connections.
        per_second: u32,
        /// Connections to the outbound proxy.
        connections: u32,
    },
}

/// One load over one protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) load: Load,
}

const fn closed(
    name: &'static str,
    protocol: Protocol,
    connections: usize,
    streams: usize,
) -> Cell {
    Cell { name, protocol, load: Load::Closed { connections, streams } }
}

const fn rate(name: &'static str, protocol: Protocol) -> Cell {
    Cell { name, protocol, load: Load::Rate { per_second: 1000, connections: 16 } }
}

/// Every cell, in the order in which they are run.
pub(crate) const ALL: [Cell; 7] = [
    closed("h1-c32", Protocol::Http1, 32, 1),
    closed("h1-c128", Protocol::Http1, 128, 1),
    rate("h1-1000/s", Protocol::Http1),
    closed("h2c-c32", Protocol::Http2, 32, 1),
    closed("h2c-c128", Protocol::Http2, 128, 1),
    closed("h2c-c8x16", Protocol::Http2, 8, 16),
    rate("h2c-1000/s", Protocol::Http2),
];

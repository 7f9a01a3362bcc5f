//! The table of loads. A cell is one load over one protocol; every peer that carries the protocol meets every cell
//! in every round.

/// What client, proxies and application speak, end to end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Protocol {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2, with prior knowledge where it is plaintext.
    Http2,
    /// Unary gRPC calls on the same HTTP/2.
    Grpc,
    /// Bytes that no proxy looks into.
    Tcp,
}

/// How requests are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Load {
    /// Closed loop: each stream of each connection sends its next request when the last is answered.
    Closed {
        /// Connections to the outbound proxy.
        connections: usize,
        /// Requests in flight on each; 1 for HTTP/1.1 and TCP.
        streams: usize,
    },
    /// As `Closed` with one stream, but each round trip on a TCP connection of its own.
    Fresh {
        /// Connections at a time.
        connections: usize,
    },
    /// One TCP connection that carries as much as it can.
    Bulk(Direction),
    /// Open loop: requests are due at fixed times, evenly staggered over the connections, and latency counts
    /// from the time that a request was due, so that a stall is not hidden by the requests it held up.
    Rate {
        /// Requests per second, over all connections.
        per_second: u32,
        /// Connections to the outbound proxy.
        connections: u32,
    },
}

/// Which way bulk goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Direction {
    /// From the application.
    Down,
    /// To the application.
    Up,
}

/// What CPU time is divided by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Unit {
    /// A request, a round trip or a connection: whatever the cell makes many of.
    Operation,
    /// 2^30 bytes of payload.
    Gibibyte,
}

/// One load over one protocol.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cell {
    pub(crate) name: &'static str,
    pub(crate) protocol: Protocol,
    pub(crate) load: Load,
}

impl Cell {
    /// What its CPU time is divided by.
    pub(crate) const fn unit(&self) -> Unit {
        match self.load {
            Load::Bulk(_) => Unit::Gibibyte,
            Load::Closed { .. } | Load::Fresh { .. } | Load::Rate { .. } => Unit::Operation,
        }
    }
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

const fn tcp(name: &'static str, load: Load) -> Cell {
    Cell { name, protocol: Protocol::Tcp, load }
}

/// Every cell, in the order in which they are run.
pub(crate) const ALL: [Cell; 13] = [
    closed("h1-c32", Protocol::Http1, 32, 1),
    closed("h1-c128", Protocol::Http1, 128, 1),
    rate("h1-1000/s", Protocol::Http1),
    closed("h2c-c32", Protocol::Http2, 32, 1),
    closed("h2c-c128", Protocol::Http2, 128, 1),
    closed("h2c-c8x16", Protocol::Http2, 8, 16),
    rate("h2c-1000/s", Protocol::Http2),
    closed("grpc-c4x8", Protocol::Grpc, 4, 8),
    closed("grpc-c8x16", Protocol::Grpc, 8, 16),
    tcp("tcp-down", Load::Bulk(Direction::Down)),
    tcp("tcp-up", Load::Bulk(Direction::Up)),
    tcp("tcp-echo", Load::Closed { connections: 32, streams: 1 }),
    tcp("tcp-new", Load::Fresh { connections: 16 }),
];

/// The name of what `crate::idle` measures, which is memory and therefore no cell.
pub(crate) const IDLE: &str = "tcp-idle";

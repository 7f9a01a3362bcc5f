//! Limits of the connections that a sidecar accepts, as far as they can be set: by its own flags, else by the mesh, else
//! as they are here. Settled anew for each connection, so that a change is in force for the next one.

use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use crate::model::HttpSettings;
use crate::overload::Overload;

/// What a proxy's flags set, which counts before what the mesh sets, and what all its connections hold.
#[derive(Clone, Debug, Default)]
pub struct Limits {
    /// By flags.
    pub flags: HttpSettings,
    /// See [`HttpLimits::all`].
    pub all: Arc<AtomicUsize>,
    /// Is there enough left to accept more?
    pub overload: Overload,
}

impl Limits {
    /// Those of a new connection.
    #[must_use]
    pub fn of(&self, mesh: HttpSettings) -> HttpLimits {
        let set = self.flags.or(mesh);
        let default = HttpLimits::default();
        let bytes = |value: Option<u32>, unit: usize, default: usize| {
            value.map_or(default, |value| (value as usize).saturating_mul(unit))
        };
        HttpLimits {
            head_timeout: set.head_timeout.unwrap_or(default.head_timeout),
            header_fields: bytes(set.header_fields, 1, default.header_fields),
            streams: set.streams.unwrap_or(default.streams),
            held_headers: bytes(set.header_budget, 1 << 10, default.held_headers),
            memory: bytes(set.memory, 1 << 20, default.memory),
            local_resets: bytes(set.local_resets, 1, default.local_resets),
            stall: set.stall.unwrap_or(default.stall),
            all: Arc::clone(&self.all),
            overload: self.overload.clone(),
        }
    }
}

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
    /// Bytes held at once for all HTTP/2 connections: headers, 4 KiB for each stream, and 4 to 16 KiB for data that
    /// waits for its client. A stream beyond it is refused unread, if its connection holds more than 64 KiB.
    pub memory: usize,
    /// What is held of that now, by all connections with these limits.
    pub all: Arc<AtomicUsize>,
    /// Is there enough left?
    pub overload: Overload,
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
            overload: Overload::default(),
            local_resets: 100,
            stall: Duration::from_secs(30),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn flags_count_before_the_mesh_and_the_mesh_before_the_defaults() {
        let mesh = HttpSettings {
            streams: Some(7),
            header_budget: Some(64),
            memory: Some(2),
            stall: Some(Duration::from_secs(1)),
            ..HttpSettings::default()
        };
        let flags = HttpSettings { streams: Some(9), ..HttpSettings::default() };
        let limits = Limits { flags, ..Limits::default() };
        let of = limits.of(mesh);
        assert_eq!((of.streams, of.held_headers, of.memory), (9, 64 << 10, 2 << 20));
        assert_eq!((of.stall, of.head_timeout), (mesh.stall.unwrap(), Duration::from_secs(10)));
        assert!(Arc::ptr_eq(&of.all, &limits.all), "all connections share one account");
        let of = limits.of(HttpSettings::default());
        assert_eq!((of.streams, of.held_headers, of.local_resets), (9, 1 << 20, 100));
    }
}

//! What idle connections cost in memory.

use serde::Serialize;

use super::Memory;

/// Of one pair. KiB by connection and sidecar.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Idle {
    pub(super) peer: &'static str,
    pub(super) connections: usize,
    pub(super) outbound_kib: f64,
    pub(super) inbound_kib: f64,
}

impl Idle {
    /// From the memory without any connection and with all of them.
    pub(crate) fn new(
        peer: &'static str,
        connections: usize,
        without: Memory,
        with: Memory,
    ) -> Self {
        let each = |without: u64, with: u64| {
            with.saturating_sub(without) as f64 / 1024.0 / connections.max(1) as f64
        };
        Self {
            peer,
            connections,
            outbound_kib: each(without.outbound, with.outbound),
            inbound_kib: each(without.inbound, with.inbound),
        }
    }

    /// Both sides together.
    pub(super) fn both(&self) -> f64 {
        self.outbound_kib + self.inbound_kib
    }
}

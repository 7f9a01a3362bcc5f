//! Resident memory of a pair.

use anyhow::Result;
use serde::Serialize;

use crate::peer::Peer;

/// Bytes, of each sidecar.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Memory {
    pub(super) outbound: u64,
    pub(super) inbound: u64,
}

impl Memory {
    /// What the kernel says now (`Rss` of `smaps_rollup`).
    pub(crate) fn of(peer: &Peer) -> Result<Self> {
        Ok(Self { outbound: peer.outbound.resident()?, inbound: peer.inbound.resident()? })
    }
}

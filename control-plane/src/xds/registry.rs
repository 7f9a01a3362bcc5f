//! The proxies that are connected, as `GET /v1/proxies` shows them.

use std::sync::Arc;
use std::time::SystemTime;

use crate::model::Key;
use crate::translate::ResourceType;

/// Every proxy with an ADS stream, and for a minute those that had one.
#[derive(Debug, Default)]
pub struct Registry {}

/// One proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyStatus {
    /// Its workload.
    pub workload: Key,
    /// Its SPIFFE id.
    pub identity: String,
    /// `Node.user_agent_name` and version, as it says: `weft-proxy/0.1.0`.
    pub version: String,
    /// Is its stream open?
    pub connected: bool,
    /// When the stream was opened.
    pub connected_since: SystemTime,
    /// One for each kind that it has subscribed to, in the order of [`ResourceType::ALL`].
    pub resources: Vec<TypeStatus>,
}

/// What one proxy has of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeStatus {
    /// The kind.
    pub kind: ResourceType,
    /// Configuration version of the last response sent; counts up with each change of the mesh.
    pub sent: Option<u64>,
    /// The last one acknowledged.
    pub acked: Option<u64>,
    /// The last one refused, until a later one is acknowledged.
    pub rejected: Option<Rejection>,
}

/// A NACK.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// Configuration version of the response that was refused.
    pub version: u64,
    /// The proxy's words, at most 1 KiB.
    pub reason: String,
}

impl Registry {
    /// Nobody is connected.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Every proxy, by workload.
    #[must_use]
    pub fn list(&self) -> Vec<ProxyStatus> {
        Vec::new()
    }
}

//! What leaves the xDS client: changes for the data path, the client's standing for readiness and admin.

use std::time::SystemTime;

use weft_certs::DenyList;
use weft_proto::names::type_url;

use crate::model::{
    Addresses, ClusterSpec, EndpointsSpec, InboundListener, OutboundListener, RouteTable,
};

/// Kind of an xDS resource. Ordered so that what is referred to comes before what refers to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Trust bundle.
    Secret,
    /// ClusterLoadAssignment.
    Endpoints,
    /// Cluster.
    Cluster,
    /// RouteConfiguration.
    Routes,
    /// Listener, outbound or inbound.
    Listener,
    /// Addresses at which a listener is found. They name it, and wait for nothing.
    Addresses,
    /// Who is denied.
    DenyList,
}

/// One change of what is in force. Those of one [`Update`] are to be applied in order.
#[derive(Debug)]
pub enum Change {
    /// New or changed; all that it refers to came before, or does not exist.
    Outbound(OutboundListener),
    /// New or changed.
    Inbound(InboundListener),
    /// New or changed; its clusters came before, those missing do not exist.
    Routes(RouteTable),
    /// New or changed; its endpoints came before.
    Cluster(ClusterSpec),
    /// New or changed, possibly empty.
    Endpoints(EndpointsSpec),
    /// New or changed: of one Service port or of thousands.
    Addresses(Vec<Addresses>),
    /// New or changed, possibly empty.
    DenyList(DenyList),
    /// Gone, or no longer wanted. What referred to it changed before.
    Removed(Kind, String),
}

/// Changes that take force together.
#[derive(Debug)]
pub struct Update {
    /// In order.
    pub changes: Vec<Change>,
}

/// What the client knows of its own standing; for readiness, admin and telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SyncState {
    /// A stream is open.
    pub connected: bool,
    /// What is in force was read from the last good configuration and not confirmed since.
    pub stale: bool,
    /// Every resource wanted at start was answered, and all of it is in force.
    pub synced: bool,
    /// Why there is no stream.
    pub last_error: Option<String>,
    /// When the last stream ended; `None` before the first.
    pub left: Option<SystemTime>,
    /// Version of the last response that was accepted whole, as the server calls it; empty before the first.
    pub version: String,
    /// When that came.
    pub accepted: Option<SystemTime>,
    /// By [`Kind`], in the order of [`Kind::ALL`].
    pub kinds: [KindState; 7],
}

/// Counts of one [`Kind`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KindState {
    /// Names subscribed.
    pub wanted: usize,
    /// Resources in force.
    pub in_force: usize,
    /// Resources accepted since start.
    pub accepted: u64,
    /// Resources rejected since start.
    pub rejected: u64,
    /// A resource whose newest version was rejected and not mended since:
    /// `RouteConfiguration product.shop:8080: virtual_hosts[0]…: reason`.
    pub rejection: Option<String>,
}

impl Kind {
    /// In the order in which changes take force.
    pub const ALL: [Self; 7] = [
        Self::Secret,
        Self::Endpoints,
        Self::Cluster,
        Self::Routes,
        Self::Listener,
        Self::Addresses,
        Self::DenyList,
    ];

    /// xDS type URL.
    #[must_use]
    pub fn type_url(self) -> &'static str {
        match self {
            Self::Secret => type_url::SECRET,
            Self::Endpoints => type_url::ENDPOINT,
            Self::Cluster => type_url::CLUSTER,
            Self::Routes => type_url::ROUTE,
            Self::Listener => type_url::LISTENER,
            Self::Addresses => type_url::ADDRESSES,
            Self::DenyList => type_url::DENY_LIST,
        }
    }

    /// The kind of an xDS type URL.
    #[must_use]
    pub fn from_type_url(url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == url)
    }

    /// Envoy's name of the message: `RouteConfiguration`.
    #[must_use]
    pub fn message(self) -> &'static str {
        self.type_url().rsplit('.').next().unwrap_or_default()
    }
}

//! The objects of all kinds, each checked as far as it can be alone, and what names them.

use std::fmt;

use crate::model::{AccessPolicy, Key, MeshConfig, Origin, Service, Workload};

use super::inbound_policy::InboundDraft;
use super::route::RouteDraft;
use super::telemetry_policy::TelemetryDraft;
use super::traffic_policy::TrafficDraft;

/// Kinds that Weft reads.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Kind {
    MeshConfig,
    Service,
    MeshWorkload,
    HttpRoute,
    GrpcRoute,
    TrafficPolicy,
    InboundPolicy,
    AccessPolicy,
    TelemetryPolicy,
    /// Only from the API server; a MeshWorkload is what a file says instead.
    Pod,
    /// What an EndpointSlice lists that is no pod; likewise.
    EndpointSlice,
}

impl Kind {
    /// Those that users write.
    pub(crate) const ALL: [Self; 9] = [
        Self::MeshConfig,
        Self::Service,
        Self::MeshWorkload,
        Self::HttpRoute,
        Self::GrpcRoute,
        Self::TrafficPolicy,
        Self::InboundPolicy,
        Self::AccessPolicy,
        Self::TelemetryPolicy,
    ];

    /// As written in `kind`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::MeshConfig => "MeshConfig",
            Self::Service => "Service",
            Self::MeshWorkload => "MeshWorkload",
            Self::HttpRoute => "HTTPRoute",
            Self::GrpcRoute => "GRPCRoute",
            Self::TrafficPolicy => "TrafficPolicy",
            Self::InboundPolicy => "InboundPolicy",
            Self::AccessPolicy => "AccessPolicy",
            Self::TelemetryPolicy => "TelemetryPolicy",
            Self::Pod => "Pod",
            Self::EndpointSlice => "EndpointSlice",
        }
    }

    /// The one `apiVersion` that is read.
    pub(crate) fn api_version(self) -> &'static str {
        match self {
            Self::Service | Self::Pod => "v1",
            Self::EndpointSlice => "discovery.k8s.io/v1",
            Self::HttpRoute | Self::GrpcRoute => "gateway.networking.k8s.io/v1",
            Self::MeshConfig
            | Self::MeshWorkload
            | Self::TrafficPolicy
            | Self::InboundPolicy
            | Self::AccessPolicy
            | Self::TelemetryPolicy => "weft.dev/v1alpha1",
        }
    }
}

/// What makes an object the same object when its content changes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct ObjectId {
    pub(crate) kind: Kind,
    pub(crate) key: Key,
}

/// `HTTPRoute shop/web`.
impl fmt::Display for ObjectId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind.name(), self.key)
    }
}

impl ObjectId {
    pub(crate) fn new(kind: Kind, key: &Key) -> Self {
        Self { kind, key: key.clone() }
    }

    /// The origin of what is made from this object.
    pub(crate) fn origin(&self, generation: u64) -> Origin {
        Origin {
            kind: self.kind.name().to_owned(),
            namespace: self.key.namespace.clone(),
            name: self.key.name.clone(),
            generation,
            rule: String::new(),
        }
    }
}

/// One object, valid in itself. Equality is that of content: where it was written and how often it
/// changed is not part of it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Object {
    MeshConfig(MeshConfig),
    Service(Service),
    Workload(Workload),
    Route(RouteDraft),
    TrafficPolicy(Box<TrafficDraft>),
    InboundPolicy(InboundDraft),
    AccessPolicy(AccessPolicy),
    TelemetryPolicy(Box<TelemetryDraft>),
}

//! One xDS resource as every stream shares it: encoded once, named, versioned, with an audience.
//!
//! Made by the builders of [`super`], kept by `xds::Cache`, sent by `xds` without another copy.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use bytes::{BufMut as _, Bytes, BytesMut};
use prost::encoding::{WireType, encode_key, encode_varint, key_len, string};
use weft_proto::names::type_url;

use crate::model::{Key, Origin};

/// The kinds of resources, in the order in which additions are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ResourceType {
    /// Who is denied: Weft's own. First, so that nothing holds it up.
    DenyList,
    /// Cluster (CDS).
    Cluster,
    /// ClusterLoadAssignment (EDS).
    Endpoint,
    /// Listener (LDS).
    Listener,
    /// RouteConfiguration (RDS).
    Route,
    /// Secret (SDS): trust bundles, never keys.
    Secret,
    /// Addresses of a Service port: Weft's own, for proxies that intercept connections.
    Addresses,
}

impl ResourceType {
    /// Every kind, in the order in which additions are sent.
    pub const ALL: [Self; 7] = [
        Self::DenyList,
        Self::Cluster,
        Self::Endpoint,
        Self::Listener,
        Self::Route,
        Self::Secret,
        Self::Addresses,
    ];

    /// As the protocol names it.
    #[must_use]
    pub fn type_url(self) -> &'static str {
        match self {
            Self::DenyList => type_url::DENY_LIST,
            Self::Cluster => type_url::CLUSTER,
            Self::Endpoint => type_url::ENDPOINT,
            Self::Listener => type_url::LISTENER,
            Self::Route => type_url::ROUTE,
            Self::Secret => type_url::SECRET,
            Self::Addresses => type_url::ADDRESSES,
        }
    }

    /// The kind that a type URL means; `None` of one that Weft does not serve.
    #[must_use]
    pub fn from_type_url(type_url: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.type_url() == type_url)
    }

    /// As people and the admin endpoint write it: `denied`, `clusters`, `endpoints`, `listeners`, `routes`,
    /// `secrets`, `addresses`.
    #[must_use]
    pub fn plural(self) -> &'static str {
        match self {
            Self::DenyList => "denied",
            Self::Cluster => "clusters",
            Self::Endpoint => "endpoints",
            Self::Listener => "listeners",
            Self::Route => "routes",
            Self::Secret => "secrets",
            Self::Addresses => "addresses",
        }
    }
}

/// Version of a resource: a hash of its content, so that equal content has an equal version in every
/// process and a reconnecting proxy is sent nothing again. 16 hexadecimal digits on the wire.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version(pub(crate) u64);

impl Version {
    /// Reads what [`Display`](fmt::Display) wrote; `None` of anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let digits = text.len() == 16 && text.bytes().all(|b| b.is_ascii_hexdigit());
        if digits { u64::from_str_radix(text, 16).ok().map(Self) } else { None }
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// Who may see a resource. Of several with one name each proxy sees exactly one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Visibility {
    /// Every proxy of the mesh.
    All,
    /// The proxy of one workload.
    Workload(Key),
    /// The proxies of one namespace, instead of the resource that the others see under the same name.
    Namespace(String),
    /// Every proxy but those of these namespaces, which have variants of their own.
    Except(BTreeSet<String>),
}

impl Visibility {
    /// May the proxy of this workload see it?
    #[must_use]
    pub fn includes(&self, workload: &Key) -> bool {
        match self {
            Self::All => true,
            Self::Workload(owner) => owner == workload,
            Self::Namespace(namespace) => *namespace == workload.namespace,
            Self::Except(namespaces) => !namespaces.contains(&workload.namespace),
        }
    }

    /// May anybody see it who might not under `before`?
    pub(crate) fn is_wider_than(&self, before: &Self) -> bool {
        let Self::Except(hidden) = before else { return false };
        match self {
            Self::Except(still) => !hidden.is_subset(still),
            Self::All | Self::Workload(_) | Self::Namespace(_) => true,
        }
    }
}

/// What tells apart resources of one kind: the name, for the variant of a namespace with the namespace. Names hold
/// no `@`.
pub(crate) fn variant_slot(name: &str, namespace: &str) -> String {
    format!("{name}@{namespace}")
}

/// A name that a resource mentions and that must be in the same set.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Reference {
    /// Kind of what is mentioned.
    pub kind: ResourceType,
    /// Its name.
    pub name: Arc<str>,
}

/// Kinds of objects with a status.
const WITH_STATUS: [&str; 8] = [
    "HTTPRoute",
    "GRPCRoute",
    "TrafficPolicy",
    "InboundPolicy",
    "AccessPolicy",
    "TelemetryPolicy",
    "MeshConfig",
    "MeshWorkload",
];

/// One encoded resource.
pub struct Resource {
    /// Kind.
    pub kind: ResourceType,
    /// Name, unique within what one proxy sees of its kind.
    pub name: Arc<str>,
    /// Unique within its kind: the name, unless it is a variant (see [`variant_slot`]).
    pub(crate) slot: Arc<str>,
    /// Hash of the content.
    pub version: Version,
    /// Who may see it.
    pub visibility: Visibility,
    /// What it needs to be of use.
    pub references: Vec<Reference>,
    /// The objects that it was made from and that are told how far they have come; not part of the content.
    pub origins: Vec<Arc<Origin>>,
    /// Field 2 of a DeltaDiscoveryResponse, key and length included: it goes on the wire as it is.
    entry: Bytes,
    /// The encoded message itself inside `entry`.
    body: Range<usize>,
}

/// Field numbers of `DeltaDiscoveryResponse.resources`, `Resource` and `Any`.
mod field {
    pub(super) const RESOURCES: u32 = 2;
    pub(super) const RESOURCE_VERSION: u32 = 1;
    pub(super) const RESOURCE_ANY: u32 = 2;
    pub(super) const RESOURCE_NAME: u32 = 3;
    pub(super) const ANY_TYPE_URL: u32 = 1;
    pub(super) const ANY_VALUE: u32 = 2;
}

impl Resource {
    /// Wraps an encoded message.
    #[must_use]
    pub fn new(kind: ResourceType, name: &str, version: Version, body: &[u8]) -> Self {
        let (version_text, type_url) = (version.to_string(), kind.type_url().to_owned());
        let name_text = name.to_owned();
        let any = string::encoded_len(field::ANY_TYPE_URL, &type_url)
            + nested_len(field::ANY_VALUE, body.len());
        let resource = string::encoded_len(field::RESOURCE_VERSION, &version_text)
            + nested_len(field::RESOURCE_ANY, any)
            + string::encoded_len(field::RESOURCE_NAME, &name_text);

        let mut entry = BytesMut::with_capacity(nested_len(field::RESOURCES, resource));
        open(field::RESOURCES, resource, &mut entry);
        string::encode(field::RESOURCE_VERSION, &version_text, &mut entry);
        string::encode(field::RESOURCE_NAME, &name_text, &mut entry);
        open(field::RESOURCE_ANY, any, &mut entry);
        string::encode(field::ANY_TYPE_URL, &type_url, &mut entry);
        open(field::ANY_VALUE, body.len(), &mut entry);
        entry.put_slice(body);

        let body = entry.len() - body.len()..entry.len();
        let name: Arc<str> = name.into();
        Self {
            kind,
            slot: name.clone(),
            name,
            version,
            visibility: Visibility::All,
            references: Vec::new(),
            origins: Vec::new(),
            entry: entry.freeze(),
            body,
        }
    }

    /// With what it mentions.
    #[must_use]
    pub fn needing(self, references: Vec<Reference>) -> Self {
        Self { references, ..self }
    }

    /// With the objects that it was made from. Those without a status (Services, pods) are left out: nobody asks how
    /// far they have come, and a Service can have thousands of them.
    #[must_use]
    pub fn made_from(mut self, origins: impl IntoIterator<Item = Arc<Origin>>) -> Self {
        let told = |origin: &Arc<Origin>| WITH_STATUS.contains(&origin.kind.as_str());
        self.origins.extend(origins.into_iter().filter(told));
        self
    }

    /// Seen by the proxy of this workload only.
    #[must_use]
    pub fn only_for(self, workload: &Key) -> Self {
        Self { visibility: Visibility::Workload(workload.clone()), ..self }
    }

    /// Seen by the proxies of this namespace only, in place of the resource that has the name elsewhere.
    #[must_use]
    pub fn only_in(self, namespace: &str) -> Self {
        let slot = variant_slot(&self.name, namespace).into();
        Self { slot, visibility: Visibility::Namespace(namespace.to_owned()), ..self }
    }

    /// Not seen by the proxies of these namespaces.
    #[must_use]
    pub fn except_in<'a>(self, namespaces: impl Iterator<Item = &'a &'a str>) -> Self {
        let namespaces: BTreeSet<_> = namespaces.map(|&namespace| namespace.to_owned()).collect();
        if namespaces.is_empty() {
            return self;
        }
        Self { visibility: Visibility::Except(namespaces), ..self }
    }

    /// The encoded message: what stands in `Any.value`.
    #[must_use]
    pub fn body(&self) -> Bytes {
        self.entry.slice(self.body.clone())
    }

    /// Length of [`Self::entry`] in bytes.
    #[must_use]
    pub fn entry_len(&self) -> usize {
        self.entry.len()
    }

    /// The resource as one field of a DeltaDiscoveryResponse.
    #[must_use]
    pub fn entry(&self) -> Bytes {
        self.entry.clone()
    }
}

impl fmt::Debug for Resource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {}@{} ({} bytes)", self.kind, self.name, self.version, self.body.len())
    }
}

/// Length of a length-delimited field that holds `len` bytes.
fn nested_len(tag: u32, len: usize) -> usize {
    key_len(tag) + prost::length_delimiter_len(len) + len
}

/// Starts a length-delimited field that holds `len` bytes.
fn open(tag: u32, len: usize, buffer: &mut BytesMut) {
    encode_key(tag, WireType::LengthDelimited, buffer);
    encode_varint(len as u64, buffer);
}

#[cfg(test)]
mod tests;

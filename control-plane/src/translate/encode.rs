//! Encoding with a version: the hash of a message's content.
//!
//! A hash of the encoded bytes would not do: prost keeps map fields in `HashMap`s, which encode in another
//! order each time (pitfall 6 of xDS in Rust). The only maps with more than one entry in what Weft sends
//! are those of metadata. So the message is hashed without its metadata, then the metadata by sorted keys,
//! and then the whole is encoded. Everything sent is in the hash: no field can be forgotten.

use aws_lc_rs::digest::{SHA256, digest};
use prost::Message;
use weft_proto::config::{Addresses, DenyList};
use weft_proto::envoy::cluster::Cluster;
use weft_proto::envoy::core::Metadata;
use weft_proto::envoy::endpoint::ClusterLoadAssignment;
use weft_proto::envoy::listener::Listener;
use weft_proto::envoy::route::RouteConfiguration;
use weft_proto::envoy::tls::Secret;
use weft_proto::google::{Struct, Value, value::Kind};

use super::{Resource, ResourceType, Version};

/// A message that knows where its metadata is. A new place for metadata must be visited here, else the
/// version of the resource is another one at every translation; a test of [`super`] watches this.
pub(super) trait Annotated: Message {
    /// What this message is.
    const KIND: ResourceType;

    /// Visits every metadata field, always in the same order.
    fn each_metadata(&mut self, visit: &mut dyn FnMut(&mut Option<Metadata>));
}

impl Annotated for Listener {
    const KIND: ResourceType = ResourceType::Listener;

    fn each_metadata(&mut self, visit: &mut dyn FnMut(&mut Option<Metadata>)) {
        visit(&mut self.metadata);
        for chain in &mut self.filter_chains {
            visit(&mut chain.metadata);
        }
    }
}

impl Annotated for Cluster {
    const KIND: ResourceType = ResourceType::Cluster;

    fn each_metadata(&mut self, visit: &mut dyn FnMut(&mut Option<Metadata>)) {
        visit(&mut self.metadata);
    }
}

impl Annotated for RouteConfiguration {
    const KIND: ResourceType = ResourceType::Route;

    fn each_metadata(&mut self, visit: &mut dyn FnMut(&mut Option<Metadata>)) {
        for route in self.virtual_hosts.iter_mut().flat_map(|host| &mut host.routes) {
            visit(&mut route.metadata);
        }
    }
}

impl Annotated for ClusterLoadAssignment {
    const KIND: ResourceType = ResourceType::Endpoint;

    fn each_metadata(&mut self, visit: &mut dyn FnMut(&mut Option<Metadata>)) {
        for endpoint in self.endpoints.iter_mut().flat_map(|group| &mut group.lb_endpoints) {
            visit(&mut endpoint.metadata);
        }
    }
}

impl Annotated for Secret {
    const KIND: ResourceType = ResourceType::Secret;

    fn each_metadata(&mut self, _: &mut dyn FnMut(&mut Option<Metadata>)) {}
}

impl Annotated for Addresses {
    const KIND: ResourceType = ResourceType::Addresses;

    fn each_metadata(&mut self, _: &mut dyn FnMut(&mut Option<Metadata>)) {}
}

impl Annotated for DenyList {
    const KIND: ResourceType = ResourceType::DenyList;

    fn each_metadata(&mut self, _: &mut dyn FnMut(&mut Option<Metadata>)) {}
}

/// Encodes a message into the resource of that name.
pub(super) fn encode<M: Annotated>(name: &str, mut message: M) -> Resource {
    let version = version(&mut message);
    Resource::new(M::KIND, name, version, &message.encode_to_vec())
}

fn version<M: Annotated>(message: &mut M) -> Version {
    let mut taken = Vec::new();
    message.each_metadata(&mut |metadata| taken.push(metadata.take()));
    let mut bytes = message.encode_to_vec();
    let stripped = bytes.len();
    count(stripped, &mut bytes);
    for metadata in &taken {
        canonical_metadata(metadata.as_ref(), &mut bytes);
    }
    let mut taken = taken.into_iter();
    message.each_metadata(&mut |metadata| *metadata = taken.next().flatten());

    Version(hash(&bytes))
}

/// The first 8 bytes of SHA-256: the same in every process and on every machine.
pub(super) fn hash(bytes: &[u8]) -> u64 {
    let digest = digest(&SHA256, bytes);
    digest.as_ref().iter().take(8).fold(0, |sum, byte| sum << 8 | u64::from(*byte))
}

/// Unambiguous bytes: every text with its length, every list with its count.
fn canonical_metadata(metadata: Option<&Metadata>, out: &mut Vec<u8>) {
    let Some(metadata) = metadata else { return out.push(0) };
    out.push(1);
    let mut parts: Vec<_> = metadata.filter_metadata.iter().collect();
    parts.sort_by_key(|(key, _)| key.as_str());
    count(parts.len(), out);
    for (key, value) in parts {
        canonical_text(key, out);
        canonical_struct(value, out);
    }
}

fn canonical_struct(value: &Struct, out: &mut Vec<u8>) {
    let mut fields: Vec<_> = value.fields.iter().collect();
    fields.sort_by_key(|(key, _)| key.as_str());
    count(fields.len(), out);
    for (key, value) in fields {
        canonical_text(key, out);
        canonical_value(value, out);
    }
}

fn canonical_value(value: &Value, out: &mut Vec<u8>) {
    match &value.kind {
        None | Some(Kind::NullValue(_)) => out.push(0),
        Some(Kind::NumberValue(number)) => {
            out.push(1);
            out.extend(number.to_bits().to_be_bytes());
        }
        Some(Kind::StringValue(value)) => {
            out.push(2);
            canonical_text(value, out);
        }
        Some(Kind::BoolValue(value)) => out.extend([3, u8::from(*value)]),
        Some(Kind::StructValue(value)) => {
            out.push(4);
            canonical_struct(value, out);
        }
        Some(Kind::ListValue(list)) => {
            out.push(5);
            count(list.values.len(), out);
            list.values.iter().for_each(|value| canonical_value(value, out));
        }
    }
}

fn canonical_text(value: &str, out: &mut Vec<u8>) {
    count(value.len(), out);
    out.extend(value.as_bytes());
}

fn count(number: usize, out: &mut Vec<u8>) {
    out.extend((number as u64).to_be_bytes());
}

#[cfg(test)]
mod tests;

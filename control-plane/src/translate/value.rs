//! Small values of Envoy's API, under short names: what several builders of [`super`] need.

use std::time::Duration;

use prost::{Message, Name};
use weft_proto::envoy::core::{self, address, config_source, socket_address};
use weft_proto::envoy::core::{Address, ConfigSource, Metadata, SocketAddress, TransportSocket};
use weft_proto::envoy::types::Percent;
use weft_proto::google::{Any, BoolValue, Struct, UInt32Value, Value, value::Kind};
use weft_proto::names::metadata;
use weft_proto::origin::Origin;

/// Packs a message whose type Envoy knows.
pub(super) fn any<M: Message + Name>(message: &M) -> Any {
    Any { type_url: M::type_url(), value: message.encode_to_vec() }
}

/// A duration; Envoy's has nanoseconds too.
pub(super) fn duration(of: Duration) -> weft_proto::google::Duration {
    weft_proto::google::Duration {
        seconds: i64::try_from(of.as_secs()).unwrap_or(i64::MAX),
        nanos: i32::try_from(of.subsec_nanos()).unwrap_or(0),
    }
}

/// A wrapped number.
pub(super) fn uint32(value: u32) -> UInt32Value {
    UInt32Value { value }
}

/// A wrapped truth value.
pub(super) fn boolean(value: bool) -> BoolValue {
    BoolValue { value }
}

/// 0 to 100.
pub(super) fn percent(value: f64) -> Percent {
    Percent { value: value.clamp(0.0, 100.0) }
}

/// A TCP address.
pub(super) fn address(ip: std::net::IpAddr, port: u16) -> Address {
    let port_specifier = Some(socket_address::PortSpecifier::PortValue(port.into()));
    let socket = SocketAddress { address: ip.to_string(), port_specifier, ..Default::default() };
    Address { address: Some(address::Address::SocketAddress(socket)) }
}

/// "From the very stream that this came on", API v3.
pub(super) fn ads() -> ConfigSource {
    ConfigSource {
        resource_api_version: core::ApiVersion::V3.into(),
        config_source_specifier: Some(config_source::ConfigSourceSpecifier::Ads(
            core::AggregatedConfigSource {},
        )),
        ..Default::default()
    }
}

/// A transport socket by Envoy's name for it.
pub(super) fn transport_socket<M: Message + Name>(name: &str, config: &M) -> TransportSocket {
    TransportSocket {
        name: name.to_owned(),
        config_type: Some(core::transport_socket::ConfigType::TypedConfig(any(config))),
    }
}

/// A text inside a `Struct`.
pub(super) fn text(value: &str) -> Value {
    Value { kind: Some(Kind::StringValue(value.to_owned())) }
}

/// A `Struct` of texts.
pub(super) fn texts(fields: &[(&str, &str)]) -> Struct {
    Struct { fields: fields.iter().map(|(key, value)| ((*key).to_owned(), text(value))).collect() }
}

/// Metadata that names the object a resource was made from.
pub(super) fn source(origin: &Origin) -> Metadata {
    metadata_of([(metadata::SOURCE, origin.to_struct())])
}

/// Metadata of these parts.
pub(super) fn metadata_of<const N: usize>(parts: [(&str, Struct); N]) -> Metadata {
    Metadata {
        filter_metadata: parts.into_iter().map(|(key, value)| (key.to_owned(), value)).collect(),
        ..Default::default()
    }
}

//! Small values that many messages hold: any, durations, percentages, metadata, config sources.

use std::time::Duration;

use prost::{Message, Name};
use weft_proto::envoy::{core, types};
use weft_proto::google::{Any, Duration as ProtoDuration, Value, value};
use weft_proto::names::metadata;
use weft_proto::origin::Origin;

use super::reject::{At, Reject, nothing_else};

/// Bound: no limit or interval of a proxy is longer; keeps sums of deadlines far from overflow.
const LONGEST: Duration = Duration::from_secs(366 * 24 * 3600);

/// Decodes a whole message. prost skips fields that it does not know, we do not: what was read must be
/// as long as what was sent.
pub(super) fn message<M: Message + Default>(bytes: &[u8]) -> Result<M, Reject> {
    let message =
        M::decode(bytes).map_err(|error| Reject::new("", format!("malformed: {error}")))?;
    if message.encoded_len() == bytes.len() {
        Ok(message)
    } else {
        Err(Reject::new("", "holds a field that this version of weft-proxy does not know"))
    }
}

/// Full name of the message in an `Any`.
pub(super) fn type_name(any: &Any) -> &str {
    any.type_url.rsplit('/').next().unwrap_or_default()
}

/// Unpacks the `Any` under `field`, which must be there.
pub(super) fn unpack<M: Message + Default + Name>(
    field: &str,
    any: Option<Any>,
) -> Result<M, Reject> {
    let Some(any) = any else { return Err(Reject::new(field, "missing")) };
    if type_name(&any) != M::full_name() {
        return Err(Reject::new(field, format!("{} is not supported", type_name(&any))));
    }
    message(&any.value).at(field)
}

/// Takes the sub-message out, which must be there.
pub(super) fn required<T>(field: &str, message: &mut Option<T>) -> Result<T, Reject> {
    message.take().ok_or_else(|| Reject::new(field, "missing"))
}

/// A duration that is not negative.
pub(super) fn duration(
    field: &str,
    duration: &mut Option<ProtoDuration>,
) -> Result<Option<Duration>, Reject> {
    let Some(ProtoDuration { seconds, nanos }) = duration.take() else { return Ok(None) };
    match (u64::try_from(seconds), u32::try_from(nanos)) {
        (Ok(seconds), Ok(nanos @ 0..1_000_000_000)) if seconds <= LONGEST.as_secs() => {
            Ok(Some(Duration::new(seconds, nanos)))
        }
        _ => Err(Reject::new(field, format!("{seconds}s {nanos}ns is out of range"))),
    }
}

/// A percentage as 0 to 1; `absent` if it is not set.
pub(super) fn share(
    field: &str,
    percent: &mut Option<types::Percent>,
    absent: f64,
) -> Result<f64, Reject> {
    match percent.take() {
        None => Ok(absent),
        Some(types::Percent { value }) if (0.0..=100.0).contains(&value) => Ok(value / 100.0),
        Some(types::Percent { value }) => {
            Err(Reject::new(field, format!("{value} is not between 0 and 100")))
        }
    }
}

/// The object that a resource was made from. Other metadata is somebody else's and left alone.
pub(super) fn origin(metadata: Option<&core::Metadata>) -> Option<Origin> {
    Some(Origin::from_struct(metadata?.filter_metadata.get(metadata::SOURCE)?))
}

/// A string under one of our own metadata keys; empty if it is not there.
pub(super) fn metadata_text<'m>(
    metadata: Option<&'m core::Metadata>,
    key: &str,
    field: &str,
) -> &'m str {
    let value = metadata
        .and_then(|metadata| metadata.filter_metadata.get(key))
        .and_then(|fields| fields.fields.get(field));
    match value {
        Some(Value { kind: Some(value::Kind::StringValue(text)) }) => text,
        _ => "",
    }
}

/// A config source, which can only be this very stream.
pub(super) fn ads(field: &str, source: Option<core::ConfigSource>) -> Result<(), Reject> {
    let Some(mut source) = source else { return Err(Reject::new(field, "missing")) };
    match source.config_source_specifier.take() {
        Some(core::config_source::ConfigSourceSpecifier::Ads(_)) => {}
        _ => return Err(Reject::new(field, "only `ads` is supported")),
    }
    if source.resource_api_version == core::ApiVersion::V3 as i32 {
        source.resource_api_version = 0;
    }
    // How long Envoy holds a listener back; here nothing is held back longer than what is in force.
    source.initial_fetch_timeout = None;
    nothing_else(&source).at(field)
}

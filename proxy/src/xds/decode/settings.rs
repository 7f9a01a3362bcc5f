//! Limits of HTTP connections: from Envoy's fields where it has them, and from our own extension of a listener. Each
//! within the bounds that this proxy's flags have.

use std::time::Duration;

use weft_proto::config::HttpLimits;
use weft_proto::envoy::core::Metadata;
use weft_proto::envoy::hcm::HttpConnectionManager;
use weft_proto::names::metadata;

use super::reject::{At, Reject, nothing_else};
use super::value::{duration, message, type_name};
use crate::model::HttpSettings;

const HTTP_LIMITS: &str = "weft.config.v1.HttpLimits";

/// Takes out of an HttpConnectionManager what limits connections.
pub(super) fn of(hcm: &mut HttpConnectionManager) -> Result<HttpSettings, Reject> {
    let mut settings = HttpSettings {
        head_timeout: time("request_headers_timeout", &mut hcm.request_headers_timeout)?,
        stall: time("stream_flush_timeout", &mut hcm.stream_flush_timeout)?,
        ..HttpSettings::default()
    };
    if let Some(mut options) = hcm.common_http_protocol_options.take() {
        let at = "common_http_protocol_options";
        let count = options.max_headers_count.take().map(|count| count.value);
        settings.header_fields = number("max_headers_count", count, 10, 10_000).at(at)?;
        nothing_else(&options).at(at)?;
    }
    if let Some(mut options) = hcm.http2_protocol_options.take() {
        let at = "http2_protocol_options";
        let count = options.max_concurrent_streams.take().map(|count| count.value);
        settings.streams = number("max_concurrent_streams", count, 1, 10_000).at(at)?;
        nothing_else(&options).at(at)?;
    }
    Ok(settings)
}

/// What our own extension in a listener's metadata says.
pub(super) fn own(metadata: Option<&Metadata>) -> Result<HttpSettings, Reject> {
    let key = metadata::HTTP_LIMITS;
    let Some(any) = metadata.and_then(|metadata| metadata.typed_filter_metadata.get(key)) else {
        return Ok(HttpSettings::default());
    };
    let at = format!("metadata.typed_filter_metadata[{key}]");
    if type_name(any) != HTTP_LIMITS {
        return Err(Reject::new(&at, format!("{} is not supported", type_name(any))));
    }
    let own: HttpLimits = message(&any.value).at(&at)?;
    let set = |value: u32| Some(value).filter(|value| *value != 0);
    let budget = number("http2_header_budget_kib", set(own.http2_header_budget_kib), 64, 1 << 20);
    let resets = number("http2_local_resets", set(own.http2_local_resets), 1, 1024);
    Ok(HttpSettings {
        header_budget: budget.at(&at)?,
        memory: number("http2_memory_mib", set(own.http2_memory_mib), 1, 1 << 20).at(&at)?,
        local_resets: resets.at(&at)?,
        ..HttpSettings::default()
    })
}

fn number(field: &str, value: Option<u32>, low: u32, high: u32) -> Result<Option<u32>, Reject> {
    match value {
        Some(value) if !(low..=high).contains(&value) => {
            Err(Reject::new(field, format!("{value} is not within {low} and {high}")))
        }
        value => Ok(value),
    }
}

fn time(
    field: &str,
    value: &mut Option<weft_proto::google::Duration>,
) -> Result<Option<Duration>, Reject> {
    match duration(field, value)? {
        Some(Duration::ZERO) => Err(Reject::new(field, "must be more than zero")),
        time => Ok(time),
    }
}

//! The fallback in a RouteConfiguration's metadata → [`Fallback`].

use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use weft_proto::envoy::core::Metadata;
use weft_proto::google::{ListValue, Struct, Value, value::Kind};
use weft_proto::names::metadata;

use super::super::reject::{At, Reject, each};
use super::headers;
use crate::model::Fallback;

/// Bound: bytes of the body.
const MAX_BODY: usize = 64 * 1024;

/// Reads it; `None` if there is none. Other metadata is somebody else's.
pub(super) fn fallback(metadata: Option<Metadata>) -> Result<Option<Box<Fallback>>, Reject> {
    let fields = metadata.and_then(|mut all| all.filter_metadata.remove(metadata::FALLBACK));
    let Some(mut fields) = fields else { return Ok(None) };
    let status = match take(&mut fields, "status") {
        Some(Kind::NumberValue(number)) => status(number)?,
        _ => return Err(Reject::new("status", "missing")),
    };
    let written = match take(&mut fields, "headers") {
        Some(Kind::ListValue(ListValue { values })) => values,
        _ => Vec::new(),
    };
    let mut headers = HeaderMap::new();
    each("headers", written, |value| {
        let (name, value) = header(value)?;
        headers.append(name, value);
        Ok(())
    })?;
    let body = text(&mut fields, "body");
    if body.len() > MAX_BODY {
        return Err(Reject::new("body", format!("longer than {MAX_BODY} bytes")));
    }
    if let Some(other) = fields.fields.keys().next() {
        return Err(Reject::new(other, "not supported by weft-proxy"));
    }
    Ok(Some(Box::new(Fallback { status, headers, body: Bytes::from(body) })))
}

fn status(number: f64) -> Result<StatusCode, Reject> {
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
    let code = number as u16;
    let whole = f64::from(code) == number && (200..600).contains(&code);
    let status = StatusCode::from_u16(code).ok().filter(|_| whole);
    status.ok_or_else(|| Reject::new("status", format!("{number} is not a final status")))
}

fn header(value: Value) -> Result<(http::HeaderName, http::HeaderValue), Reject> {
    let Some(Kind::StructValue(mut fields)) = value.kind else {
        return Err(Reject::new("", "not a name and a value"));
    };
    let name = headers::name(&text(&mut fields, "name")).at("name")?;
    let value = text(&mut fields, "value");
    let value = http::HeaderValue::try_from(value.as_str())
        .map_err(|_| Reject::new("value", format!("{value:?} is not a header value")))?;
    Ok((name, value))
}

fn text(fields: &mut Struct, key: &str) -> String {
    match take(fields, key) {
        Some(Kind::StringValue(text)) => text,
        _ => String::new(),
    }
}

fn take(fields: &mut Struct, key: &str) -> Option<Kind> {
    fields.fields.remove(key)?.kind
}

//! Header changes → [`HeaderOps`], in Envoy's order: removed first, then added or set as listed.

use std::mem::take;

use http::header::{
    CONNECTION, CONTENT_LENGTH, HOST, HeaderName, HeaderValue, TE, TRAILER, TRANSFER_ENCODING,
    UPGRADE,
};
use weft_proto::envoy::core::HeaderValueOption;
use weft_proto::envoy::core::header_value_option::HeaderAppendAction;

use super::super::reject::{At, Reject, each, nothing_else};
use super::super::value::required;
use crate::model::{HeaderChange, HeaderOps};

/// Framing and routing of a message rest on these; a route that changed them could smuggle one message in
/// another.
const UNTOUCHABLE: [HeaderName; 7] =
    [CONNECTION, CONTENT_LENGTH, HOST, TE, TRAILER, TRANSFER_ENCODING, UPGRADE];

/// Decodes `<prefix>_to_add` and `<prefix>_to_remove`.
pub(super) fn changes(
    prefix: &str,
    add: Vec<HeaderValueOption>,
    remove: Vec<String>,
) -> Result<HeaderOps, Reject> {
    let mut changes = each(&format!("{prefix}_to_remove"), remove, |header| {
        Ok(HeaderChange::Remove(name(&header)?))
    })?;
    changes.extend(each(&format!("{prefix}_to_add"), add, addition)?);
    Ok(HeaderOps { changes })
}

fn addition(mut option: HeaderValueOption) -> Result<HeaderChange, Reject> {
    let mut header = required("header", &mut option.header)?;
    let action = HeaderAppendAction::try_from(take(&mut option.append_action));
    let name = name(&take(&mut header.key)).at("header.key")?;
    let value = literal(&take(&mut header.value)).at("header.value")?;
    // Compat: without this flag Envoy drops a header with an empty value.
    if value.is_empty() && !take(&mut option.keep_empty_value) {
        return Err(Reject::new("header.value", "missing"));
    }
    option.keep_empty_value = false;
    nothing_else(&header).at("header")?;
    nothing_else(&option)?;
    match action {
        Ok(HeaderAppendAction::AppendIfExistsOrAdd) => Ok(HeaderChange::Add(name, value)),
        Ok(HeaderAppendAction::OverwriteIfExistsOrAdd) => Ok(HeaderChange::Set(name, value)),
        Ok(HeaderAppendAction::AddIfAbsent | HeaderAppendAction::OverwriteIfExists) | Err(_) => {
            Err(Reject::new("append_action", "only appending and overwriting are supported"))
        }
    }
}

/// A header that is not the connection's.
pub(super) fn name(text: &str) -> Result<HeaderName, Reject> {
    let name = HeaderName::try_from(text)
        .map_err(|_| Reject::new("", format!("{text:?} is not a header name")))?;
    if UNTOUCHABLE.contains(&name) || name == "keep-alive" || name == "proxy-connection" {
        return Err(Reject::new("", format!("{name} belongs to the connection")));
    }
    Ok(name)
}

/// A value in Envoy's format language, of which only `%%` for a percent sign is supported.
fn literal(format: &str) -> Result<HeaderValue, Reject> {
    let text = format.replace("%%", "\0");
    if text.contains('%') {
        return Err(Reject::new("", format!("{format:?}: commands between % are not supported")));
    }
    let text = text.replace('\0', "%");
    HeaderValue::try_from(text)
        .map_err(|_| Reject::new("", format!("{format:?} is not a header value")))
}

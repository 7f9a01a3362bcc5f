//! Header changes of a rule and of one of its backends as one list. Envoy applies a cluster's changes before its
//! route's whatever is asked of it, so that the rule would have the last word; here the backend has it, because it
//! is what the user wrote nearer to the request's destination. So where a backend changes headers, the rule's changes
//! travel with each of its backends. Called by `action`.

use weft_proto::envoy::core::HeaderValueOption;

use super::action::headers_to_add;
use crate::model::HeaderFilter;

/// What is added and what is removed, the rule's changes before the backend's. Envoy removes first, so what the
/// backend removes the rule must not add.
pub(super) fn composed(
    rule: &HeaderFilter,
    backend: &HeaderFilter,
) -> (Vec<HeaderValueOption>, Vec<String>) {
    let mut added = headers_to_add(rule);
    added.retain(|option| {
        let name = option.header.as_ref().map_or("", |header| header.key.as_str());
        !backend.remove.iter().any(|removed| removed == name)
    });
    added.extend(headers_to_add(backend));
    let mut removed = rule.remove.clone();
    removed.extend(backend.remove.iter().filter(|name| !rule.remove.contains(name)).cloned());
    (added, removed)
}

#[cfg(test)]
mod tests;

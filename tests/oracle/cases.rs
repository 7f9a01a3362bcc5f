//! All cases, a table for each topic.

mod affinity;
mod basics;
mod bodies;
mod grpc;
mod headers;
mod hosts;
mod malformed;
mod mirror;
mod redirects;
mod resilience;
mod retries;
mod rewrites;
mod sidecar;
mod timeouts;
mod weights;

use super::case::Group;
use super::generate;

/// Everything that both proxies are asked.
pub(crate) fn all() -> Vec<Group> {
    [
        generate::routing(4),
        affinity::groups(),
        basics::groups(),
        bodies::groups(),
        grpc::groups(),
        headers::groups(),
        hosts::groups(),
        malformed::groups(),
        mirror::groups(),
        redirects::groups(),
        resilience::groups(),
        retries::groups(),
        rewrites::groups(),
        sidecar::groups(),
        timeouts::groups(),
        weights::groups(),
    ]
    .concat()
}

/// Why a rule's response headers are missing on an answer that the proxy made.
const OWN: &str = "a failure that the proxy reports is no response of the backend's; Weft leaves the rule's headers off";

/// Backend references, `a, b`, as one line of flow YAML.
fn backends(list: &[&str]) -> String {
    let one = |backend: &&str| format!("{{name: {backend}, port: 8080}}");
    list.iter().map(one).collect::<Vec<_>>().join(", ")
}

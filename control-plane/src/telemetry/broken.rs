//! Workloads that break traces: they are given context with their requests and call on without it. Their sidecars say so
//! (`weft-proxy`, `telemetry::trace::broken`, has what it takes to be sure); here they are listed. Pure.

use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use weft_proto::names;

use super::store::ProxyState;
use crate::model::{Key, Mesh};

/// A sidecar reports every ten seconds at the least; of one that has not for so long nothing is known.
const HEARD: u64 = 30;

/// What a sidecar says of its workload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken {
    /// Seconds since the Unix epoch: when it was beyond doubt.
    pub(crate) since: i64,
    /// Calls without context.
    pub(crate) calls: u64,
}

/// One of `GET /v1/traces/broken`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub(crate) struct BrokenWorkload {
    /// As people call it: `payment`.
    pub(crate) name: String,
    pub(crate) namespace: String,
    /// `payment-v1.shop`.
    pub(crate) workload: String,
    /// RFC 3339.
    pub(crate) since: String,
    /// Calls without context that met a request under way, since the sidecar's start.
    pub(crate) calls: u64,
}

/// Those that are of the mesh and whose sidecars have been heard lately, by name.
pub(super) fn list<'a>(
    proxies: impl Iterator<Item = (&'a str, &'a ProxyState)>,
    mesh: &Mesh,
    now: u64,
) -> Vec<BrokenWorkload> {
    let one = |(id, state): (&str, &ProxyState)| {
        let broken = state.broken?;
        let (name, namespace) = names::parse_workload(id)?;
        let workload = mesh.workloads.get(&Key::new(namespace, name))?;
        let heard = now.saturating_sub(state.reported) <= HEARD;
        heard.then(|| BrokenWorkload {
            name: workload.display_name().to_owned(),
            namespace: namespace.to_owned(),
            workload: id.to_owned(),
            since: rfc3339(broken.since),
            calls: broken.calls,
        })
    };
    let mut all: Vec<_> = proxies.filter_map(one).collect();
    all.sort();
    all
}

fn rfc3339(unix: i64) -> String {
    let time = OffsetDateTime::from_unix_timestamp(unix).ok();
    time.and_then(|time| time.format(&Rfc3339).ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests;

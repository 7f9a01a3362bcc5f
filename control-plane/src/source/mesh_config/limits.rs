//! `limits.http` of `MeshConfig`: numbers and times within the bounds that a proxy's own flags have.

use std::time::Duration;

use super::super::duration;
use super::super::problem::Problems;
use super::super::schema::mesh::HttpLimits;
use crate::model;

const AT: &str = "spec.limits.http";
/// Bound of both times.
const LONGEST: Duration = Duration::from_secs(3600);

/// Reads them.
pub(super) fn read(http: &HttpLimits, problems: &mut Problems) -> model::HttpLimits {
    let mut number = |value: Option<i64>, name: &str, low: u32, high: u32| {
        let value = value?;
        let known = u32::try_from(value).ok().filter(|value| (low..=high).contains(value));
        if known.is_none() {
            let message = format!("{value} is not within {low} and {high}");
            problems.invalid(format!("{AT}.{name}"), message);
        }
        known
    };
    let header_fields = number(http.header_fields, "headerFields", 10, 10_000);
    let streams = number(http.http2_streams, "http2Streams", 1, 10_000);
    let header_budget = number(http.http2_header_budget, "http2HeaderBudget", 64, 1 << 20);
    let memory = number(http.http2_memory, "http2Memory", 1, 1 << 20);
    let local_resets = number(http.http2_local_resets, "http2LocalResets", 1, 1024);
    let mut time = |text: Option<&str>, name: &str| {
        let field = format!("{AT}.{name}");
        let time = duration::positive(text, &field, problems)?;
        if time > LONGEST {
            problems.invalid(field, "must be at most 1h");
        }
        Some(time)
    };
    model::HttpLimits {
        head_timeout: time(http.head_timeout.as_deref(), "headTimeout"),
        header_fields,
        streams,
        header_budget,
        memory,
        local_resets,
        stall_timeout: time(http.http2_stall_timeout.as_deref(), "http2StallTimeout"),
    }
}

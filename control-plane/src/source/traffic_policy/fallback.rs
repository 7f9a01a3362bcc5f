//! `spec.fallback` of a TrafficPolicy.

use crate::model::Fallback;
use crate::source::names::within;
use crate::source::problem::Problems;
use crate::source::route::filters;
use crate::source::schema::policy::Fallback as Spec;

/// Bound: bytes of the body, which every caller's sidecar holds.
const MAX_BODY: usize = 16 * 1024;
/// Status where none is written.
const DEFAULT_STATUS: i64 = 503;

/// Reads it.
pub(super) fn read(spec: &Spec, problems: &mut Problems) -> Fallback {
    let written = spec.status.unwrap_or(DEFAULT_STATUS);
    let status = within(written, (200, 599), "spec.fallback.status", problems);
    if spec.body.len() > MAX_BODY {
        problems.invalid("spec.fallback.body", format!("longer than {MAX_BODY} bytes"));
    }
    // 204 and 304 have no body; one would be read as the next response.
    if matches!(written, 204 | 205 | 304) && !spec.body.is_empty() {
        problems.invalid("spec.fallback.body", format!("a {written} has no body"));
    }
    let field = "spec.fallback.headers";
    Fallback {
        status: status.and_then(|status| u16::try_from(status).ok()).unwrap_or(503),
        headers: filters::changes(&spec.headers, &mut Vec::new(), field, problems),
        body: spec.body.clone(),
    }
}

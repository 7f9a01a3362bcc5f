//! `requestMirror`: who gets copies, and of how many requests.

use crate::source::names::within;
use crate::source::problem::Problems;
use crate::source::schema::http_route::{BackendRef, MirrorBackend, RequestMirror};

/// Of all requests.
const ALL: u32 = 1_000_000;

/// The reference, as one to any backend.
pub(super) fn backend(spec: &MirrorBackend) -> BackendRef {
    let MirrorBackend { group, kind, namespace, name, port } = spec.clone();
    BackendRef { group, kind, namespace, name, port, weight: None, filters: Vec::new() }
}

/// Millionths of the requests; all where neither `percent` nor `fraction` is written.
pub(super) fn share(spec: &RequestMirror, field: &str, problems: &mut Problems) -> u32 {
    match (spec.percent, &spec.fraction) {
        (None, None) => ALL,
        (Some(percent), None) => {
            let percent = within(percent, (0, 100), &format!("{field}.percent"), problems);
            percent.unwrap_or(0) * (ALL / 100)
        }
        (None, Some(fraction)) => {
            let field = format!("{field}.fraction");
            let denominator = fraction.denominator.unwrap_or(100);
            let bounds = (1, i32::MAX.unsigned_abs());
            let below = within(denominator, bounds, &format!("{field}.denominator"), problems);
            let bounds = (0, below.unwrap_or(0));
            let above = within(fraction.numerator, bounds, &format!("{field}.numerator"), problems);
            let (above, below) = (above.unwrap_or(0), below.unwrap_or(1));
            let share = u64::from(above) * u64::from(ALL) / u64::from(below);
            u32::try_from(share).unwrap_or(ALL)
        }
        (Some(_), Some(_)) => {
            problems.invalid(field, "percent and fraction exclude each other");
            0
        }
    }
}

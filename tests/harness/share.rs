//! How often a random choice must have gone one way.

/// `found` of `total` is the share `expected`, within seven standard deviations of a binomial distribution: a right
/// choice fails less than once in a thousand million runs.
#[track_caller]
pub(crate) fn assert_share(what: &str, found: usize, total: usize, expected: f64) {
    let as_float = |count: usize| f64::from(u32::try_from(count).expect("few requests"));
    let bound = 7.0 * (as_float(total) * expected * (1.0 - expected)).sqrt();
    let mean = as_float(total) * expected;
    let distance = (as_float(found) - mean).abs();
    assert!(distance <= bound, "{what}: {found} of {total}, expected {mean} ± {bound}");
}

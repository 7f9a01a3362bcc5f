//! Where the suite's Envoy is, installed if that is allowed.

use std::path::PathBuf;

use weft_tests::envoy;

use crate::harness::{cache, may_install};

/// Envoy, installed if need be and allowed; `None` if it is not there.
///
/// # Panics
/// It may be installed, but cannot.
pub(crate) fn envoy() -> Option<PathBuf> {
    let cache = cache()?;
    if !may_install() {
        return envoy::installed(&cache);
    }
    std::fs::create_dir_all(&cache).expect("the cache directory can be made");
    Some(envoy::find(&cache).expect("Envoy can be installed"))
}

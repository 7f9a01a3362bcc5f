//! Where the suite's Envoy is, and whether it may be installed. Reads the environment for it, as nothing else here.

use std::env;
use std::path::PathBuf;

use weft_tests::envoy;

/// Set by `tests/run` unless it was told to be quick.
const MAY_INSTALL: &str = "WEFT_TESTS_MAY_INSTALL";

/// Envoy, installed if need be and allowed; `None` if it is not there.
///
/// # Panics
/// It may be installed, but cannot.
pub(crate) fn envoy() -> Option<PathBuf> {
    let given = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let shared = || given("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    let cache = given("WEFT_CACHE").or_else(|| Some(shared()?.join("weft")))?;
    if env::var_os(MAY_INSTALL).is_none() {
        return envoy::installed(&cache);
    }
    std::fs::create_dir_all(&cache).expect("the cache directory can be made");
    Some(envoy::find(&cache).expect("Envoy can be installed"))
}

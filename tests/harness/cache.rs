//! Where what tests download is kept, outside the checkout, and whether they may download at all. Reads the
//! environment for it, as nothing else here.

use std::env;
use std::path::PathBuf;

/// Set by `tests/run` unless it was told to be quick.
const MAY_INSTALL: &str = "WEFT_TESTS_MAY_INSTALL";

/// The cache directory, which need not be there yet; `None` if nobody says where it could be.
pub(crate) fn cache() -> Option<PathBuf> {
    let given = |name: &str| env::var_os(name).filter(|path| !path.is_empty()).map(PathBuf::from);
    let shared = || given("XDG_CACHE_HOME").or_else(|| Some(env::home_dir()?.join(".cache")));
    given("WEFT_CACHE").or_else(|| Some(shared()?.join("weft")))
}

/// May what is not there be fetched from a registry?
pub(crate) fn may_install() -> bool {
    env::var_os(MAY_INSTALL).is_some()
}

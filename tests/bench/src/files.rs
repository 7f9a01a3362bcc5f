//! The limit of open files of this process: an idle connection costs the application one, a sidecar two.

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit, setrlimit};

/// Raises the soft limit to the hard one, for this process and all that it starts.
pub(crate) fn raise() -> Result<()> {
    let (_, hard) = getrlimit(Resource::RLIMIT_NOFILE)?;
    Ok(setrlimit(Resource::RLIMIT_NOFILE, hard, hard)?)
}

/// How many files a process may have open.
pub(crate) fn limit() -> Result<u64> {
    Ok(getrlimit(Resource::RLIMIT_NOFILE)?.0)
}

//! The control plane's private directory: made, checked, and held by one process at a time.
//!
//! Opened first and closed last by [`super::App`]. What lies in it is the business of its owners (`ca/`,
//! `admin.sock`); this file keeps strangers and second instances out, and remembers the trust domain.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use weft_certs::{IdError, TrustDomain};

const LOCK: &str = "lock";
const TRUST_DOMAIN: &str = "trust-domain";
// Bound: a trust domain has at most 255 bytes.
const MAX_TRUST_DOMAIN: u64 = 1024;

/// Why the directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StateDirError {
    /// The operating system refused.
    #[error("state directory: cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Somebody else made it.
    #[error("state directory {} belongs to another user (uid {uid})", .path.display())]
    Foreign {
        /// As given.
        path: PathBuf,
        /// Its owner.
        uid: u32,
    },
    /// Others could replace what is in it.
    #[error("other users can write to the state directory {0} (mode {mode:03o}): chmod 700 '{0}'", .path.display())]
    Writable {
        /// As given.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Another control plane runs with it.
    #[error("state directory {} is in use by another control plane", .0.display())]
    InUse(PathBuf),
    /// The record of the trust domain was damaged.
    #[error("{} holds no trust domain: {reason}", .path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: IdError,
    },
}

/// The directory, held until dropped.
#[derive(Debug)]
pub(super) struct StateDir {
    path: PathBuf,
    _lock: File,
}

impl StateDir {
    /// Makes it (0700) if missing, checks owner and mode, and locks it.
    pub(super) fn open(path: &Path) -> Result<Self, StateDirError> {
        DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(path)
            .map_err(|source| failed("create", path, source))?;
        let metadata = path.metadata().map_err(|source| failed("look at", path, source))?;
        if metadata.uid() != nix::unistd::geteuid().as_raw() {
            return Err(StateDirError::Foreign { path: path.to_owned(), uid: metadata.uid() });
        }
        let mode = metadata.mode() & 0o777;
        // Reading is barred by the files' own modes.
        if mode & 0o022 != 0 {
            return Err(StateDirError::Writable { path: path.to_owned(), mode });
        }
        Ok(Self { path: path.to_owned(), _lock: lock(path)? })
    }

    /// As given.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// The trust domain that was recorded; `None` before the first start has come that far.
    pub(super) fn trust_domain(&self) -> Result<Option<TrustDomain>, StateDirError> {
        let path = self.path.join(TRUST_DOMAIN);
        let file = match File::open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(failed("open", &path, source)),
        };
        let mut text = String::new();
        file.take(MAX_TRUST_DOMAIN)
            .read_to_string(&mut text)
            .map_err(|source| failed("read", &path, source))?;
        let recorded = text.trim().parse();
        recorded.map(Some).map_err(|reason| StateDirError::Damaged { path, reason })
    }

    /// Records the trust domain. Order: called when the CA exists, so that a record is never without one.
    pub(super) fn record_trust_domain(
        &self,
        trust_domain: &TrustDomain,
    ) -> Result<(), StateDirError> {
        if self.trust_domain()?.as_ref() == Some(trust_domain) {
            return Ok(());
        }
        // Renamed into place: a crash leaves the old state or the new one, not half a name.
        let (new, path) = (self.path.join("trust-domain.new"), self.path.join(TRUST_DOMAIN));
        let write = || {
            let mut options = OpenOptions::new();
            let mut file =
                options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
            writeln!(file, "{trust_domain}")?;
            file.sync_all()
        };
        write().map_err(|source| failed("write", &new, source))?;
        std::fs::rename(&new, &path).map_err(|source| failed("put in place", &path, source))
    }
}

/// The lock ends with the process at the latest, so a crash leaves nothing to clean up.
fn lock(dir: &Path) -> Result<File, StateDirError> {
    let path = dir.join(LOCK);
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(&path)
        .map_err(|source| failed("open", &path, source))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StateDirError::InUse(dir.to_owned())),
        Err(TryLockError::Error(source)) => Err(failed("lock", &path, source)),
    }
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StateDirError {
    StateDirError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

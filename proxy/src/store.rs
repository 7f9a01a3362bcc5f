//! The state directory: what a proxy needs in order to serve again after a restart while the control plane is
//! away. It lies on tmpfs, so it dies with the machine, and files need no fsync.
//!
//! Written by `identity` (key, chain, bundle) and `xds` (last good resources), read by both at start. Nobody
//! else may read it: directory 0700, files 0600. Every file begins
//! with a checksum; a broken file is reported and ignored, never a failure; a
//! directory that somebody else uses or owns is one.

mod identity;
mod resource;

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{ErrorKind, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use aws_lc_rs::digest::{SHA256, SHA256_OUTPUT_LEN, digest};
use nix::fcntl::{Flock, FlockArg};

pub(crate) use identity::StoredIdentity;
use resource::Sizes;
pub(crate) use resource::{Received, StoredResource};

/// Bound: a file that is larger is not read.
const MAX_FILE: u64 = 16 << 20;
const LOCK: &str = "lock";
const RESOURCES: &str = "resources";

/// An open state directory. While it is open no other proxy can use it.
#[derive(Debug)]
pub struct Store {
    directory: PathBuf,
    /// Sizes of the stored resources by file name. Lock: never held over an await, only by the control thread.
    sizes: Mutex<Sizes>,
    /// Writing failed the last time; so that a full tmpfs is one line in the log and not one a second.
    failing: AtomicBool,
    _lock: Flock<File>,
}

/// Why a state directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The system refused.
    #[error("state directory: {}: {source}", .path.display())]
    Io {
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// It is a link, a file, or somebody else's.
    #[error("state directory {}: {reason}", .path.display())]
    Unfit {
        /// The directory.
        path: PathBuf,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// Another proxy runs on it.
    #[error("state directory {}: in use by another proxy (pid {pid}); every proxy needs its own", .path.display())]
    InUse {
        /// The directory.
        path: PathBuf,
        /// What the lock file says.
        pid: String,
    },
}

impl Store {
    /// Opens the directory, made 0700 if missing, and locks it for the life of the returned value.
    ///
    /// # Errors
    /// If it cannot be made or written, is not this user's own, or another proxy has it open.
    pub fn open(directory: &Path) -> Result<Self, StoreError> {
        let resources = directory.join(RESOURCES);
        for path in [directory, &resources] {
            make_private(path)?;
        }
        let lock = lock(directory)?;
        let sizes = resource::scan(&resources).map_err(|source| io(&resources, source))?;
        Ok(Self {
            directory: directory.to_owned(),
            sizes: Mutex::new(sizes),
            failing: AtomicBool::new(false),
            _lock: lock,
        })
    }

    /// The directory, for what others keep there.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// Reads and parses a file that [`Self::write`] wrote. `None` if it is missing, or broken, which is reported.
    fn read<T>(&self, name: &Path, parse: impl Fn(&[u8]) -> Result<T, String>) -> Option<T> {
        let path = self.directory.join(name);
        let mut bytes = Vec::new();
        let read = File::open(&path).and_then(|file| file.take(MAX_FILE).read_to_end(&mut bytes));
        let parsed = match read {
            Ok(_) => unseal(&bytes).ok_or_else(|| "broken".to_owned()).and_then(parse),
            Err(error) if error.kind() == ErrorKind::NotFound => return None,
            Err(error) => Err(error.to_string()),
        };
        parsed
            .inspect_err(
                |error| tracing::warn!(path = %path.display(), %error, "state file ignored"),
            )
            .ok()
    }

    /// Replaces a file as a whole: a reader, and the proxy after a crash, sees the old or the new one.
    fn write(&self, name: &Path, body: &[u8]) -> bool {
        let path = self.directory.join(name);
        let temporary = path.with_extension("tmp");
        let checksum = digest(&SHA256, body);
        let written = private_file(&temporary)
            .and_then(|mut file| {
                file.write_all(checksum.as_ref()).and_then(|()| file.write_all(body))
            })
            .and_then(|()| std::fs::rename(&temporary, &path));
        self.report(&written.map_err(|error| format!("{}: {error}", path.display())))
    }

    /// Logs the change between working and failing; true if it worked.
    fn report(&self, outcome: &Result<(), String>) -> bool {
        let failed = outcome.is_err();
        if let (Err(error), false) = (outcome, self.failing.swap(failed, Relaxed)) {
            tracing::warn!(%error, "state is not kept: a restart would not have it");
        }
        !failed
    }
}

/// What stands behind a right checksum.
fn unseal(bytes: &[u8]) -> Option<&[u8]> {
    let (checksum, body) = bytes.split_at_checked(SHA256_OUTPUT_LEN)?;
    (digest(&SHA256, body).as_ref() == checksum).then_some(body)
}

fn io(path: &Path, source: std::io::Error) -> StoreError {
    StoreError::Io { path: path.to_owned(), source }
}

/// A directory of this user's that nobody else can look into.
fn make_private(path: &Path) -> Result<(), StoreError> {
    let unfit = |reason| StoreError::Unfit { path: path.to_owned(), reason };
    DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(|error| io(path, error))?;
    let metadata = std::fs::symlink_metadata(path).map_err(|error| io(path, error))?;
    if !metadata.is_dir() {
        return Err(unfit("not a directory of its own"));
    }
    if metadata.uid() != nix::unistd::geteuid().as_raw() {
        return Err(unfit("belongs to another user"));
    }
    if metadata.mode() & 0o077 != 0 {
        let private = PermissionsExt::from_mode(0o700);
        std::fs::set_permissions(path, private).map_err(|error| io(path, error))?;
    }
    Ok(())
}

fn private_file(path: &Path) -> std::io::Result<File> {
    OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(path)
}

/// One proxy for one directory. The kernel gives the lock back when the process ends, however it ends.
fn lock(directory: &Path) -> Result<Flock<File>, StoreError> {
    let path = directory.join(LOCK);
    let mut options = OpenOptions::new();
    let file = options.read(true).write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = file.map_err(|error| io(&path, error))?;
    let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => lock,
        Err((mut file, nix::errno::Errno::EWOULDBLOCK)) => {
            let mut pid = String::new();
            let known = file.read_to_string(&mut pid).is_ok() && !pid.is_empty();
            let pid = if known { pid } else { "unknown".to_owned() };
            return Err(StoreError::InUse { path: directory.to_owned(), pid });
        }
        Err((_, error)) => return Err(io(&path, error.into())),
    };
    let written = lock.set_len(0).and_then(|()| write!(lock, "{}", std::process::id()));
    written.map_err(|error| io(&path, error))?;
    Ok(lock)
}

#[cfg(test)]
mod tests;

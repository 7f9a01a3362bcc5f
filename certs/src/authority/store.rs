//! The CA's state directory: one file, `authority.pem`, that only its owner can read.
//!
//! Used by [`super::Authority::change_in`]. Everything is in one file so that no crash can
//! leave a certificate without its key. The file is replaced by rename, never written in place, and
//! never replaced because it could not be read.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use zeroize::Zeroizing;

use super::material::Material;
use super::state::MAX_STATE;
use super::{Authority, AuthorityError, Change, Lifetimes};
use crate::spiffe::TrustDomain;

const STATE: &str = "authority.pem";
const NEW: &str = "authority.pem.new";
const LOCK: &str = "authority.lock";

/// Why the CA's state cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The operating system refused.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The keys could have been read by others.
    #[error(
        "{} holds the CA's private keys but is open to other users (mode {mode:03o}); \
         if nobody can have copied it: chmod 600 '{}'", .path.display(), .path.display()
    )]
    FileOpen {
        /// The file.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// Others could have put files there.
    #[error(
        "{} is to hold the CA's private keys but other users can write to it (mode {mode:03o}); \
         if nobody has: chmod 700 '{}'", .path.display(), .path.display()
    )]
    DirOpen {
        /// The directory.
        path: PathBuf,
        /// Its permission bits.
        mode: u32,
    },
    /// The file does not hold a CA, or not this one.
    #[error("{} cannot be used: {reason}", .path.display())]
    State {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        reason: Box<AuthorityError>,
    },
}

/// The CA in `dir` after `change`; made if there is none.
pub(super) fn change(
    dir: &Path,
    trust_domain: &TrustDomain,
    now: SystemTime,
    change: &Change,
) -> Result<(Authority, bool), AuthorityError> {
    open_dir(dir)?;
    // Race: two processes that start at once must not make two CAs, nor renew one twice. The lock
    // ends with the process at the latest, so a crash leaves nothing to clean up.
    let _lock = lock(&dir.join(LOCK))?;
    let path = dir.join(STATE);
    let unusable = |reason| StoreError::State { path: path.clone(), reason: Box::new(reason) };
    let (mut material, made) = match read(&path)? {
        Some(text) => (Material::from_pem(&text).map_err(unusable)?, false),
        None => (Material::create(trust_domain, now, Lifetimes::default())?, true),
    };
    // Order: checked before it is changed, so that no change ever writes over what is damaged.
    material.authority(trust_domain).map_err(unusable)?;
    let changed = material.apply(change, trust_domain, now).map_err(|reason| match change {
        Change::Renew => unusable(reason).into(),
        _ => reason,
    })?;
    let authority = material.authority(trust_domain).map_err(unusable)?;
    if changed || made {
        save(dir, &material)?;
    }
    Ok((authority, changed))
}

fn open_dir(dir: &Path) -> Result<(), StoreError> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(dir)
        .map_err(|source| failed("create", dir, source))?;
    let metadata = fs::metadata(dir).map_err(|source| failed("look at", dir, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o022 == 0 { Ok(()) } else { Err(StoreError::DirOpen { path: dir.to_owned(), mode }) }
}

fn lock(path: &Path) -> Result<File, StoreError> {
    let file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|source| failed("open", path, source))?;
    file.lock().map_err(|source| failed("lock", path, source))?;
    Ok(file)
}

/// `None` if there is no state yet.
fn read(path: &Path) -> Result<Option<Zeroizing<String>>, StoreError> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(source) => return Err(failed("open", path, source)),
    };
    let metadata = file.metadata().map_err(|source| failed("look at", path, source))?;
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return Err(StoreError::FileOpen { path: path.to_owned(), mode });
    }
    let mut text = Zeroizing::new(String::with_capacity(MAX_STATE + 1));
    file.take(MAX_STATE as u64)
        .read_to_string(&mut text)
        .map_err(|source| failed("read", path, source))?;
    Ok(Some(text))
}

/// Order: write beside, flush, rename, flush the directory. At every moment there is either the old
/// state, or the new one, whole.
fn save(dir: &Path, material: &Material) -> Result<(), StoreError> {
    let (new, state) = (dir.join(NEW), dir.join(STATE));
    match fs::remove_file(&new) {
        Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed("remove", &new, e)),
        _ => {}
    }
    let write = || {
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(material.to_pem().as_bytes())?;
        file.sync_all()
    };
    write().map_err(|source| failed("write", &new, source))?;
    fs::rename(&new, &state).map_err(|source| failed("put in place", &state, source))?;
    File::open(dir).and_then(|dir| dir.sync_all()).map_err(|source| failed("flush", dir, source))
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> StoreError {
    StoreError::Io { action, path: path.to_owned(), source }
}

#[cfg(test)]
mod tests;

//! The directory of running meshes, and the one directory that this process owns in it.
//!
//! `<root>/<mesh>/` holds a mesh's sockets, keys and `mesh.json`, by which other commands find it;
//! `<root>/<mesh>.lock` is held, with an advisory lock, by the process that runs it. Everything is for its
//! owner only. The directory and the lock go with [`MeshDir`]: what a killed owner leaves behind is removed
//! by the next one.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::{Deserialize, Serialize};

/// A mesh's name becomes a directory and part of socket paths.
const MAX_MESH_NAME: usize = 32;
/// What Linux takes as the path of a Unix socket, in bytes.
const MAX_SOCKET_PATH: usize = 107;

/// `mesh.json`: how other commands find a running mesh.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct MeshRecord {
    /// The mesh's name.
    pub(crate) name: String,
    /// Process that runs it.
    pub(crate) pid: u32,
    /// The control plane's admin socket.
    pub(crate) admin: PathBuf,
    /// The directory of manifests that it reads.
    #[serde(default)]
    pub(crate) config_dir: PathBuf,
    /// What a person may open, by name: `shop`.
    #[serde(default)]
    pub(crate) urls: std::collections::BTreeMap<String, String>,
}

/// The directory above those of the meshes.
#[derive(Clone, Debug)]
pub(crate) struct RunRoot {
    path: PathBuf,
}

impl RunRoot {
    /// Creates it if need be, for its owner only.
    ///
    /// # Errors
    /// It is somebody else's, or not a directory: under `/tmp` anybody could have put it there.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        create_private(path).with_context(|| format!("cannot create {}", path.display()))?;
        let found = fs::symlink_metadata(path)
            .with_context(|| format!("cannot look at {}", path.display()))?;
        if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() {
            bail!(
                "{} is not a directory of yours, so weft keeps no keys there; \
                 remove it, or set XDG_RUNTIME_DIR to a directory of your own",
                path.display()
            );
        }
        if found.mode() & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o700))
                .with_context(|| format!("cannot make {} private", path.display()))?;
        }
        Ok(Self { path: path.to_owned() })
    }

    /// The meshes whose process lives, by name. A root that does not exist has none.
    pub(crate) fn running(path: &Path) -> Vec<MeshRecord> {
        let Ok(entries) = fs::read_dir(path) else { return Vec::new() };
        let mut meshes: Vec<MeshRecord> = entries
            .flatten()
            .filter_map(|entry| fs::read(entry.path().join("mesh.json")).ok())
            .filter_map(|text| serde_json::from_slice(&text).ok())
            .filter(|mesh: &MeshRecord| is_alive(mesh.pid))
            .collect();
        meshes.sort_by(|one, other| one.name.cmp(&other.name));
        meshes
    }

    /// Removes what killed owners have left behind.
    fn sweep(&self) {
        let Ok(entries) = fs::read_dir(&self.path) else { return };
        for entry in entries.flatten() {
            let file = entry.file_name();
            let name = file.to_str().and_then(|name| name.strip_suffix(".lock"));
            // Taking it and dropping it removes it; one that has an owner cannot be taken.
            drop(name.map(|name| self.take(name)));
        }
    }

    /// Takes the mesh's directory for this process, empty; `None` if another process has it.
    ///
    /// # Errors
    /// The name cannot be a directory, or the directory cannot be made.
    pub(crate) fn claim(&self, name: &str) -> Result<Option<MeshDir>> {
        self.sweep();
        self.take(name)
    }

    fn take(&self, name: &str) -> Result<Option<MeshDir>> {
        check_name(name)?;
        check_socket_path(&self.path.join(name).join("control-plane"))?;
        // The last mesh that goes takes the root with it.
        create_private(&self.path)
            .with_context(|| format!("cannot create {}", self.path.display()))?;
        let lock_path = self.path.join(format!("{name}.lock"));
        let Some(lock) = lock_exclusively(&lock_path)
            .with_context(|| format!("cannot lock {}", lock_path.display()))?
        else {
            return Ok(None);
        };
        let path = self.path.join(name);
        let mesh = MeshDir { name: name.to_owned(), path, lock_path, _lock: lock };
        mesh.clear().with_context(|| format!("cannot clear {}", mesh.path.display()))?;
        create_private(&mesh.path)
            .with_context(|| format!("cannot create {}", mesh.path.display()))?;
        Ok(Some(mesh))
    }
}

/// The directory of one mesh that this process runs. Dropping it removes it.
#[derive(Debug)]
pub(crate) struct MeshDir {
    name: String,
    path: PathBuf,
    lock_path: PathBuf,
    _lock: File,
}

impl MeshDir {
    /// The mesh's name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// The directory.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// State directory of the control plane.
    pub(crate) fn control_plane(&self) -> PathBuf {
        self.path.join("control-plane")
    }

    /// The control plane's admin socket.
    pub(crate) fn admin(&self) -> PathBuf {
        self.control_plane().join("admin.sock")
    }

    /// Makes the mesh known to other commands.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn publish(&self, record: &MeshRecord) -> Result<()> {
        let text = serde_json::to_vec_pretty(record).context("cannot write mesh.json")?;
        write_private(&self.path.join("mesh.json"), &text)
    }

    fn clear(&self) -> io::Result<()> {
        match fs::remove_dir_all(&self.path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }
}

impl Drop for MeshDir {
    fn drop(&mut self) {
        // Nothing can be done about a directory that does not go; the next owner tries again.
        let _ = self.clear();
        // Order: the lock's file goes while the lock is held, so that nobody loses a lock just taken.
        let _ = fs::remove_file(&self.lock_path);
        if let Some(root) = self.lock_path.parent() {
            // Succeeds only for the last mesh, because only empty directories can be removed.
            let _ = fs::remove_dir(root);
        }
    }
}

/// The sidecar's state directory in a mesh's directory; `workload` is `name.namespace`.
pub(crate) fn proxy_dir(mesh: &Path, workload: &str) -> PathBuf {
    mesh.join("proxies").join(workload)
}

/// Creates a directory (and those above it) that only its owner may enter.
///
/// # Errors
/// It cannot be created.
pub(crate) fn create_private(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)
}

/// Writes a file that only its owner may read, whole or not at all.
///
/// # Errors
/// It cannot be written.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<()> {
    let failed = || format!("cannot write {}", path.display());
    let fresh = path.with_extension("new");
    // A file that is already there would keep the permissions it has.
    let _ = fs::remove_file(&fresh);
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&fresh)
        .with_context(failed)?;
    io::Write::write_all(&mut file, content).with_context(failed)?;
    fs::rename(&fresh, path).with_context(failed)
}

/// May a socket `admin.sock` be in this directory?
///
/// # Errors
/// Its path would be too long for the system; says what to do.
pub(crate) fn check_socket_path(directory: &Path) -> Result<()> {
    let socket = directory.join("admin.sock");
    if socket.as_os_str().len() <= MAX_SOCKET_PATH {
        return Ok(());
    }
    bail!(
        "{} is too long for a socket's path (at most {MAX_SOCKET_PATH} bytes); \
         set XDG_RUNTIME_DIR to a shorter directory",
        socket.display()
    );
}

/// Is a name fit to be a directory and part of a socket's path?
///
/// # Errors
/// It is not, with the rule.
pub(crate) fn check_name(name: &str) -> Result<()> {
    let fits = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let dash = name.starts_with('-') || name.ends_with('-');
    if name.is_empty() || name.len() > MAX_MESH_NAME || dash || !name.chars().all(fits) {
        bail!(
            "`{name}` cannot name a mesh: use up to {MAX_MESH_NAME} of a-z, 0-9 and inner dashes"
        );
    }
    Ok(())
}

fn lock_exclusively(path: &Path) -> io::Result<Option<File>> {
    loop {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(fs::TryLockError::WouldBlock) => return Ok(None),
            Err(fs::TryLockError::Error(error)) => return Err(error),
        }
        // Race: the owner before us may have removed the file between our open and our lock; then the lock
        // is on a file that nobody else can find.
        if fs::metadata(path)
            .is_ok_and(|found| found.ino() == file.metadata().map_or(0, |m| m.ino()))
        {
            return Ok(Some(file));
        }
    }
}

fn is_alive(pid: u32) -> bool {
    i32::try_from(pid).is_ok_and(|pid| {
        pid > 0 && nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), None).is_ok()
    })
}

#[cfg(test)]
mod tests;

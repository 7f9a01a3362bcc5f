//! The admin socket as a file: 0600, one owner, gone when the process is.
//!
//! A socket that a dead process left is replaced, one that somebody listens on is refused. Only its
//! owner can write to the directory, and the caller holds its lock, so nobody else plays with the name at the
//! same time.

use std::io;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};

use tokio::net::UnixListener;

/// Why there is no admin socket.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SocketError {
    /// The operating system refused; a path of more than about 100 bytes is the usual reason.
    #[error("admin socket {}: {source}", .path.display())]
    Io {
        /// As given.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A process listens there.
    #[error("admin socket {} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Something else has the name.
    #[error("{} is in the way of the admin socket and is no socket", .0.display())]
    NotASocket(PathBuf),
}

/// A bound socket; its file goes when this goes.
#[derive(Debug)]
pub(crate) struct AdminSocket {
    listener: UnixListener,
    file: SocketFile,
}

/// Removes the file when dropped.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl AdminSocket {
    /// Binds `path`.
    pub(crate) fn bind(path: &Path) -> Result<Self, SocketError> {
        clear(path)?;
        let io = |source| SocketError::Io { path: path.to_owned(), source };
        let listener = UnixListener::bind(path).map_err(io)?;
        let file = SocketFile(path.to_owned());
        // Race: until here the file has the umask's mode. Connecting takes the right to write, which no
        // usual umask gives to others.
        let private = std::fs::Permissions::from_mode(0o600);
        std::fs::set_permissions(path, private).map_err(io)?;
        Ok(Self { listener, file })
    }

    /// Where it is.
    pub(crate) fn path(&self) -> &Path {
        &self.file.0
    }

    /// The listener, and what removes the file when dropped.
    pub(crate) fn into_parts(self) -> (UnixListener, SocketFile) {
        (self.listener, self.file)
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::debug!(%error, path = %self.0.display(), "admin socket not removed");
        }
    }
}

/// Makes room for a new socket.
fn clear(path: &Path) -> Result<(), SocketError> {
    let io = |source| SocketError::Io { path: path.to_owned(), source };
    let metadata = match path.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(source) => return Err(io(source)),
    };
    if !metadata.file_type().is_socket() {
        return Err(SocketError::NotASocket(path.to_owned()));
    }
    match UnixStream::connect(path) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            std::fs::remove_file(path).map_err(io)
        }
        Ok(_) => Err(SocketError::InUse(path.to_owned())),
        Err(source) => Err(io(source)),
    }
}

#[cfg(test)]
mod tests;

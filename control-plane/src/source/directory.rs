//! A directory of YAML as a source, watched for changes.
//!
//! Events of the file system only say that something changed; what did is found by looking (`scan`), so
//! that it does not matter how an editor, `kubectl`'s ConfigMap volumes or `git` replace files. A slow poll
//! looks as well, for what no event tells: network mounts, targets of symbolic links.

mod scan;
#[cfg(test)]
mod tests;
mod watcher;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use crate::finding::Finding;
use crate::model::Mesh;

use super::store::{Reading, Store};
use super::yielded::Yield;
use scan::{Listing, Scanner};
use watcher::Watcher;

/// A change is looked at once nothing has happened for this long …
const QUIET: Duration = Duration::from_millis(50);
/// … or when this long has passed since the first event.
const PATIENCE: Duration = Duration::from_millis(200);
/// Look again after this long at a file that may be in the middle of being written.
const UNSETTLED: Duration = Duration::from_millis(100);
/// Look without any event this often …
const POLL: Duration = Duration::from_secs(2);
/// … and this often where there are no events.
const POLL_ONLY: Duration = Duration::from_millis(500);

/// Why a source could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The configuration directory cannot be read.
    #[error("configuration directory {path}: {error}")]
    Directory {
        /// As given.
        path: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
    /// A path that was named leads nowhere.
    #[error("{path}: {error}")]
    Path {
        /// As given.
        path: PathBuf,
        /// Cause.
        error: std::io::Error,
    },
}

/// Reads a directory of YAML and follows its changes until [`DirectorySource::run`] is dropped.
///
/// Files `*.yaml` and `*.yml`, sub-directories included, names that begin with a dot excluded. An object
/// whose text is broken keeps its last good version; an object whose text is gone is gone; if the directory
/// itself is gone, everything keeps its last good version until it is back.
#[derive(Debug)]
pub struct DirectorySource {
    state: State,
    wake: Arc<Notify>,
    /// Time between looks without an event.
    poll: Duration,
}

/// What a look at the directory reads and changes; moves to a blocking thread and back.
#[derive(Debug)]
struct State {
    scanner: Scanner,
    watcher: Watcher,
    store: Store,
    /// What the last look had to say of the directory itself.
    about_directory: Vec<Finding>,
    yielded: Yield,
}

impl DirectorySource {
    /// Reads the directory once (blocking: call it at start-up) and begins to watch it.
    ///
    /// # Errors
    /// If it is not a directory that can be read. Broken files in it are findings, not errors.
    pub fn open(dir: impl Into<PathBuf>) -> Result<Self, SourceError> {
        let path = readable(dir.into())?;
        let wake = Arc::new(Notify::new());
        let mut state = State {
            watcher: Watcher::new(&path, Arc::clone(&wake)),
            scanner: Scanner::new(path),
            store: Store::default(),
            about_directory: Vec::new(),
            yielded: Yield::default(),
        };
        state.refresh();
        let poll = if state.watcher.has_events() { POLL } else { POLL_ONLY };
        Ok(Self { state, wake, poll })
    }

    /// The mesh in force; holds what `open` read from the start.
    #[must_use]
    pub fn mesh(&self) -> watch::Receiver<Arc<Mesh>> {
        self.state.yielded.mesh.subscribe()
    }

    /// What is to be said about the configuration, in order of file and line.
    #[must_use]
    pub fn findings(&self) -> watch::Receiver<Arc<Vec<Finding>>> {
        self.state.yielded.findings.subscribe()
    }

    /// Follows changes; never returns. Cancel: dropping the future stops it, the channels close.
    pub async fn run(self) {
        let Self { mut state, wake, poll } = self;
        let mut next = poll;
        loop {
            if timeout(next, wake.notified()).await.is_ok() {
                settle(&wake).await;
            }
            let look = tokio::task::spawn_blocking(move || {
                let unsettled = state.refresh();
                (state, unsettled)
            });
            // The task neither panics nor is aborted but when the runtime itself ends.
            let Ok((back, unsettled)) = look.await else { return };
            state = back;
            next = if unsettled { UNSETTLED } else { poll };
        }
    }
}

/// Waits for the end of a burst of events.
async fn settle(wake: &Notify) {
    let latest = Instant::now() + PATIENCE;
    loop {
        tokio::select! {
            () = wake.notified() => {}
            () = sleep(QUIET) => return,
            () = sleep_until(latest) => return,
        }
    }
}

impl State {
    /// Looks at the directory and publishes what changed. Returns whether to look again soon.
    fn refresh(&mut self) -> bool {
        let now = SystemTime::now();
        let watcher = &mut self.watcher;
        let found = self.scanner.scan(now, &mut |dir| watcher.add(dir));
        let same_files = found.changed.is_empty() && found.gone.is_empty();
        if same_files && found.findings == self.about_directory {
            return found.unsettled;
        }
        self.store.apply(found.changed, &found.gone, now);
        let (mesh, mut findings) = self.store.mesh();
        findings.splice(0..0, found.findings.iter().cloned());
        self.about_directory = found.findings;
        self.yielded.publish(mesh, findings);
        found.unsettled
    }
}

/// Reads a directory once as `weft analyze` does, with no history: what is broken is left out.
///
/// # Errors
/// If it is not a directory that can be read.
pub fn analyze_directory(dir: &Path) -> Result<(Mesh, Vec<Finding>), SourceError> {
    let path = readable(dir.to_owned())?;
    let (mut scanner, mut store) = (Scanner::new(path), Store::default());
    let now = SystemTime::now();
    let found = scanner.scan(now, &mut |_| {});
    store.apply(found.changed, &found.gone, now);
    let (mesh, mut findings) = store.mesh();
    findings.splice(0..0, found.findings);
    Ok((mesh, findings))
}

/// The same of several files and directories, and of a text that came otherwise (by its name), as one configuration. Files
/// are called as they are named.
///
/// # Errors
/// One of them is not there, or no directory that can be read.
pub fn analyze_paths(
    paths: &[PathBuf],
    text: Option<(String, String)>,
) -> Result<(Mesh, Vec<Finding>), SourceError> {
    let now = SystemTime::now();
    let mut listing = Listing::default();
    for path in paths {
        let failed = |error| SourceError::Path { path: path.clone(), error };
        listing.add(path).map_err(failed)?;
    }
    let mut found = Scanner::new(PathBuf::new()).compare(listing, now);
    found.changed.extend(text.map(|(name, text)| (name, Reading::Text(text))));
    let mut store = Store::default();
    store.apply(found.changed, &[], now);
    let (mesh, mut findings) = store.mesh();
    findings.splice(0..0, found.findings);
    Ok((mesh, findings))
}

/// The absolute path of a directory that can be read; links in it are left, so that they may be swapped.
fn readable(path: PathBuf) -> Result<PathBuf, SourceError> {
    let found = std::fs::read_dir(&path).and_then(|_| std::path::absolute(&path));
    found.map_err(|error| SourceError::Directory { path, error })
}

//! Wakes the source when the file system says that something changed under the directory.
//!
//! Never says what changed. Directories are watched one by one as `scan` enters them, which follows links
//! and survives directories that are deleted and made again.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use notify::event::{AccessKind, AccessMode};
use notify::{Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

/// Bound: directories watched between two restarts of the system's queue; the poll sees the others.
const MAX_DIRECTORIES: usize = 4096;

/// See the module.
#[derive(Debug)]
pub(super) struct Watcher {
    /// `None` where the system has no events to give.
    events: Option<RecommendedWatcher>,
    directories: std::collections::HashSet<PathBuf>,
    complained: bool,
}

impl Watcher {
    /// Watches the directory above `root`, so that its own coming and going is seen; `root` and what is in
    /// it are added by the first scan.
    pub(super) fn new(root: &Path, wake: Arc<Notify>) -> Self {
        let within = root.to_owned();
        let on_event = move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| !concerns(&event, &within)) {
                return;
            }
            wake.notify_one();
        };
        let events = match notify::recommended_watcher(on_event) {
            Ok(events) => Some(events),
            Err(error) => {
                tracing::warn!(%error, "no file events; the configuration is polled instead");
                None
            }
        };
        let mut watcher = Self { events, directories: Default::default(), complained: false };
        if let Some(parent) = root.parent() {
            watcher.add(parent);
        }
        watcher
    }

    /// Are there events at all?
    pub(super) fn has_events(&self) -> bool {
        self.events.is_some()
    }

    /// Watches one directory. Called again on every scan: a path may have become another directory, of
    /// which the kernel tells nothing until asked anew.
    pub(super) fn add(&mut self, dir: &Path) {
        let Some(events) = &mut self.events else { return };
        if !self.directories.contains(dir) && self.directories.len() >= MAX_DIRECTORIES {
            return;
        }
        match events.watch(dir, RecursiveMode::NonRecursive) {
            Ok(()) => {
                self.directories.insert(dir.to_owned());
            }
            Err(error) if !self.complained => {
                self.complained = true;
                tracing::warn!(dir = %dir.display(), %error, "no file events here; polled instead");
            }
            Err(_) => {}
        }
    }
}

/// Does an event tell of a change under `root`? Reading makes events as well, our own reading too.
fn concerns(event: &Event, root: &Path) -> bool {
    let changes = match event.kind {
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
        EventKind::Any
        | EventKind::Create(_)
        | EventKind::Modify(_)
        | EventKind::Remove(_)
        | EventKind::Other => true,
    };
    event.need_rescan() || changes && event.paths.iter().any(|path| path.starts_with(root))
}

//! Looks at the directory: which files there are, and the text of those that changed since the last look.
//!
//! Blocking. Never follows a path out of curiosity: names that begin with a dot, other endings and things
//! that are no files are passed over.

mod file;
mod walk;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use crate::finding::{Code, Finding};
use crate::source::store::Reading;

use file::{Look, Stamp};
pub(super) use walk::Listing;

/// Remembers what every file looked like.
#[derive(Debug)]
pub(super) struct Scanner {
    root: PathBuf,
    known: BTreeMap<String, Stamp>,
}

/// What a look found.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// New text, by path relative to the directory.
    pub(super) changed: Vec<(String, Reading)>,
    /// Files that are no longer there.
    pub(super) gone: Vec<String>,
    /// About directories and bounds; what is about one file is in its [`Reading`].
    pub(super) findings: Vec<Finding>,
    /// Something looked half written and was left for the next look.
    pub(super) unsettled: bool,
}

impl Scanner {
    pub(super) fn new(root: PathBuf) -> Self {
        Self { root, known: BTreeMap::new() }
    }

    /// Looks once. `enter` is called with every directory before it is listed: what watches it from then on
    /// misses nothing.
    pub(super) fn scan(&mut self, now: SystemTime, enter: &mut dyn FnMut(&Path)) -> Found {
        let listing = match walk::walk(&self.root, enter) {
            Ok(listing) => listing,
            // Nothing was deleted, the whole place is away; that is no reason to forget a mesh.
            Err(error) => {
                let message = format!(
                    "{}: {error}; its last good content stays in force",
                    self.root.display()
                );
                let findings = vec![Finding::new(Code::FileUnreadable, message)];
                return Found { findings, ..Found::default() };
            }
        };
        self.compare(listing, now)
    }

    /// Finds what differs from the last look.
    pub(super) fn compare(&mut self, listing: Listing, now: SystemTime) -> Found {
        let mut found = Found { findings: listing.findings, ..Found::default() };
        let hidden = |name: &str| listing.unreadable.iter().any(|prefix| name.starts_with(prefix));
        self.known.retain(|name, _| {
            let stays = listing.files.contains_key(name) || hidden(name);
            if !stays {
                found.gone.push(name.clone());
            }
            stays
        });
        for (name, path) in listing.files {
            match file::look(&name, &path, self.known.get(&name), now) {
                Look::Same => {}
                Look::Unsettled => found.unsettled = true,
                Look::Gone => {
                    if self.known.remove(&name).is_some() {
                        found.gone.push(name);
                    }
                }
                Look::Changed(stamp, reading) => {
                    self.known.insert(name.clone(), stamp);
                    found.changed.push((name, reading));
                }
            }
        }
        found
    }
}

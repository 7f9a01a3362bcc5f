//! How much may be kept, by all workers together. Asked only when something new is kept, never for one more of the same.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::Caller;
use super::slices::Slices;

/// Bound: callers, paths and methods together.
pub(super) const MAX_ENTRIES: usize = 8192;
/// Bound: their bytes, as reckoned by what a table of twice the size needs.
pub(super) const MAX_BYTES: usize = 2 * 1024 * 1024;
/// Of both so much is left, in 1/16, for what says less: a method without a path.
const RESERVE: usize = 1;

/// An entry of a table that is half full.
const ENTRY: usize = 2 * (size_of::<(Box<str>, Slices)>() + 1) + 16;
/// A page with its place in the book and the text that is looked up.
const CALLER: usize = 1024;

/// What is kept.
#[derive(Clone, Copy, Debug)]
pub(super) enum Kept {
    /// A caller whose id has so many bytes.
    Caller(usize),
    /// Method and path of so many bytes.
    Path(usize),
    /// A method of so many bytes.
    Method(usize),
}

impl Kept {
    /// A caller's page.
    pub(super) fn caller(caller: &Caller) -> Self {
        Self::Caller(caller.identity.as_ref().map_or(0, |id| id.as_str().len()))
    }

    /// What is kept under this text.
    pub(super) fn of(text: &str) -> Self {
        if text.contains(' ') { Self::Path(text.len()) } else { Self::Method(text.len()) }
    }

    fn bytes(self) -> usize {
        match self {
            Self::Caller(id) => CALLER + id,
            Self::Path(text) | Self::Method(text) => ENTRY + text,
        }
    }

    /// In 1/16 of everything.
    fn share(self) -> usize {
        match self {
            Self::Caller(_) | Self::Path(_) => 16 - RESERVE,
            Self::Method(_) => 16,
        }
    }
}

/// What is taken of it.
#[derive(Debug, Default)]
pub(super) struct Room {
    entries: AtomicUsize,
    bytes: AtomicUsize,
}

impl Room {
    /// Takes room, if there is any. Race: while several take the last at once, each may be refused; never too much is
    /// taken.
    pub(super) fn take(&self, what: Kept) -> bool {
        let entries = self.entries.fetch_add(1, Relaxed) + 1;
        let bytes = self.bytes.fetch_add(what.bytes(), Relaxed) + what.bytes();
        let fits =
            entries <= MAX_ENTRIES / 16 * what.share() && bytes <= MAX_BYTES / 16 * what.share();
        if !fits {
            self.give(what);
        }
        fits
    }

    /// Gives it back.
    pub(super) fn give(&self, what: Kept) {
        self.entries.fetch_sub(1, Relaxed);
        self.bytes.fetch_sub(what.bytes(), Relaxed);
    }

    /// Entries and bytes.
    pub(super) fn taken(&self) -> (usize, usize) {
        (self.entries.load(Relaxed), self.bytes.load(Relaxed))
    }
}

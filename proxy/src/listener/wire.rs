//! What is known of an HTTP/2 connection from its bytes, beside h2 that does not tell: written by `listener::paced`,
//! read by `budget` and `streams`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// RFC 9113 §6.9.2.
pub(super) const DEFAULT_WINDOW: u32 = 65_535;

/// Numbers of one connection; one task writes, and its streams read.
#[derive(Debug)]
pub(super) struct Wire {
    window: AtomicU32,
    read: AtomicUsize,
}

impl Wire {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self { window: AtomicU32::new(DEFAULT_WINDOW), read: AtomicUsize::new(0) })
    }

    /// Bytes that a new stream may send at once, as the client last said.
    pub(super) fn initial_window(&self) -> u32 {
        self.window.load(Relaxed)
    }

    pub(super) fn set_initial_window(&self, window: u32) {
        self.window.store(window, Relaxed);
    }

    /// Bytes read since this was asked last: what a request that is new may keep from being freed.
    pub(super) fn take_read(&self) -> usize {
        self.read.swap(0, Relaxed)
    }

    pub(super) fn add_read(&self, bytes: usize) {
        self.read.fetch_add(bytes, Relaxed);
    }
}

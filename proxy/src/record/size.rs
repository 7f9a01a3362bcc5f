//! The length of a request's body, for [`super::Record`]: told by the request, or counted as it passes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use http_body::Body as HttpBody;

/// Length of the request's body.
#[derive(Debug)]
pub(super) enum Size {
    /// It said so.
    Told(u64),
    /// It did not.
    Unknown,
    /// It is counted as it passes.
    Counted(Arc<AtomicU64>),
}

impl Size {
    pub(super) fn of<B: HttpBody>(body: &B) -> Self {
        body.size_hint().exact().map_or(Self::Unknown, Self::Told)
    }

    pub(super) fn bytes(&self) -> u64 {
        match self {
            Self::Told(bytes) => *bytes,
            Self::Unknown => 0,
            Self::Counted(bytes) => bytes.load(Relaxed),
        }
    }
}

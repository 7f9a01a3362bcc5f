//! What active health checks say of an endpoint. Written by the one task that checks it, read by every pick.
//!
//! An endpoint begins as unknown, which is usable: a sidecar that has just started, or a new endpoint, must not wait for
//! a check. The first success makes it healthy; from then on it takes a row of them, and always a row of failures to
//! be unhealthy. (An Envoy takes one failure to begin with, and does not use what it has not checked.)

use std::sync::atomic::{AtomicU8, AtomicU32, Ordering::Relaxed};

use crate::model::HealthCheck;

/// One endpoint's record.
#[derive(Debug, Default)]
pub struct Checked {
    state: AtomicU8,
    /// Verdicts in a row against the state.
    against: AtomicU32,
}

/// How an endpoint stands with its health checks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Health {
    /// Not known yet, or not checked.
    Unknown,
    /// It passes.
    Healthy,
    /// It fails.
    Unhealthy,
}

impl Health {
    /// As people read it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
        }
    }
}

impl Checked {
    /// How it stands.
    #[must_use]
    pub fn health(&self) -> Health {
        match self.state.load(Relaxed) {
            1 => Health::Healthy,
            2 => Health::Unhealthy,
            _ => Health::Unknown,
        }
    }

    /// Takes in one verdict; `Some` if that changed how it stands.
    pub(crate) fn note(&self, passed: bool, settings: &HealthCheck) -> Option<Health> {
        let (next, needed) = match (self.health(), passed) {
            (Health::Healthy, true) | (Health::Unhealthy, false) => {
                self.against.store(0, Relaxed);
                return None;
            }
            (Health::Unknown, true) => (Health::Healthy, 1),
            (Health::Unhealthy, true) => (Health::Healthy, settings.healthy_threshold),
            (Health::Unknown | Health::Healthy, false) => {
                (Health::Unhealthy, settings.unhealthy_threshold)
            }
        };
        if self.against.fetch_add(1, Relaxed) + 1 < needed {
            return None;
        }
        self.set(next);
        Some(next)
    }

    /// Nobody checks it any more.
    pub(crate) fn forget(&self) {
        self.set(Health::Unknown);
    }

    fn set(&self, health: Health) {
        self.against.store(0, Relaxed);
        self.state.store(health as u8, Relaxed);
    }
}

#[cfg(test)]
mod tests;

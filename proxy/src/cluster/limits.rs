//! The bulkhead: what this sidecar may have under way to one Service port at once (Envoy: `circuit_breakers`), so
//! that a slow Service cannot take all that its callers have. Asked by `outbound::attempt`, `outbound::tcp`, `retry`
//! and `upstream`; counts over all workers.
//!
//! What is over a limit is shed at once, with a token of its own, before a byte has left. Only for a connection may
//! a request wait: so many of them, so long, first come first served. A slot is the right to use a connection: on
//! HTTP/1.1 an exchange holds one, on opaque ports a connection; a connection of HTTP/2, which many requests share,
//! counts by being open.
//!
//! Without limits nothing is counted here: not an atomic is touched. A limit that changes under traffic does not
//! count what began before it did.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::error::{Error, Token};
use crate::model::LimitsSpec;
use crate::upstream::Version;

/// Limits of one version of a cluster, and what all versions have under way.
#[derive(Debug)]
pub struct Limits {
    spec: LimitsSpec,
    slots: Option<Arc<Semaphore>>,
    usage: Arc<Usage>,
}

/// What is under way now, as far as it is limited.
#[derive(Debug, Default)]
struct Usage {
    requests: AtomicU32,
    pending: AtomicU32,
    retries: AtomicU32,
}

/// One of something limited, for as long as it lives.
#[derive(Debug)]
pub struct Held {
    usage: Arc<Usage>,
    of: fn(&Usage) -> &AtomicU32,
}

/// The right of one request to be under way. Holds nothing where nothing is limited.
#[derive(Debug, Default)]
pub struct Admission {
    _request: Option<Held>,
    _slot: Option<OwnedSemaphorePermit>,
}

impl Limits {
    pub(super) fn next(previous: Option<&Self>, spec: LimitsSpec) -> Self {
        let same = previous.filter(|previous| previous.spec.connections == spec.connections);
        let fresh = || Some(Arc::new(Semaphore::new(usize::try_from(spec.connections?).ok()?)));
        Self {
            slots: same.map_or_else(fresh, |previous| previous.slots.clone()),
            usage: previous.map(|previous| Arc::clone(&previous.usage)).unwrap_or_default(),
            spec,
        }
    }

    /// Admits one request, or sheds it.
    ///
    /// # Errors
    /// Over the limit of requests; or no connection was free, and too many wait or it has waited too long.
    pub async fn admit(&self, version: Version) -> Result<Admission, Error> {
        let request = match self.spec.requests {
            None => None,
            Some(limit) => Some(self.take(|usage| &usage.requests, limit).ok_or_else(|| {
                let message = format!("{limit} requests are under way, which is the limit");
                Error::unprocessed(Token::RequestLimitReached, message)
            })?),
        };
        let slot = match version {
            Version::Http1 => self.slot().await?,
            Version::Http2 => None,
        };
        Ok(Admission { _request: request, _slot: slot })
    }

    /// Admits one opaque connection, or sheds it.
    ///
    /// # Errors
    /// As [`Self::slot`].
    pub async fn admit_connection(&self) -> Result<Admission, Error> {
        Ok(Admission { _request: None, _slot: self.slot().await? })
    }

    /// The right to use one connection; `None` if connections are not limited.
    ///
    /// # Errors
    /// None was free, and too many wait or it was waited too long.
    pub async fn slot(&self) -> Result<Option<OwnedSemaphorePermit>, Error> {
        let Some(slots) = &self.slots else { return Ok(None) };
        // Fair: with somebody waiting the semaphore has no permit to try for.
        if let Ok(slot) = Arc::clone(slots).try_acquire_owned() {
            return Ok(Some(slot));
        }
        let acquire = Arc::clone(slots).acquire_owned();
        // Boxed: who does not wait does not pay for it.
        let slot = Box::pin(self.wait(acquire)).await?;
        slot.map(Some).map_err(|_| Error::new(Token::InternalError, "no slots are given any more"))
    }

    /// Waits in the queue for `wanted`.
    ///
    /// # Errors
    /// The queue is full, or it took too long.
    pub async fn wait<T>(&self, wanted: impl Future<Output = T>) -> Result<T, Error> {
        let _pending = self.queue()?;
        let limit = self.spec.pending_timeout;
        tokio::time::timeout(limit, wanted).await.map_err(|_| {
            let message = format!("no connection within the limit was free for {limit:?}");
            Error::unprocessed(Token::PendingLimitReached, message)
        })
    }

    /// A place in the queue.
    ///
    /// # Errors
    /// The queue is full.
    pub fn queue(&self) -> Result<Held, Error> {
        let limit = self.spec.pending;
        self.take(|usage| &usage.pending, limit).ok_or_else(|| {
            let message = format!("no connection is free, and {limit} requests wait already");
            Error::unprocessed(Token::PendingLimitReached, message)
        })
    }

    /// The right to one retry: `None` if there is none, `Some(None)` if retries are not limited.
    #[must_use]
    pub fn retry(&self) -> Option<Option<Held>> {
        match self.spec.retries {
            None => Some(None),
            Some(limit) => self.take(|usage| &usage.retries, limit).map(Some),
        }
    }

    /// Most connections, if they are limited.
    #[must_use]
    pub fn connections(&self) -> Option<u32> {
        self.spec.connections
    }

    /// How long a request may wait for a connection.
    #[must_use]
    pub fn pending_timeout(&self) -> Duration {
        self.spec.pending_timeout
    }

    /// Requests, waiting requests and retries under way, as far as they are limited.
    #[must_use]
    pub fn in_use(&self) -> [u32; 3] {
        [&self.usage.requests, &self.usage.pending, &self.usage.retries].map(|n| n.load(Relaxed))
    }

    /// Race: the count never exceeds the limit, not even for a moment, so nobody is shed for somebody who is about
    /// to be shed too.
    fn take(&self, of: fn(&Usage) -> &AtomicU32, limit: u32) -> Option<Held> {
        let below = |count: u32| (count < limit).then_some(count + 1);
        of(&self.usage).fetch_update(Relaxed, Relaxed, below).ok()?;
        Some(Held { usage: Arc::clone(&self.usage), of })
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        (self.of)(&self.usage).fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests;

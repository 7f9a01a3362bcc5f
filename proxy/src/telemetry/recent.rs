//! The failed and the slow requests of the last while, so that somebody can ask why (`weft why`). Written by [`super::Telemetry`] at
//! the end of a request, read by [`super::report`] when the control plane asks; it leaves the proxy in no other way.
//!
//! A request is remembered if this proxy failed it, if it ended as a failure (5xx, a server's fault in gRPC, broken off), if the
//! other sidecar says that it refused it, or if it was slow ([`Pace`]). A connection is, if it was refused or failed. Of others
//! nothing is kept, and they cost a comparison. Kept are names, times and words: never a header, a query or a body.
//!
//! Bound: [`MAX_ENTRIES`] and [`MAX_BYTES`]. Requests of one place (rule, or Service) with one cause are a class; room is made by
//! the oldest of the largest class, so that a flood of one failure does not wash away the one that is rare.

mod class;
mod entry;
mod pace;
mod wanted;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use prost::Message as _;
use tokio::time::Instant;
use weft_proto::telemetry as wire;

use self::class::Classes;
use super::trace::Traced;
use super::{ConnectionEnd, RequestEnd};
use crate::error::{Error, Token};

pub use self::pace::{FLOOR, Pace};
pub(crate) use self::wanted::Seen;

/// Bound: entries.
pub const MAX_ENTRIES: usize = 512;
/// Bound: bytes of all entries, as reckoned by their texts and their own size.
pub const MAX_BYTES: usize = 1024 * 1024;
/// Bound: bytes of one message with entries, about.
const MAX_MESSAGE: usize = 256 * 1024;
/// Entries of either direction in one answer: where none is asked for, and at most.
const ANSWERED: (usize, usize) = (50, 200);

/// What one proxy remembers. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Recent(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    born: Instant,
    /// What is faster is not slow.
    floor: Duration,
    /// Lock: held to put one entry in, or to count references to all. Only failed and slow requests come here.
    classes: Mutex<Classes>,
    /// The configuration in force, by its version.
    version: ArcSwap<String>,
    /// Seconds since `born` at which the control plane was lost, and one more; 0 while it is there.
    lost: AtomicU64,
}

impl Shared {
    fn new(floor: Duration) -> Self {
        Self {
            born: Instant::now(),
            floor,
            classes: Mutex::default(),
            version: ArcSwap::default(),
            lost: AtomicU64::new(1),
        }
    }
}

impl Default for Recent {
    fn default() -> Self {
        Self::slow_from(FLOOR)
    }
}

impl Recent {
    /// One that takes requests for slow from so long on.
    #[must_use]
    pub fn slow_from(floor: Duration) -> Self {
        Self(Arc::new(Shared::new(floor)))
    }

    /// That time, for [`Pace`].
    #[must_use]
    pub fn floor(&self) -> Duration {
        self.0.floor
    }

    /// Seconds since it began; for [`Pace`].
    #[must_use]
    pub fn second(&self) -> u64 {
        self.0.born.elapsed().as_secs()
    }

    /// Is it one to be remembered, slow or not?
    #[must_use]
    pub fn is_failure(end: &RequestEnd<'_>) -> bool {
        end.error.is_some()
            || end.observation().is_failure()
            || end.story.is_some_and(|story| story.report().is_some())
    }

    /// The configuration in force, and whether the control plane is there. Called by `app` when either changes.
    pub fn in_touch(&self, version: String, connected: bool) {
        self.0.version.store(Arc::new(version));
        let lost = if connected { 0 } else { self.second() + 1 };
        // Race: one caller. Lost twice is lost since the first time.
        if connected || self.0.lost.load(Relaxed) == 0 {
            self.0.lost.store(lost, Relaxed);
        }
    }

    /// A request as others are told of it.
    #[must_use]
    pub fn record(
        &self,
        end: &RequestEnd<'_>,
        traced: Option<Traced>,
        slow: bool,
    ) -> wire::RequestRecord {
        let record = entry::of_request(end, traced, slow);
        wire::RequestRecord {
            config_version: self.0.version.load().to_string(),
            out_of_touch: self.out_of_touch(),
            ..record
        }
    }

    /// Remembers it.
    pub fn keep(&self, record: wire::RequestRecord) {
        let bytes = size_of(&record);
        self.classes().push(Arc::new(record), bytes);
    }

    /// Remembers a connection whose bytes are opaque, if it failed.
    pub fn connection(&self, end: &ConnectionEnd<'_>) {
        if end.error.is_some_and(|token| token != Token::DownstreamClosed) {
            self.keep_stamped(entry::of_connection(end));
        }
    }

    /// Remembers a connection that was not let in.
    pub fn refused(&self, workload: &str, client: SocketAddr, error: &Error) {
        if error.token() != Token::DownstreamClosed {
            self.keep_stamped(entry::of_refusal(workload, client, error));
        }
    }

    fn keep_stamped(&self, record: wire::RequestRecord) {
        self.keep(wire::RequestRecord {
            config_version: self.0.version.load().to_string(),
            out_of_touch: self.out_of_touch(),
            ..record
        });
    }

    fn out_of_touch(&self) -> u64 {
        match self.0.lost.load(Relaxed) {
            0 => 0,
            lost => (self.second() + 1).saturating_sub(lost).max(1),
        }
    }

    /// What is asked for, newest first: in one message or several, of which each but the last says that more follows.
    #[must_use]
    pub fn answer(&self, ask: &wire::AskRequests, now: SystemTime) -> Vec<wire::Requests> {
        let all = self.classes().all();
        let chosen = wanted::choose(all, ask, millis(now), ANSWERED);
        let mut messages = vec![wire::Requests::default()];
        let mut size = 0;
        for record in chosen {
            let bytes = record.encoded_len();
            if size > 0 && size + bytes > MAX_MESSAGE {
                messages.push(wire::Requests::default());
                size = 0;
            }
            size += bytes;
            if let Some(message) = messages.last_mut() {
                message.requests.push((*record).clone());
            }
        }
        let last = messages.len() - 1;
        for (index, message) in messages.iter_mut().enumerate() {
            (message.id, message.more) = (ask.id, index < last);
        }
        messages
    }

    /// Entries and bytes that are kept now.
    #[must_use]
    pub fn size(&self) -> (usize, usize) {
        self.classes().size()
    }

    fn classes(&self) -> MutexGuard<'_, Classes> {
        self.0.classes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn size_of(record: &wire::RequestRecord) -> usize {
    std::mem::size_of::<wire::RequestRecord>()
        + record.encoded_len()
        + record.attempts.len() * std::mem::size_of::<wire::AttemptRecord>()
        + record.endpoints.len() * std::mem::size_of::<wire::EndpointRecord>()
}

fn millis(at: SystemTime) -> i64 {
    let since = at.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests;

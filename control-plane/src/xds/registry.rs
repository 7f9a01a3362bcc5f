//! The proxies that are connected and what they have, as admin `GET /v1/proxies` shows them.
//!
//! Streams write, the admin endpoint reads. Nothing is decided by what stands here.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use tokio::sync::Notify;
use tokio::time::Instant;

use super::session::Session;
use crate::histogram::Histogram;
use crate::model::Key;
use crate::translate::ResourceType;

/// How long a proxy that is gone stays in the list.
const REMEMBERED: Duration = Duration::from_secs(60);
/// Bound: proxies that are gone and still listed. Those connected are bounded by `Limits::streams`.
const GONE: usize = 1024;
/// Bound: open streams of one workload. A proxy has one, and another for as long as a lost one is not known to be lost;
/// of more the oldest ends.
const OF_ONE: usize = 4;
/// Bound on a proxy's words when it refuses, bytes.
const REASON: usize = 1024;

/// Every proxy with an ADS stream, and for a minute those that had one.
#[derive(Debug, Default)]
pub struct Registry {
    entries: Mutex<Entries>,
    counts: Counts,
}

/// Responses since the start, of all proxies.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    /// By [`ResourceType`].
    sent: [AtomicU64; ResourceType::ALL.len()],
    refused: [AtomicU64; ResourceType::ALL.len()],
    /// From sending one until it was acknowledged or refused.
    pub(crate) answered: Histogram,
}

impl Counts {
    /// Responses of a kind that were sent, and those that were refused.
    pub(crate) fn of(&self, kind: ResourceType) -> (u64, u64) {
        let read = |counts: &[AtomicU64]| counts[kind as usize].load(Relaxed);
        (read(&self.sent), read(&self.refused))
    }
}

#[derive(Debug, Default)]
struct Entries {
    /// Number of the next stream.
    next: u64,
    by_stream: BTreeMap<u64, Entry>,
}

#[derive(Debug)]
struct Entry {
    workload: Key,
    identity: String,
    version: String,
    since: SystemTime,
    gone: Option<Instant>,
    /// Tells its stream that it has to end.
    end: Arc<Notify>,
    /// What it holds; let go of with the stream.
    session: Option<SharedSession>,
    resources: [Option<TypeStatus>; ResourceType::ALL.len()],
    /// When the last response of each kind was sent, if it was not answered yet.
    waiting: [Option<Instant>; ResourceType::ALL.len()],
}

/// The state of a stream, which its task changes and receipts are read from. Never held over an `.await`, and never
/// taken by anybody who then takes another lock.
pub(crate) type SharedSession = Arc<Mutex<Session>>;

/// An open stream as receipts see it.
#[derive(Debug)]
pub(crate) struct OpenStream {
    pub(crate) workload: Key,
    pub(crate) session: SharedSession,
    /// What its proxy last refused of each kind, in its words.
    pub(crate) refusals: [Option<String>; ResourceType::ALL.len()],
}

/// One proxy.
#[derive(Clone, Debug, PartialEq)]
pub struct ProxyStatus {
    /// Its workload.
    pub workload: Key,
    /// Its SPIFFE id.
    pub identity: String,
    /// `Node.user_agent_name` and version, as it says: `weft-proxy/0.1.0`.
    pub version: String,
    /// Is its stream open?
    pub connected: bool,
    /// When the stream was opened.
    pub connected_since: SystemTime,
    /// One for each kind that it was sent something of, in the order of [`ResourceType::ALL`].
    pub resources: Vec<TypeStatus>,
}

/// What one proxy has of one kind.
#[derive(Clone, Debug, PartialEq)]
pub struct TypeStatus {
    /// The kind.
    pub kind: ResourceType,
    /// Generation of the configuration in the last response sent; counts up with each change of the mesh.
    pub sent: u64,
    /// The last one acknowledged.
    pub acked: Option<u64>,
    /// The last one refused, until a later one is acknowledged.
    pub rejected: Option<Rejection>,
}

/// A NACK.
#[derive(Clone, Debug, PartialEq)]
pub struct Rejection {
    /// Generation of the response that was refused.
    pub version: u64,
    /// The proxy's words, at most 1 KiB.
    pub reason: String,
}

impl Registry {
    /// Nobody is connected.
    #[must_use]
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Every proxy, by workload; of several streams of one workload the oldest first.
    #[must_use]
    pub fn list(&self) -> Vec<ProxyStatus> {
        let mut entries = self.lock();
        entries.forget(Instant::now());
        let mut list: Vec<_> = entries.by_stream.values().map(Entry::status).collect();
        list.sort_by(|a, b| a.workload.cmp(&b.workload));
        list
    }

    /// What was sent and refused since the start.
    pub(crate) fn counts(&self) -> &Counts {
        &self.counts
    }

    /// The open streams, one for each workload: of several the last, which is the one that its proxy still reads.
    pub(crate) fn open_streams(&self) -> BTreeMap<Key, OpenStream> {
        let entries = self.lock();
        let open = entries.by_stream.values().filter_map(|entry| {
            let reason = |status: &Option<TypeStatus>| {
                status.as_ref().and_then(|status| Some(status.rejected.as_ref()?.reason.clone()))
            };
            let stream = OpenStream {
                workload: entry.workload.clone(),
                session: entry.session.clone()?,
                refusals: entry.resources.each_ref().map(reason),
            };
            Some((entry.workload.clone(), stream))
        });
        open.collect()
    }

    /// A stream was opened; it stays listed as connected until the [`Connection`] is dropped.
    pub(crate) fn connect(
        self: &Arc<Self>,
        workload: Key,
        identity: String,
        version: String,
        session: SharedSession,
    ) -> Connection {
        let mut entries = self.lock();
        entries.forget(Instant::now());
        // A proxy that is back need not be listed as gone too.
        entries.by_stream.retain(|_, entry| entry.gone.is_none() || entry.workload != workload);
        entries.make_room(&workload);
        let id = entries.next;
        entries.next += 1;
        let end = Arc::new(Notify::new());
        let (since, resources) = (SystemTime::now(), Default::default());
        let session = Some(session);
        let entry = Entry {
            workload,
            identity,
            version,
            since,
            gone: None,
            end: Arc::clone(&end),
            session,
            resources,
            waiting: Default::default(),
        };
        entries.by_stream.insert(id, entry);
        Connection { registry: self.clone(), id, end }
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.entries.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Entries {
    /// For one more stream of this workload.
    fn make_room(&mut self, workload: &Key) {
        let open: Vec<u64> = self
            .by_stream
            .iter()
            .filter(|(_, entry)| entry.gone.is_none() && entry.workload == *workload)
            .map(|(id, _)| *id)
            .collect();
        for id in open.iter().take((open.len() + 1).saturating_sub(OF_ONE)) {
            if let Some(entry) = self.by_stream.remove(id) {
                // A permit is kept for a stream that does not wait at this moment.
                entry.end.notify_one();
            }
        }
    }

    fn forget(&mut self, now: Instant) {
        let expired = |gone: Instant| now.saturating_duration_since(gone) >= REMEMBERED;
        self.by_stream.retain(|_, entry| !entry.gone.is_some_and(expired));
        let gone = self.by_stream.iter().filter_map(|(id, entry)| Some((entry.gone?, *id)));
        let mut gone: Vec<_> = gone.collect();
        gone.sort_unstable();
        let surplus = gone.len().saturating_sub(GONE);
        for (_, id) in gone.into_iter().take(surplus) {
            self.by_stream.remove(&id);
        }
    }
}

impl Entry {
    fn status(&self) -> ProxyStatus {
        ProxyStatus {
            workload: self.workload.clone(),
            identity: self.identity.clone(),
            version: self.version.clone(),
            connected: self.gone.is_none(),
            connected_since: self.since,
            resources: self.resources.iter().flatten().cloned().collect(),
        }
    }
}

/// One open stream in the list.
#[derive(Debug)]
pub(crate) struct Connection {
    registry: Arc<Registry>,
    id: u64,
    end: Arc<Notify>,
}

impl Connection {
    /// Returns when newer streams of the same workload have taken this one's place.
    pub(crate) async fn displaced(&self) {
        self.end.notified().await;
    }

    /// A response of this generation is on its way.
    pub(crate) fn sent(&self, kind: ResourceType, generation: u64) {
        self.registry.counts.sent[kind as usize].fetch_add(1, Relaxed);
        self.update(kind, |status, waiting| {
            status.sent = generation;
            *waiting = Some(Instant::now());
        });
    }

    /// It was accepted.
    pub(crate) fn acked(&self, kind: ResourceType, generation: u64) {
        self.update(kind, |status, waiting| {
            status.acked = Some(generation);
            status.rejected = None;
            self.answered(waiting);
        });
    }

    /// It was refused.
    pub(crate) fn rejected(&self, kind: ResourceType, version: u64, reason: &str) {
        let reason = super::clip(reason, REASON).trim_end().to_owned();
        self.registry.counts.refused[kind as usize].fetch_add(1, Relaxed);
        self.update(kind, |status, waiting| {
            status.rejected = Some(Rejection { version, reason });
            self.answered(waiting);
        });
    }

    fn answered(&self, waiting: &mut Option<Instant>) {
        if let Some(sent) = waiting.take() {
            self.registry.counts.answered.record(sent.elapsed());
        }
    }

    fn update(
        &self,
        kind: ResourceType,
        change: impl FnOnce(&mut TypeStatus, &mut Option<Instant>),
    ) {
        let mut entries = self.registry.lock();
        let Some(entry) = entries.by_stream.get_mut(&self.id) else { return };
        let new = || TypeStatus { kind, sent: 0, acked: None, rejected: None };
        let Entry { resources, waiting, .. } = entry;
        change(resources[kind as usize].get_or_insert_with(new), &mut waiting[kind as usize]);
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(entry) = self.registry.lock().by_stream.get_mut(&self.id) {
            entry.gone = Some(Instant::now());
            entry.session = None;
        }
    }
}

#[cfg(test)]
mod tests;

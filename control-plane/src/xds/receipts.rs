//! Receipts: how many of the proxies that hold something of an object run its generation in force.
//!
//! Asked by `status` for a few objects at a time. One question costs the streams times what the objects asked for are
//! made into, or what the proxy holds if that is less; nobody asks for all objects at once. No lock is held longer
//! than one stream takes, and never two of them.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError};

use super::objects::Part;
use super::registry::{OpenStream, Registry};
use super::session::Session;
use super::subscription::{Standing, Subscription, mention};
use super::{Cache, clip};
use crate::model::ObjectKey;
use crate::translate::ResourceType;

/// Bound: proxies named in one receipt; further ones are counted.
pub(crate) const MAX_NAMED: usize = 5;
/// Bound on a proxy's words in a receipt, bytes.
const REASON: usize = 256;
/// With more resources of one kind than this they are looked up by name.
const FEW: usize = 16;

/// How far one object has come.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Receipt {
    /// Generation that is being sent; `None` if nothing is made from the object.
    pub generation: Option<u64>,
    /// Connected proxies that hold something of it.
    pub concerned: usize,
    /// Of those, the ones that run all of it.
    pub programmed: usize,
    /// Those that refused some of it; the first five by name.
    pub refused: Vec<Refusal>,
    /// How many those are.
    pub refusing: usize,
    /// `<pod>.<namespace>` of those that were not told yet or have not answered; the first five.
    pub waiting: Vec<String>,
    /// Replicas of the control plane whose proxies are not counted as they should be. A replica's own receipts have
    /// none.
    pub missing: Vec<Missing>,
}

/// A replica that is missing from a receipt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Missing {
    /// Name of its pod.
    pub replica: String,
    /// Why.
    pub absence: Absence,
}

/// Why a replica is missing from a receipt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Absence {
    /// It did not answer: nobody knows how many proxies it has.
    Silent,
    /// It does not have the generation yet: none of its proxies runs it, and others of them may be concerned.
    Behind,
}

/// A proxy that refused, and its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// `<pod>.<namespace>`.
    pub proxy: String,
    /// At most 256 bytes.
    pub reason: String,
}

impl Receipt {
    /// Do all proxies concerned run it, if any is, and is no replica missing?
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.programmed == self.concerned && self.missing.is_empty()
    }

    /// Is all that is in the way of an answer that somebody did not give one?
    #[must_use]
    pub fn is_unsure(&self) -> bool {
        let silent = |missing: &Missing| missing.absence == Absence::Silent;
        self.programmed == self.concerned
            && !self.missing.is_empty()
            && self.missing.iter().all(silent)
    }

    /// Proxies that have not answered.
    #[must_use]
    pub fn pending(&self) -> usize {
        self.concerned.saturating_sub(self.programmed + self.refusing)
    }
}

/// Where receipts are read.
#[derive(Clone, Debug)]
pub struct Receipts {
    cache: Arc<Cache>,
    registry: Arc<Registry>,
}

impl Receipts {
    /// Of the streams of this registry, which are served from this cache.
    #[must_use]
    pub fn new(cache: Arc<Cache>, registry: Arc<Registry>) -> Self {
        Self { cache, registry }
    }

    /// Generation of the resources, as it changes: after a change answers may be others.
    #[must_use]
    pub fn watch(&self) -> tokio::sync::watch::Receiver<u64> {
        self.cache.watch()
    }

    /// The receipts of these objects, in their order. Some milliseconds for a hundred objects and a thousand proxies:
    /// not for a thread that streams run on.
    #[must_use]
    pub fn of(&self, objects: &[ObjectKey]) -> Vec<Receipt> {
        let made: Vec<Made> = {
            let state = self.cache.read();
            objects.iter().map(|object| Made::new(state.made_from(object))).collect()
        };
        let generation = |made: &Made| made.generation;
        let mut receipts: Vec<Receipt> = made
            .iter()
            .map(|made| Receipt { generation: generation(made), ..Receipt::default() })
            .collect();
        if made.iter().all(|made| made.kinds.is_empty()) {
            return receipts;
        }
        for stream in self.registry.open_streams().into_values() {
            let session = stream.session.lock().unwrap_or_else(PoisonError::into_inner);
            for (made, receipt) in made.iter().zip(&mut receipts) {
                let verdict = made.judge(&session);
                receipt.count(&stream, verdict);
            }
        }
        receipts
    }
}

/// What one proxy says of one object.
#[derive(Clone, Copy)]
enum Verdict<'a> {
    Unconcerned,
    Runs,
    Waits,
    Refused(&'a Part),
}

impl Receipt {
    fn count(&mut self, stream: &OpenStream, verdict: Verdict<'_>) {
        let proxy = || format!("{}.{}", stream.workload.name, stream.workload.namespace);
        match verdict {
            Verdict::Unconcerned => return,
            Verdict::Runs => self.programmed += 1,
            Verdict::Waits if self.waiting.len() < MAX_NAMED => self.waiting.push(proxy()),
            Verdict::Waits => {}
            Verdict::Refused(part) => {
                self.refusing += 1;
                if self.refused.len() < MAX_NAMED {
                    let said = stream.refusals[part.resource.kind as usize].as_deref();
                    let said = said.unwrap_or("no reason given");
                    let said = mention(said, &part.resource.name).unwrap_or(said);
                    let reason = clip(said, REASON).to_owned();
                    self.refused.push(Refusal { proxy: proxy(), reason });
                }
            }
        }
        self.concerned += 1;
    }
}

/// What is made from one object.
struct Made {
    generation: Option<u64>,
    kinds: Vec<OfKind>,
}

/// The part of it that is of one kind.
struct OfKind {
    kind: ResourceType,
    parts: Vec<Part>,
    /// The last position at which one of them got the object's generation.
    newest: u64,
    /// Indices of the parts by name; empty if there are few.
    by_name: HashMap<Arc<str>, Vec<usize>>,
}

impl Made {
    fn new(parts: Vec<Part>) -> Self {
        let generation = parts.iter().map(|part| part.generation).max();
        let mut kinds: Vec<OfKind> = Vec::new();
        // Order: an object's parts stand kind by kind.
        for part in parts {
            let kind = part.resource.kind;
            match kinds.last_mut() {
                Some(last) if last.kind == kind => last.push(part),
                _ => kinds.push(OfKind::of(part)),
            }
        }
        kinds.iter_mut().for_each(OfKind::index);
        Self { generation, kinds }
    }

    fn judge(&self, session: &Session) -> Verdict<'_> {
        let mut verdict = Verdict::Unconcerned;
        for of_kind in &self.kinds {
            match of_kind.judge(session) {
                Verdict::Unconcerned => {}
                refused @ Verdict::Refused(_) => return refused,
                Verdict::Waits => verdict = Verdict::Waits,
                Verdict::Runs if matches!(verdict, Verdict::Unconcerned) => verdict = Verdict::Runs,
                Verdict::Runs => {}
            }
        }
        verdict
    }
}

impl OfKind {
    fn of(part: Part) -> Self {
        let (kind, newest) = (part.resource.kind, part.since);
        Self { kind, parts: vec![part], newest, by_name: HashMap::new() }
    }

    fn push(&mut self, part: Part) {
        self.newest = self.newest.max(part.since);
        self.parts.push(part);
    }

    fn index(&mut self) {
        if self.parts.len() <= FEW {
            return;
        }
        for (index, part) in self.parts.iter().enumerate() {
            self.by_name.entry(part.resource.name.clone()).or_default().push(index);
        }
    }

    fn judge(&self, session: &Session) -> Verdict<'_> {
        let subscription = session.subscription(self.kind);
        if !subscription.started() {
            return Verdict::Unconcerned;
        }
        let few_names = !subscription.is_wildcard() && subscription.names() < self.parts.len();
        if few_names && !self.by_name.is_empty() {
            let found = subscription.subscribed().filter_map(|name| self.by_name.get(name));
            let found = found.flatten().map(|index| &self.parts[*index]);
            return self.walk(found, session, subscription);
        }
        self.walk(self.parts.iter(), session, subscription)
    }

    fn walk<'a>(
        &self,
        parts: impl Iterator<Item = &'a Part>,
        session: &Session,
        subscription: &Subscription,
    ) -> Verdict<'a> {
        let settled = subscription.is_settled(self.newest);
        let mut verdict = Verdict::Unconcerned;
        for part in parts.filter(|part| part.resource.visibility.includes(session.viewer())) {
            match subscription.standing(&part.resource.name, part.since) {
                Standing::Absent => {}
                Standing::Refused => return Verdict::Refused(part),
                Standing::Waits => verdict = Verdict::Waits,
                // Whoever has answered everything runs the others as well.
                Standing::Runs if settled => return Verdict::Runs,
                Standing::Runs if matches!(verdict, Verdict::Unconcerned) => {
                    verdict = Verdict::Runs;
                }
                Standing::Runs => {}
            }
        }
        verdict
    }
}

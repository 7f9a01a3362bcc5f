//! The store behind [`super::Recent`]: entries by class, with the bound. Touches no clock.

use std::cmp::Reverse;
use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use weft_proto::telemetry::RequestRecord;

use super::{MAX_BYTES, MAX_ENTRIES};

/// What entries of one class have in common.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Class {
    direction: i32,
    /// The rule, else the Service.
    place: String,
    /// Token of this proxy or of the other, else the status, else nothing: it was slow.
    cause: String,
}

#[derive(Debug)]
struct Kept {
    number: u64,
    bytes: usize,
    record: Arc<RequestRecord>,
}

/// All entries.
#[derive(Debug, Default)]
pub(super) struct Classes {
    /// Each oldest first, and never empty.
    by_class: HashMap<Class, VecDeque<Kept>>,
    next: u64,
    entries: usize,
    bytes: usize,
}

impl Classes {
    /// Puts one in, and makes room for it.
    pub(super) fn push(&mut self, record: Arc<RequestRecord>, bytes: usize) {
        self.next += 1;
        self.entries += 1;
        self.bytes += bytes;
        let kept = Kept { number: self.next, bytes, record };
        self.by_class.entry(Class::of(&kept.record)).or_default().push_back(kept);
        while self.entries > MAX_ENTRIES || self.bytes > MAX_BYTES {
            self.make_room();
        }
    }

    /// The oldest of the largest class; of equal ones, of the one that has the oldest.
    fn make_room(&mut self) {
        let size = |kept: &VecDeque<Kept>| {
            (kept.len(), Reverse(kept.front().map_or(0, |oldest| oldest.number)))
        };
        let largest = self.by_class.iter_mut().max_by_key(|(_, kept)| size(kept));
        let Some((class, kept)) = largest else {
            (self.entries, self.bytes) = (0, 0);
            return;
        };
        if let Some(oldest) = kept.pop_front() {
            self.entries -= 1;
            self.bytes -= oldest.bytes;
        }
        if kept.is_empty() {
            let class = class.clone();
            self.by_class.remove(&class);
        }
    }

    /// All of them, in no order.
    pub(super) fn all(&self) -> Vec<Arc<RequestRecord>> {
        let all = self.by_class.values().flatten();
        all.map(|kept| Arc::clone(&kept.record)).collect()
    }

    /// Entries and bytes.
    pub(super) fn size(&self) -> (usize, usize) {
        (self.entries, self.bytes)
    }
}

impl Class {
    fn of(record: &RequestRecord) -> Self {
        let RequestRecord { route, service, error, reported, status, slow, .. } = record;
        let place = if route.is_empty() { service } else { route };
        let cause = match (error.as_str(), reported.as_str()) {
            ("", "") if *slow => String::new(),
            ("", "") => status.to_string(),
            ("", said) | (said, _) => said.to_owned(),
        };
        Self { direction: record.direction, place: place.clone(), cause }
    }
}

//! A bucket for each key, in a table of fixed size: 128 KB, whoever sends whatever keys.
//!
//! Bound: [`KEYS`] keys in sets of [`WAYS`]. A new key takes the place of the one in its set whose bucket is fullest:
//! a full bucket says nothing that a new one does not say, so nobody gains or loses by it until a set holds more keys
//! in use than places. Then the one that used least is forgotten, in its favour. Which keys meet in a set is a hash
//! with a secret, so that nobody can choose whom to meet.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, DefaultHasher};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use weft_proto::names::rate_limit::KEYS;

use super::bucket::Bucket;

const WAYS: usize = 8;

/// See the module.
#[derive(Debug)]
pub(super) struct Keys {
    secret: RandomState,
    sets: Box<[[Slot; WAYS]]>,
}

#[derive(Debug, Default)]
struct Slot {
    /// Hash of the key; 0 for none.
    key: AtomicU64,
    bucket: Bucket,
}

/// The bucket of a key.
#[derive(Debug)]
pub(super) struct Found<'k> {
    pub(super) bucket: &'k Bucket,
    /// Another key's bucket that was not full made room for it.
    pub(super) forgot: bool,
}

impl Keys {
    pub(super) fn new() -> Self {
        Self::with_sets(usize::try_from(KEYS).unwrap_or(WAYS) / WAYS)
    }

    pub(super) fn with_sets(sets: usize) -> Self {
        let sets = std::iter::repeat_with(Default::default).take(sets.max(1));
        Self { secret: RandomState::new(), sets: sets.collect() }
    }

    /// What a key is to be hashed with.
    pub(super) fn hasher(&self) -> DefaultHasher {
        self.secret.build_hasher()
    }

    /// Race: two workers that see a key first at once may give it two places, of which the first one counts from
    /// then on; and one that has found its bucket may spend a token of a key that has just taken its place.
    pub(super) fn bucket(&self, hash: u64, now: u64) -> Found<'_> {
        let hash = hash | 1;
        // Cannot truncate: taken modulo a length.
        let set = &self.sets[(hash >> 1) as usize % self.sets.len()];
        if let Some(known) = set.iter().find(|slot| slot.key.load(Relaxed) == hash) {
            return Found { bucket: &known.bucket, forgot: false };
        }
        let fullest = set.iter().min_by_key(|slot| slot.bucket.full_at()).unwrap_or(&set[0]);
        let forgot = fullest.bucket.full_at() > now;
        fullest.bucket.refill();
        fullest.key.store(hash, Relaxed);
        Found { bucket: &fullest.bucket, forgot }
    }
}

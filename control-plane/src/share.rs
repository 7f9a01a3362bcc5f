//! Fair shares of what there is a bound of: one identity, or one address of who has none, may have a part of it, so that
//! whoever has stolen one, or has gone wild, cannot keep the others out. `server` counts connections, `xds` streams.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// A fifth of all: many replicas of one workload may have one identity.
const PART: usize = 5;

/// What each has of it.
#[derive(Clone, Debug)]
pub(crate) struct Shares<K> {
    most: usize,
    /// Bound: the whole. An entry goes with its last share.
    taken: Arc<Mutex<HashMap<K, usize>>>,
}

/// One; free again when dropped.
#[derive(Debug)]
pub(crate) struct Share<K: Eq + Hash> {
    taken: Arc<Mutex<HashMap<K, usize>>>,
    key: K,
}

impl<K: Eq + Hash + Clone> Shares<K> {
    /// Of so much in all.
    pub(crate) fn of(all: usize) -> Self {
        Self { most: (all / PART).max(1), taken: Arc::default() }
    }

    /// One more for this one; `None` if it has its part.
    pub(crate) fn take(&self, key: &K) -> Option<Share<K>> {
        let mut taken = lock(&self.taken);
        let count = taken.entry(key.clone()).or_default();
        if *count >= self.most {
            return None;
        }
        *count += 1;
        drop(taken);
        Some(Share { taken: Arc::clone(&self.taken), key: key.clone() })
    }

    /// What one may have.
    pub(crate) fn most(&self) -> usize {
        self.most
    }
}

fn lock<K>(taken: &Mutex<HashMap<K, usize>>) -> MutexGuard<'_, HashMap<K, usize>> {
    taken.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<K: Eq + Hash> Drop for Share<K> {
    fn drop(&mut self) {
        let mut taken = lock(&self.taken);
        if let Some(count) = taken.get_mut(&self.key) {
            *count -= 1;
            if *count == 0 {
                taken.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Shares, lock};

    #[test]
    fn one_may_have_a_fifth_and_others_still_get_theirs() {
        let shares = Shares::of(10);
        let held: Vec<_> = (0..2).map(|_| shares.take(&"web").unwrap()).collect();
        assert!(shares.take(&"web").is_none());
        let other = shares.take(&"job");
        assert!(other.is_some());
        drop(held);
        assert!(shares.take(&"web").is_some(), "it was given back");
        drop(other);
        assert!(lock(&shares.taken).is_empty(), "nothing is left of who has nothing");
        assert_eq!(Shares::<u8>::of(1).most(), 1);
    }
}

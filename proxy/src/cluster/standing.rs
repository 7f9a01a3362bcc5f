//! Who of a cluster is usable now, by priority, and what follows from it: how the load spills over, who panics, who
//! is new, and the hash rings. Part of one version of the cluster; read by every pick, counted anew every [`TICK`].
//!
//! So a pick costs one atomic load and not a walk over the endpoints, and nobody who changes an endpoint's health
//! has to tell. What a pick does with it is exact nevertheless: it asks each endpoint again whether it is usable.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use tokio::time::Instant;

use super::ring::Ring;
use super::spill::{Count, MOST, Spill};
use super::{Endpoint, balancer};
use crate::model::{RingHash, SlowStart};

/// How old what a pick goes by may be.
const TICK: Duration = Duration::from_millis(10);
/// Bits of a packed load, and of all loads and panics.
const LOAD_BITS: usize = 7;
const BITS: usize = MOST * (LOAD_BITS + 1);

/// See the module.
#[derive(Debug)]
pub(super) struct Standing {
    born: Instant,
    priorities: Vec<Priority>,
    /// The tick of the count, from 1, above [`BITS`] of a [`Spill`]. Race: two picks may count at once; both are
    /// right.
    counted: AtomicU64,
}

/// Endpoints of one priority, by their number in the cluster.
#[derive(Debug)]
pub(super) struct Priority {
    members: Vec<usize>,
    /// Each as often as its weight says.
    pub(super) order: Vec<usize>,
    ring: Option<Rings>,
    /// Bits of an `f32`; 0 if no endpoint is new.
    warmest: AtomicU32,
}

#[derive(Debug)]
struct Rings {
    settings: RingHash,
    current: ArcSwap<Ring>,
    /// A digest of who is on it.
    of: AtomicU64,
}

impl Standing {
    /// `members`: the endpoints' numbers for each priority, at most [`MOST`].
    pub(super) fn new(
        endpoints: &[Arc<Endpoint>],
        members: Vec<Vec<usize>>,
        ring: Option<&RingHash>,
    ) -> Self {
        let priorities = members.into_iter().map(|members| Priority {
            order: balancer::weighted_order(endpoints, &members),
            members,
            ring: ring.map(Rings::new),
            warmest: AtomicU32::new(0),
        });
        let priorities = priorities.collect();
        Self { born: Instant::now(), priorities, counted: AtomicU64::new(0) }
    }

    /// In order.
    pub(super) fn priorities(&self) -> &[Priority] {
        &self.priorities
    }

    /// The priority of that endpoint, if it has one.
    pub(super) fn priority_of(&self, number: usize) -> Option<usize> {
        self.priorities.iter().position(|priority| priority.members.contains(&number))
    }

    /// What each priority gets now.
    pub(super) fn spill(
        &self,
        endpoints: &[Arc<Endpoint>],
        slow_start: Option<SlowStart>,
        now: Instant,
    ) -> Spill {
        let tick = now.saturating_duration_since(self.born).as_millis() / TICK.as_millis() + 1;
        // Wraps after five days; a count that old is then believed for one tick more.
        let tick = u64::try_from(tick).unwrap_or(u64::MAX) << BITS;
        let counted = self.counted.load(Relaxed);
        if counted >> BITS == tick >> BITS {
            return unpack(counted);
        }
        let spill = self.count(endpoints, now);
        if let Some(slow_start) = slow_start {
            self.priorities
                .iter()
                .for_each(|priority| priority.warm_up(endpoints, slow_start, now));
        }
        self.counted.store(tick | pack(&spill), Relaxed);
        spill
    }

    #[cold]
    fn count(&self, endpoints: &[Arc<Endpoint>], now: Instant) -> Spill {
        let mut counts = [Count::default(); MOST];
        for (count, priority) in counts.iter_mut().zip(&self.priorities) {
            let usable =
                priority.members.iter().filter(|number| endpoints[**number].is_usable(now));
            *count = Count { usable: usable.count(), all: priority.members.len() };
        }
        let spill = Spill::of(&counts[..self.priorities.len()]);
        for (priority, panics) in self.priorities.iter().zip(spill.panic) {
            if let Some(rings) = &priority.ring {
                let members = priority.members.iter().copied();
                let on = members.filter(|n| panics || endpoints[*n].is_usable(now));
                rings.follow(endpoints, on);
            }
        }
        spill
    }
}

impl Priority {
    /// The ring of its usable endpoints; `None` if the balancer has none.
    pub(super) fn ring(&self) -> Option<Guard<Arc<Ring>>> {
        self.ring.as_ref().map(|rings| rings.current.load())
    }

    /// The most that a usable endpoint has of its weight; `None` if no endpoint is new. As of the last
    /// [`Standing::spill`].
    pub(super) fn warmest(&self) -> Option<f64> {
        let warmest = f32::from_bits(self.warmest.load(Relaxed));
        (warmest > 0.0).then_some(f64::from(warmest))
    }

    #[cold]
    fn warm_up(&self, endpoints: &[Arc<Endpoint>], slow_start: SlowStart, now: Instant) {
        let members = || self.members.iter().map(|number| &endpoints[*number]);
        let share = |endpoint: &Arc<Endpoint>| endpoint.warmth(slow_start, now);
        let is_over = members().map(share).all(|share| share >= 1.0);
        let usable = members().filter(|endpoint| endpoint.is_usable(now));
        // Where nobody is usable all are, and no draw is measured by anybody.
        let warmest = if is_over { 0.0 } else { usable.map(share).fold(0.0, f64::max) };
        #[allow(clippy::cast_possible_truncation, reason = "a share needs no more")]
        self.warmest.store((warmest as f32).to_bits(), Relaxed);
    }
}

impl Rings {
    fn new(settings: &RingHash) -> Self {
        let current = ArcSwap::from_pointee(Ring::default());
        Self { settings: settings.clone(), current, of: AtomicU64::new(0) }
    }

    fn follow(&self, endpoints: &[Arc<Endpoint>], on: impl Iterator<Item = usize> + Clone) {
        // FNV-1a over the numbers, never 0.
        let fold = |sum: u64, number: usize| (sum ^ number as u64).wrapping_mul(0x100_0000_01b3);
        let digest = on.clone().fold(0xcbf2_9ce4_8422_2325, fold) | 1;
        if self.of.load(Relaxed) != digest {
            let on: Vec<_> = on.map(|number| (number, &endpoints[number].spec)).collect();
            self.current.store(Arc::new(Ring::new(&on, &self.settings)));
            self.of.store(digest, Relaxed);
        }
    }
}

fn pack(spill: &Spill) -> u64 {
    let parts = spill.load.iter().zip(spill.panic);
    parts.fold(0, |sum, (load, panics)| {
        sum << (LOAD_BITS + 1) | u64::from(*load) << 1 | u64::from(panics)
    })
}

fn unpack(packed: u64) -> Spill {
    let mut spill = Spill::default();
    for place in 0..MOST {
        let bits = packed >> ((MOST - 1 - place) * (LOAD_BITS + 1));
        spill.load[place] = u8::try_from(bits >> 1 & 0x7f).unwrap_or(0);
        spill.panic[place] = bits & 1 == 1;
    }
    spill
}

#[cfg(test)]
mod tests;

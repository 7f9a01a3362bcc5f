//! The hash ring: the endpoint that a key belongs to, the same in every sidecar and in an Envoy.
//!
//! So it is built as Envoy builds it (ketama over xxHash64): endpoint `10.0.0.1:80` stands at the hashes of
//! `10.0.0.1:80_0`, `10.0.0.1:80_1` and so on, the lightest one as often as makes the ring at least the minimum
//! long, the others by weight; a key belongs to the first place at or after its own hash. As in Envoy the ring is
//! of the usable endpoints only, so what an ejection changes is the same there and here.
//!
//! Bound: [`RingHash::maximum`] places of 16 bytes, and as many as endpoints more.

use std::fmt::Write as _;

use twox_hash::XxHash64;

use crate::model::{EndpointSpec, RingHash};

/// Places sorted by hash, each with the number of its endpoint.
#[derive(Debug, Default)]
pub(super) struct Ring(Vec<(u64, usize)>);

impl Ring {
    /// The ring of these endpoints, which keep their numbers.
    pub(super) fn new(endpoints: &[(usize, &EndpointSpec)], settings: &RingHash) -> Self {
        let weights = || endpoints.iter().map(|(_, endpoint)| f64::from(endpoint.weight.max(1)));
        let (sum, lightest) = (weights().sum::<f64>(), weights().fold(f64::INFINITY, f64::min));
        let share = lightest / sum;
        #[allow(clippy::cast_precision_loss, reason = "sizes are far below 2^53")]
        let (minimum, maximum) = (settings.minimum as f64, settings.maximum as f64);
        let scale = ((share * minimum).ceil() / share).min(maximum);
        let (mut ring, mut key) = (Vec::new(), String::new());
        // A running sum over all endpoints, so that the rest of one is the start of the next.
        let (mut placed, mut due) = (0.0, 0.0);
        for (number, endpoint) in endpoints {
            due += scale * (f64::from(endpoint.weight.max(1)) / sum);
            let mut copy = 0_u64;
            while placed < due {
                key.clear();
                // A String takes everything.
                let _ = write!(key, "{}_{copy}", endpoint.address);
                ring.push((XxHash64::oneshot(0, key.as_bytes()), *number));
                copy += 1;
                placed += 1.0;
            }
        }
        ring.sort_unstable();
        Self(ring)
    }

    /// Numbers of endpoints from the key's own place on, once around; a number may come again.
    pub(super) fn from(&self, hash: u64) -> impl Iterator<Item = usize> + '_ {
        let start = self.0.partition_point(|(place, _)| *place < hash);
        let (before, after) = self.0.split_at(start);
        after.iter().chain(before).map(|(_, number)| *number)
    }
}

#[cfg(test)]
mod tests;

//! Choice of an endpoint. Called by `Cluster::pick`, which says which endpoints are usable.
//!
//! Weights are spent by repetition: every algorithm chooses among places of an order in which an endpoint
//! stands as often as its weight (reduced by the common divisor) says. A new endpoint's place counts with the part
//! of its weight that slow start gives it: a draw of it is refused so often that its share is exactly that.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use super::standing::Priority;
use super::{Ask, Cluster, Endpoint};
use crate::model::Balancer;
use crate::random::Random;

/// Bound: places in the order; larger weights are scaled down to fit.
const MAX_PLACES: u64 = 4096;

/// Interleaved, so that round robin does not send bursts to a heavy endpoint.
pub(super) fn weighted_order(endpoints: &[Arc<Endpoint>], members: &[usize]) -> Vec<usize> {
    let weight = |number: &usize| u64::from(endpoints[*number].spec.weight.max(1));
    let weights: Vec<u64> = members.iter().map(weight).collect();
    let divisor = weights.iter().copied().fold(0, gcd).max(1);
    let total: u64 = weights.iter().sum::<u64>() / divisor;
    let scale = total.div_ceil(MAX_PLACES).max(1);
    let mut places: Vec<(f64, usize)> = Vec::new();
    for (index, weight) in weights.iter().enumerate() {
        let count = (weight / divisor / scale).max(1);
        #[allow(clippy::cast_precision_loss, reason = "both are at most MAX_PLACES or so")]
        places.extend((0..count).map(|i| ((i as f64 + 0.5) / count as f64, index)));
    }
    places.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    places.into_iter().map(|(_, index)| members[index]).collect()
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

/// One of a priority's endpoints that fit.
pub(super) fn pick<'c>(
    cluster: &'c Cluster,
    priority: &'c Priority,
    ask: &Ask<'_>,
    fits: &dyn Fn(&Endpoint) -> bool,
) -> Option<&'c Arc<Endpoint>> {
    let Ask { random, now, .. } = *ask;
    let slow_start = cluster.spec.slow_start.zip(priority.warmest());
    let share = slow_start.map(|(slow_start, warmest)| {
        move |endpoint: &Endpoint| endpoint.warmth(slow_start, now) / warmest
    });
    let share = share.as_ref().map(|share| share as &dyn Fn(&Endpoint) -> f64);
    let places = Places { endpoints: &cluster.endpoints, order: &priority.order, fits, share };
    match &cluster.spec.balancer {
        Balancer::RoundRobin => places.next(&cluster.shared.cursor, random),
        Balancer::RingHash(_) => {
            let owners = priority.ring()?;
            let hash = ask.hash.unwrap_or_else(|| random.next());
            let numbers = owners.from(hash).chain(priority.order.iter().copied());
            { numbers }.map(|number| &cluster.endpoints[number]).find(|endpoint| fits(endpoint))
        }
        Balancer::Random => places.uniform(random),
        Balancer::LeastRequest => {
            let cost = |endpoint: &Endpoint| f64::from(endpoint.in_flight()) + 1.0;
            places.cheaper_of_two(random, cost, |_| false)
        }
        Balancer::PeakEwma(ewma) => {
            let ewma = *ewma;
            let cost = |endpoint: &Endpoint| {
                let in_flight = endpoint.in_flight();
                // One request finds out what a new endpoint is like, or it would have to wait until all others
                // are slower than the default. While it is under way the default keeps the rest away.
                if in_flight == 0 && endpoint.latency.is_unknown() {
                    return 0.0;
                }
                // Its failures made it dear, but one request must find out whether it is well again.
                if endpoint.outlier.is_due(now) {
                    return 0.0;
                }
                endpoint.latency.cost(ewma, now) * (f64::from(in_flight) + 1.0)
            };
            places.cheaper_of_two(random, cost, |endpoint| {
                endpoint.latency.is_failing(ewma, now) && !endpoint.outlier.is_due(now)
            })
        }
    }
}

struct Places<'c, 'u> {
    endpoints: &'c [Arc<Endpoint>],
    /// Numbers of endpoints.
    order: &'c [usize],
    fits: &'u dyn Fn(&Endpoint) -> bool,
    /// Of its weight, where some are new; the most is 1 or so.
    share: Option<&'u dyn Fn(&Endpoint) -> f64>,
}

impl<'c> Places<'c, '_> {
    fn at(&self, place: usize) -> Option<&'c Arc<Endpoint>> {
        self.endpoints.get(*self.order.get(place % self.order.len().max(1))?)
    }

    /// It fits, and this draw of it counts.
    fn wins(&self, endpoint: &Endpoint, random: &Random) -> bool {
        (self.fits)(endpoint) && self.share.is_none_or(|share| random.unit() < share(endpoint))
    }

    /// The next place whose turn it is. A place that does not fit loses its turn, and not to its neighbour.
    fn next(&self, cursor: &AtomicUsize, random: &Random) -> Option<&'c Arc<Endpoint>> {
        let count = self.order.len();
        let turns = (0..count).filter_map(|_| self.at(cursor.fetch_add(1, Relaxed)));
        // Race: other workers may have had the turns of those that fit.
        { turns }.find(|endpoint| self.wins(endpoint, random)).or_else(|| self.exact(random))
    }

    /// Uniform over the usable places, by their share: a few blind draws, then an exact one.
    fn uniform(&self, random: &Random) -> Option<&'c Arc<Endpoint>> {
        let count = self.order.len();
        let mut blind = (0..3).filter_map(|_| self.at(random.below(count)));
        blind.find(|endpoint| self.wins(endpoint, random)).or_else(|| self.exact(random))
    }

    fn exact(&self, random: &Random) -> Option<&'c Arc<Endpoint>> {
        let all = (0..self.order.len()).filter_map(|place| self.at(place));
        let mut sum = 0.0;
        let usable = all.filter(|endpoint| (self.fits)(endpoint)).map(|endpoint| {
            sum += self.share.map_or(1.0, |share| share(endpoint));
            (sum, endpoint)
        });
        let usable: Vec<_> = usable.collect();
        let wanted = random.unit() * sum;
        let drawn = usable.partition_point(|(sum, _)| *sum <= wanted);
        usable.get(drawn).or(usable.last()).map(|(_, endpoint)| *endpoint)
    }

    /// As [`Self::uniform`], but those that are shunned only if three draws yield no other.
    fn draw(
        &self,
        random: &Random,
        shunned: &impl Fn(&Endpoint) -> bool,
    ) -> Option<&'c Arc<Endpoint>> {
        let mut drawn = self.uniform(random)?;
        for _ in 0..2 {
            if !shunned(drawn) {
                break;
            }
            drawn = self.uniform(random)?;
        }
        Some(drawn)
    }

    /// Power of two choices (Mitzenmacher 2001): two different endpoints at random, the cheaper one.
    fn cheaper_of_two(
        &self,
        random: &Random,
        cost: impl Fn(&Endpoint) -> f64,
        shunned: impl Fn(&Endpoint) -> bool,
    ) -> Option<&'c Arc<Endpoint>> {
        let first = self.draw(random, &shunned)?;
        if self.order.len() == 1 {
            return Some(first);
        }
        let other =
            |endpoint: &Endpoint| (self.fits)(endpoint) && !std::ptr::eq(endpoint, &**first);
        let rest = Places { fits: &other, ..*self };
        let Some(second) = rest.draw(random, &shunned) else { return Some(first) };
        if cost(second) < cost(first) { Some(second) } else { Some(first) }
    }
}

#[cfg(test)]
mod tests;

//! Which endpoint a request goes to: whom it may have, best first. Called by `outbound` for every attempt, every
//! opaque connection and every copy; among those that it may have `balancer` decides. Never waits, never fails where
//! there is an endpoint: a guess beats a refusal.

use std::net::SocketAddr;
use std::sync::Arc;

use tokio::time::Instant;

use super::outlier::Claim;
use super::{Cluster, Endpoint, Trial, balancer};
use crate::random::Random;

/// Bound: how often a request chooses again because another one became the trial of what it chose.
const CHOICES: usize = 8;

/// What a pick goes by.
#[derive(Clone, Copy, Debug)]
pub struct Ask<'a> {
    /// The worker's randomness.
    pub random: &'a Random,
    /// Now.
    pub now: Instant,
    /// Where the request has been already, the latest last.
    pub tried: &'a [Arc<Endpoint>],
    /// Where the request's session has been so far: there it goes on, if that endpoint is usable.
    pub session: Option<SocketAddr>,
    /// The application has chosen by itself: this endpoint, as long as it is one, in whatever state it is.
    pub only: Option<SocketAddr>,
    /// The request's key, by [`Cluster::hash_policies`].
    pub hash: Option<u64>,
}

impl Ask<'_> {
    fn is_untried(&self, endpoint: &Endpoint) -> bool {
        self.tried.iter().all(|tried| !std::ptr::eq(&**tried, endpoint))
    }

    fn is_not_last(&self, endpoint: &Endpoint) -> bool {
        self.tried.last().is_none_or(|last| !std::ptr::eq(&**last, endpoint))
    }
}

/// May a request have this endpoint?
type Wish<'w> = &'w dyn Fn(&Endpoint) -> bool;

impl Cluster {
    /// Chooses an endpoint: a usable one that the request has not been at, or, where so few are usable that the
    /// priority panics (`spill`), any that it has not been at, except one whose trial is under way. `None` if there is
    /// no endpoint.
    #[must_use]
    pub fn pick(&self, ask: &Ask<'_>) -> Option<&Arc<Endpoint>> {
        if let Some(only) = ask.only.and_then(|address| self.at(address)) {
            return Some(only);
        }
        if let Some(own) = ask.session.and_then(|address| self.usable_at(address, ask.now)) {
            return Some(own);
        }
        let spill = self.standing.spill(&self.endpoints, self.spec.slow_start, ask.now);
        let priorities = self.standing.priorities();
        let first = match priorities {
            [_] => 0,
            _ => spill.priority(ask.hash.unwrap_or_else(|| ask.random.next())),
        };
        let usable: Wish<'_> = &|endpoint| ask.is_untried(endpoint) && endpoint.is_usable(ask.now);
        let in_panic: Wish<'_> =
            &|endpoint| ask.is_untried(endpoint) && !endpoint.outlier.is_on_trial();
        let wish = if spill.panic[first] { in_panic } else { usable };
        let priority = priorities.get(first)?;
        balancer::pick(self, priority, ask, wish).or_else(|| self.pick_any(ask, usable, in_panic))
    }

    /// As [`Self::pick`] where the priority that has the load has nobody. What another priority has is better than
    /// what the request has been at; that is better than what is not usable; last comes what is on trial.
    #[cold]
    fn pick_any(
        &self,
        ask: &Ask<'_>,
        usable: Wish<'_>,
        in_panic: Wish<'_>,
    ) -> Option<&Arc<Endpoint>> {
        let wishes: [Wish<'_>; 6] = [
            usable,
            &|endpoint| ask.is_not_last(endpoint) && endpoint.is_usable(ask.now),
            &|endpoint| endpoint.is_usable(ask.now),
            in_panic,
            &|endpoint| !endpoint.outlier.is_on_trial(),
            &|_| true,
        ];
        let priorities = self.standing.priorities();
        let choose = |wish| {
            { priorities.iter() }.find_map(|priority| balancer::pick(self, priority, ask, wish))
        };
        wishes.into_iter().find_map(choose)
    }

    fn at(&self, address: SocketAddr) -> Option<&Arc<Endpoint>> {
        self.endpoints.iter().find(|endpoint| endpoint.spec.address == address)
    }

    fn usable_at(&self, address: SocketAddr, now: Instant) -> Option<&Arc<Endpoint>> {
        let mut all = self.endpoints.iter().enumerate();
        let (number, own) = all.find(|(_, endpoint)| endpoint.spec.address == address)?;
        self.standing.priority_of(number).filter(|_| own.is_usable(now)).map(|_| own)
    }

    /// As [`Self::pick`], and the trial, if the request is one: it must be ended by [`Self::note`]. Exactly one
    /// request at a time is an endpoint's trial; while it is, others go there only if there is no other endpoint.
    #[must_use]
    pub fn choose(&self, ask: &Ask<'_>) -> Option<(&Arc<Endpoint>, Option<Trial>)> {
        let mut picked = self.pick(ask)?;
        for _ in 0..CHOICES {
            match picked.outlier.claim(ask.now) {
                Claim::Ordinary => break,
                Claim::Trial => return Some((picked, Some(Trial::begin(picked)))),
                Claim::Lost => picked = self.pick(ask)?,
            }
        }
        Some((picked, None))
    }

    /// Is another endpoint usable?
    #[must_use]
    pub fn has_other(&self, than: Option<&Arc<Endpoint>>, now: Instant) -> bool {
        let is_other = |endpoint| than.is_none_or(|than| !Arc::ptr_eq(than, endpoint));
        self.endpoints.iter().any(|endpoint| endpoint.is_usable(now) && is_other(endpoint))
    }
}

#[cfg(test)]
mod tests;

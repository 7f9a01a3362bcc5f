//! How the load spills from one priority to the next as endpoints fail: Envoy's arithmetic, as a pure function.
//!
//! A priority takes all of its share as long as 5/7 of it is usable (overprovisioning 1.4); below that what it
//! cannot take goes to the next. If all together can take less than the whole, those that are under half usable
//! panic: they use every endpoint, because most that are called ill are likely well or nobody is.

/// Bound: priorities that are told apart.
pub(super) const MOST: usize = 4;
const OVERPROVISIONING: usize = 140;
/// Per cent.
const PANIC_BELOW: usize = 50;

/// Endpoints of one priority.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) usable: usize,
    pub(super) all: usize,
}

/// What each priority gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Spill {
    /// Per cent; they add up to 100.
    pub(super) load: [u8; MOST],
    /// It uses all of its endpoints.
    pub(super) panic: [bool; MOST],
}

impl Spill {
    /// Of priorities in order, at most [`MOST`].
    pub(super) fn of(counts: &[Count]) -> Self {
        let mut spill = Self::default();
        let health = |count: &Count| {
            (OVERPROVISIONING * count.usable).checked_div(count.all).unwrap_or(0).min(100)
        };
        let total = counts.iter().map(health).sum::<usize>().min(100);
        let panics = |count: &Count| 100 * count.usable < PANIC_BELOW * count.all || count.all == 0;
        if total < 100 {
            for (panic, count) in spill.panic.iter_mut().zip(counts) {
                *panic = panics(count);
            }
        }
        if total < 100 && counts.iter().all(panics) {
            let all: usize = counts.iter().map(|count| count.all).sum();
            spill.share_out(counts, |count| (100 * count.all).checked_div(all).unwrap_or(0));
        } else {
            spill.share_out(counts, |count| (health(count) * 100).checked_div(total).unwrap_or(0));
        }
        spill
    }

    /// In order, as long as there is load; what rounding leaves goes to the first that takes any.
    fn share_out(&mut self, counts: &[Count], wish: impl Fn(&Count) -> usize) {
        let mut left = 100;
        for (load, count) in self.load.iter_mut().zip(counts) {
            let takes = wish(count).min(left);
            left -= takes;
            *load = u8::try_from(takes).unwrap_or(100);
        }
        let first = self.load.iter().position(|load| *load > 0).unwrap_or(0);
        self.load[first] += u8::try_from(left).unwrap_or(100);
    }

    /// The priority of a number that is uniform, or a hash.
    pub(super) fn priority(&self, number: u64) -> usize {
        let wanted = number % 100 + 1;
        let mut sum = 0;
        let reaches = |load: &u8| {
            sum += u64::from(*load);
            wanted <= sum
        };
        self.load.iter().position(reaches).unwrap_or(0)
    }
}

#[cfg(test)]
mod tests;

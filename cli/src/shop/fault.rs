//! The fault built into payment: which charges fail. Pure, so that the same seed fails the same charges.
//!
//! Of each 20 charges exactly 3 fail (15 %), so that even a short run shows the share; which 3 of the 20 is
//! drawn from the seed. Never two in a row: outlier detection counts failures in a row, and it would eject the
//! only payment there is. Used by `payment`; the demo's report asks [`share`].

/// Charges in a block.
const BLOCK: u64 = 20;
/// Failing charges in each block.
const FAILING: u64 = 3;

/// The share of charges that fail, and the most that can fail among `charges` in a row.
pub(crate) fn share() -> f64 {
    0.15
}

/// At most so many of `charges` consecutive charges fail.
pub(crate) fn most_of(charges: u64) -> u64 {
    // Two blocks may be cut such that all their failing charges are within.
    (charges / BLOCK + 2).saturating_mul(FAILING).min(charges)
}

/// Does charge number `charge`, from 0, fail?
pub(super) fn fails(seed: u64, charge: u64) -> bool {
    let (block, place) = (charge / BLOCK, charge % BLOCK);
    let mut state = mix(seed ^ mix(block));
    let mut chosen = [u64::MAX; FAILING as usize];
    let mut count = 0;
    while count < chosen.len() {
        state = mix(state);
        // The last place of a block never fails, so that the next block may begin with a failure.
        let candidate = state % (BLOCK - 1);
        if chosen.iter().all(|other| candidate.abs_diff(*other) > 1) {
            chosen[count] = candidate;
            count += 1;
        }
    }
    chosen.contains(&place)
}

/// One step of splitmix64.
pub(super) fn mix(state: u64) -> u64 {
    let mut value = state.wrapping_add(0x9E37_79B9_7F4A_7C15);
    value = (value ^ (value >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    value = (value ^ (value >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    value ^ (value >> 31)
}

#[cfg(test)]
mod tests;

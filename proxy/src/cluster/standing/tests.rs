//! What is kept between two picks.

use proptest::prelude::*;

use super::{MOST, pack, unpack};
use crate::cluster::spill::Spill;

proptest! {
    #[test]
    fn what_is_packed_comes_out(load in any::<[u8; MOST]>(), panic in any::<[bool; MOST]>()) {
        let spill = Spill { load: load.map(|load| load % 101), panic };
        let packed = pack(&spill);
        prop_assert_eq!(packed >> super::BITS, 0);
        prop_assert_eq!(unpack(packed | 77 << super::BITS), spill);
    }
}

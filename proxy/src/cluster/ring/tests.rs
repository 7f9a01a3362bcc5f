//! Rings against what Envoy 1.40 did with the same keys, and the properties that a ring is for.
//!
//! The figures were taken from a real Envoy: endpoints 127.77.0.1:9100 and up, keys `user-0` to `user-63` by header,
//! one digit a key for the endpoint that answered.

use proptest::prelude::*;
use twox_hash::XxHash64;

use super::Ring;
use crate::model::{EndpointSpec, RingHash};

fn endpoints(weights: &[u32]) -> Vec<EndpointSpec> {
    let one = |(weight, number): (&u32, u8)| EndpointSpec {
        address: ([127, 77, 0, number], 9100).into(),
        workload: String::new(),
        identity: None,
        weight: *weight,
    };
    weights.iter().zip(1..).map(one).collect()
}

fn numbered(endpoints: &[EndpointSpec]) -> Vec<(usize, &EndpointSpec)> {
    endpoints.iter().enumerate().collect()
}

fn ring(weights: &[u32], minimum: u64, maximum: u64) -> Ring {
    let settings = RingHash { minimum, maximum, policies: Vec::new() };
    Ring::new(&numbered(&endpoints(weights)), &settings)
}

fn owner(ring: &Ring, key: &str) -> usize {
    ring.from(XxHash64::oneshot(0, key.as_bytes())).next().unwrap()
}

#[test]
fn the_endpoint_of_a_key_is_envoys() {
    const DEFAULT: (u64, u64) = (1024, 8_388_608);
    for (weights, (minimum, maximum), envoy) in [
        (
            &[1, 1, 1][..],
            DEFAULT,
            "3311123123133121313211322232231211332122222112212323222312121221",
        ),
        (
            &[1, 1, 2, 1, 3],
            DEFAULT,
            "5315533155443125355554355552333555335154225545252553252315453151",
        ),
        (
            &[1, 1, 1, 1, 1],
            (1, 8),
            "5151455414114514541442454444254544154415254145455542454454444134",
        ),
        (
            &[1, 7, 1, 30, 3],
            (16, 8_388_608),
            "5444444444444242444442444454254445242445442422424444442444444444",
        ),
    ] {
        let ring = ring(weights, minimum, maximum);
        let ours: String =
            (0..64).map(|key| (owner(&ring, &format!("user-{key}")) + 1).to_string()).collect();
        assert_eq!(ours, envoy, "{weights:?}");
    }
}

#[test]
fn a_key_walks_the_whole_ring_and_ends() {
    let ring = ring(&[1, 1, 1], 1024, 4096);
    for hash in [0, 1, u64::MAX / 2, u64::MAX] {
        let walked: Vec<_> = ring.from(hash).collect();
        assert_eq!(walked.len(), 3 * 342);
        assert!((0..3).all(|number| walked.contains(&number)));
    }
    assert_eq!(Ring::new(&[], &RingHash::default()).from(7).count(), 0);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(32))]

    #[test]
    fn who_leaves_moves_few_keys_of_others(count in 3_usize..12, gone in 0_usize..12) {
        let gone = gone % count;
        let all = endpoints(&vec![1; count]);
        let settings = RingHash::default();
        let before = Ring::new(&numbered(&all), &settings);
        let mut rest = numbered(&all);
        rest.remove(gone);
        let after = Ring::new(&rest, &settings);
        let keys: Vec<String> = (0..500).map(|key| format!("k{key}")).collect();
        let kept = keys.iter().filter(|key| owner(&before, key) != gone);
        let (kept, moved) = kept.fold((0, 0), |(kept, moved), key| {
            let same = owner(&before, key) == owner(&after, key);
            (kept + 1, moved + usize::from(!same))
        });
        // The others have more places each now, as in Envoy; hardly more than one in as many as there are.
        prop_assert!(moved * count <= kept * 2, "{moved} of {kept}, {count} endpoints");
        prop_assert!(keys.iter().all(|key| owner(&after, key) != gone));
    }

    #[test]
    fn places_follow_weights(weights in proptest::collection::vec(1_u32..50, 1..20)) {
        let ring = ring(&weights, 4096, 1 << 20);
        let total: u32 = weights.iter().sum();
        for (number, weight) in weights.iter().enumerate() {
            let places = ring.0.iter().filter(|(_, owner)| *owner == number).count() as f64;
            let expected = ring.0.len() as f64 * f64::from(*weight) / f64::from(total);
            prop_assert!((places - expected).abs() <= 1.5, "{places} for {expected}");
        }
    }
}

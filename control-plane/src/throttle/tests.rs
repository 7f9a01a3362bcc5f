//! How long a rest is.

use super::*;

#[test]
fn the_rest_follows_from_what_the_work_took() {
    let begun = Instant::now();
    for (took, rest) in [(0, 0), (1, 4), (100, 400), (500, 2_000), (700, 2_000), (3_000, 3_000)] {
        let (took, rest) = (Duration::from_millis(took), Duration::from_millis(rest));
        let mut throttle = Throttle::default();
        assert_eq!(throttle.earliest(begun), begun, "nothing was done yet");
        let ended = begun + took;
        throttle.done(begun, ended);
        assert_eq!(throttle.earliest(ended), ended + rest, "{took:?}");
        let late = ended + rest + Duration::from_millis(1);
        assert_eq!(
            throttle.earliest(late),
            late,
            "{took:?}: whoever comes after the rest does not wait"
        );
    }
}

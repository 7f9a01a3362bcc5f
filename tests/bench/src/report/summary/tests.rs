//! Ratios are made within a round.

use super::{Measurement, Unit, median, rows};

fn measurement(round: usize, peer: &'static str, cpu_us: f64) -> Measurement {
    Measurement {
        round,
        cell: "cell",
        peer,
        unit: Unit::Operation,
        requests: 1,
        errors: 0,
        first_errors: Vec::new(),
        per_second: 1.0,
        cpu_us,
        outbound_us: cpu_us / 2.0,
        inbound_us: cpu_us / 2.0,
        load_us: 1.0,
        p50_us: 1.0,
        p99_us: 2.0,
    }
}

#[test]
fn a_ratio_is_the_median_of_ratios_within_rounds() {
    // The machine is slow in round 1: the ratio of medians would be 30 / 20.
    let measurements = [
        measurement(0, "hyper", 10.0),
        measurement(0, "weft", 20.0),
        measurement(1, "weft", 200.0),
        measurement(1, "hyper", 100.0),
        measurement(2, "hyper", 20.0),
        measurement(2, "weft", 30.0),
    ];
    let rows = rows(&measurements);
    assert_eq!(rows.len(), 2);
    let weft = rows.iter().find(|row| row.peer == "weft").unwrap();
    assert_eq!(weft.cpu_by_hyper, Some(2.0));
    assert_eq!(weft.cpu_by_envoy, None);
    assert_eq!((weft.cpu_us, weft.cpu_us_min, weft.cpu_us_max), (30.0, 20.0, 200.0));
}

#[test]
fn the_median_is_the_middle() {
    assert_eq!(median([3.0, 1.0, 2.0].into_iter()), Some(2.0));
    assert_eq!(median([4.0, 1.0, 2.0, 3.0].into_iter()), Some(2.5));
    assert_eq!(median(std::iter::empty()), None);
}

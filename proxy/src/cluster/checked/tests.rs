//! Verdicts in a row, as a table.

use std::time::Duration;

use super::{Checked, Health};
use crate::model::{HealthCheck, Probe};

const SETTINGS: HealthCheck = HealthCheck {
    probe: Probe::Tcp,
    interval: Duration::from_secs(30),
    timeout: Duration::from_secs(10),
    healthy_threshold: 2,
    unhealthy_threshold: 3,
};

#[test]
fn rows_of_verdicts_decide() {
    for (verdicts, expected) in [
        ("", Health::Unknown),
        ("+", Health::Healthy),
        ("--", Health::Unknown),
        ("---", Health::Unhealthy),
        ("--+", Health::Healthy),
        ("+--", Health::Healthy),
        ("+--+--", Health::Healthy),
        ("+---", Health::Unhealthy),
        ("---+", Health::Unhealthy),
        ("---++", Health::Healthy),
        ("---+-+", Health::Unhealthy),
        ("---++--", Health::Healthy),
    ] {
        let checked = Checked::default();
        let changes =
            verdicts.chars().filter(|verdict| checked.note(*verdict == '+', &SETTINGS).is_some());
        let changes = changes.count();
        assert_eq!(checked.health(), expected, "{verdicts}");
        assert_eq!(changes > 0, expected != Health::Unknown, "{verdicts}");
        checked.forget();
        assert_eq!(checked.health(), Health::Unknown);
    }
}

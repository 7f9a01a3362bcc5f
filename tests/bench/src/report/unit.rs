//! How figures by unit are written: microseconds of CPU time by operation, seconds by GiB.

use crate::cell::Unit;

impl Unit {
    /// CPU time, given in microseconds.
    pub(super) fn cpu(self, micros: f64) -> String {
        match self {
            Self::Operation => format!("{} µs", self.number(micros)),
            Self::Gibibyte => format!("{} s", self.number(micros)),
        }
    }

    /// The same without its unit.
    pub(super) fn number(self, micros: f64) -> String {
        match self {
            Self::Operation => format!("{micros:.1}"),
            Self::Gibibyte => format!("{:.3}", micros / 1e6),
        }
    }

    /// How many.
    pub(super) fn amount(self, amount: f64) -> String {
        match self {
            Self::Operation => format!("{amount:.0}"),
            Self::Gibibyte => format!("{amount:.2} GiB"),
        }
    }
}

//! Prometheus' text format, written family by family. Used by the page of metrics alone.

use crate::histogram::{BOUNDS_MS, Histogram};

/// Text of the page so far. Values of labels are words of ours and need no escaping.
#[derive(Default)]
pub(super) struct Page {
    text: String,
    family: &'static str,
}

impl Page {
    /// Starts a metric; samples belong to the last one started.
    pub(super) fn family(&mut self, name: &'static str, kind: &str, help: &str) {
        self.family = name;
        self.text.push_str(&format!("# HELP {name} {help}\n# TYPE {name} {kind}\n"));
    }

    pub(super) fn sample(&mut self, labels: &[(&str, &str)], value: u64) {
        self.part("", labels, &value.to_string());
    }

    pub(super) fn part(&mut self, suffix: &str, labels: &[(&str, &str)], value: &str) {
        let labels: Vec<_> =
            labels.iter().map(|(label, value)| format!("{label}=\"{value}\"")).collect();
        let labels = match &labels[..] {
            [] => String::new(),
            labels => format!("{{{}}}", labels.join(",")),
        };
        self.text.push_str(&format!("{}{suffix}{labels} {value}\n", self.family));
    }

    /// Of the last one started.
    pub(super) fn histogram(&mut self, histogram: &Histogram) {
        let (counts, sum_ms) = histogram.cumulated();
        for (bound, count) in BOUNDS_MS.iter().zip(counts) {
            self.part("_bucket", &[("le", &seconds(*bound))], &count.to_string());
        }
        let all = counts[BOUNDS_MS.len()].to_string();
        self.part("_bucket", &[("le", "+Inf")], &all);
        self.part("_sum", &[], &seconds(sum_ms));
        self.part("_count", &[], &all);
    }

    /// All of it.
    pub(super) fn into_text(self) -> String {
        self.text
    }
}

/// Milliseconds as seconds, exactly.
pub(super) fn seconds(millis: u64) -> String {
    format!("{}.{:03}", millis / 1000, millis % 1000)
}

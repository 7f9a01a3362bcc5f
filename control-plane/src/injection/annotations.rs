//! What a pod's annotations can set: one table, which the documentation has too.
//!
//! Called by `inject`. A value without a meaning is refused and never replaced by a default; a name under `weft.dev/`
//! that is not in the table is a warning, for a typing error would have no effect and nobody would know.

use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::{Denial, INJECT, INJECTED, INJECTED_BY, INJECTED_METADATA, value};

/// The most that the sidecar takes.
const MOST_SERIES: u32 = 1_000_000;

/// Prefix of all that is ours.
const OURS: &str = "weft.dev/";

/// What the annotations of one pod say.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Knobs {
    pub(super) skip_inbound_ports: String,
    pub(super) skip_outbound_ports: String,
    pub(super) skip_outbound_cidrs: String,
    pub(super) cpu_request: Quantity,
    pub(super) memory_request: Quantity,
    pub(super) memory_limit: Quantity,
    pub(super) log: Option<String>,
    pub(super) access_log: Option<String>,
    pub(super) slow_request: Option<String>,
    pub(super) metrics_series: Option<String>,
    pub(super) post_quantum: Option<String>,
    /// As written, and in milliseconds.
    pub(super) drain_grace: Option<(String, u64)>,
}

impl Default for Knobs {
    fn default() -> Self {
        let quantity = |text: &str| Quantity(text.to_owned());
        Self {
            skip_inbound_ports: String::new(),
            skip_outbound_ports: String::new(),
            skip_outbound_cidrs: String::new(),
            cpu_request: quantity("10m"),
            memory_request: quantity("20Mi"),
            memory_limit: quantity("128Mi"),
            log: None,
            access_log: None,
            slow_request: None,
            metrics_series: None,
            post_quantum: None,
            drain_grace: None,
        }
    }
}

/// One annotation of a pod.
#[derive(Clone, Copy, Debug)]
pub struct Annotation {
    /// Its name.
    pub name: &'static str,
    /// A value as people write it.
    pub example: &'static str,
    /// What holds without it.
    pub default: &'static str,
    /// What it does.
    pub meaning: &'static str,
    read: fn(&str, &mut Knobs) -> Result<(), String>,
}

/// All of them, in the order of the documentation.
pub const ANNOTATIONS: [Annotation; 13] = [
    Annotation {
        name: "weft.dev/opaque-ports",
        example: "25,3306,5000-5010",
        default: "–",
        meaning: "ports of the pod that carry opaque bytes, whatever else is said of them; the control plane reads it",
        read: |text, _| value::ports(text).map(drop),
    },
    Annotation {
        name: "weft.dev/skip-inbound-ports",
        example: "22,9000-9100",
        default: "–",
        meaning: "ports that are reached from outside directly: no mTLS, no policy, no metrics",
        read: |text, knobs| set(&mut knobs.skip_inbound_ports, value::ports(text)),
    },
    Annotation {
        name: "weft.dev/skip-outbound-ports",
        example: "4567,8000-8100",
        default: "–",
        meaning: "ports that the application reaches directly",
        read: |text, knobs| set(&mut knobs.skip_outbound_ports, value::ports(text)),
    },
    Annotation {
        name: "weft.dev/skip-outbound-cidrs",
        example: "10.0.0.0/8,fd00::/8",
        default: "–",
        meaning: "networks that the application reaches directly",
        read: |text, knobs| set(&mut knobs.skip_outbound_cidrs, value::cidrs(text)),
    },
    Annotation {
        name: "weft.dev/proxy-cpu-request",
        example: "100m",
        default: "10m",
        meaning: "CPU that is set aside for the sidecar; there is no CPU limit",
        read: |text, knobs| set(&mut knobs.cpu_request, value::cpu(text)),
    },
    Annotation {
        name: "weft.dev/proxy-memory-request",
        example: "64Mi",
        default: "20Mi",
        meaning: "memory that is set aside for the sidecar; at least 16Mi",
        read: |text, knobs| set(&mut knobs.memory_request, value::memory(text)),
    },
    Annotation {
        name: "weft.dev/proxy-memory-limit",
        example: "256Mi",
        default: "128Mi",
        meaning: "memory at which the sidecar is ended, and from 85 % of which it turns work away; at least what is set aside",
        read: |text, knobs| set(&mut knobs.memory_limit, value::memory(text)),
    },
    Annotation {
        name: "weft.dev/proxy-log-level",
        example: "debug",
        default: "info",
        meaning: "what the sidecar logs: off, error, warn, info, debug, trace, or a filter as `info,weft_proxy::xds=debug`",
        read: |text, knobs| set(&mut knobs.log, value::log_filter(text).map(Some)),
    },
    Annotation {
        name: "weft.dev/access-log",
        example: "errors",
        default: "–",
        meaning: "which requests the sidecar logs: off, errors, all; without it as TelemetryPolicy and MeshConfig say",
        read: |text, knobs| {
            set(&mut knobs.access_log, value::word(text, &["off", "errors", "all"]).map(Some))
        },
    },
    Annotation {
        name: "weft.dev/slow-request",
        example: "2s",
        default: "100ms",
        meaning: "a request whose response takes so long to begin is slow: the sidecar remembers it for `weft why` and the dashboard; at least 1ms",
        read: |text, knobs| set(&mut knobs.slow_request, value::some_time(text).map(Some)),
    },
    Annotation {
        name: "weft.dev/metrics-series",
        example: "30000",
        default: "10000",
        meaning: "series of metrics about requests and connections that the sidecar has at most; what is more is counted under `other`",
        read: |text, knobs| {
            let count = value::count(text, MOST_SERIES).map(|count| Some(count.to_string()));
            set(&mut knobs.metrics_series, count)
        },
    },
    Annotation {
        name: "weft.dev/post-quantum",
        example: "off",
        default: "prefer",
        meaning: "key exchange with other sidecars: prefer (X25519MLKEM768 where both can), off (X25519)",
        read: |text, knobs| {
            set(&mut knobs.post_quantum, value::word(text, &["prefer", "off"]).map(Some))
        },
    },
    Annotation {
        name: "weft.dev/drain-grace",
        example: "10s",
        default: "5s",
        meaning: "how long a pod that ends waits for what is under way; shorter than its terminationGracePeriodSeconds",
        read: |text, knobs| {
            let millis = value::duration(text);
            set(&mut knobs.drain_grace, millis.map(|millis| Some((text.trim().to_owned(), millis))))
        },
    },
];

fn set<T>(place: &mut T, read: Result<T, String>) -> Result<(), String> {
    read.map(|value| *place = value)
}

/// Reads those of `pod`.
///
/// # Errors
/// Names the first value that has no meaning.
pub(super) fn read(pod: &Pod) -> Result<Knobs, Denial> {
    let mut knobs = Knobs::default();
    let Some(written) = &pod.metadata.annotations else { return Ok(knobs) };
    for annotation in ANNOTATIONS {
        let Some(text) = written.get(annotation.name) else { continue };
        (annotation.read)(text, &mut knobs).map_err(|problem| Denial {
            field: field(annotation.name),
            problem,
            remedy: format!("write it like {:?}, or remove it", annotation.example),
        })?;
    }
    match value::milli(&knobs.memory_request.0) > value::milli(&knobs.memory_limit.0) {
        true => Err(Denial {
            field: field("weft.dev/proxy-memory-request"),
            problem: format!(
                "{} is more than the limit of {}",
                knobs.memory_request.0, knobs.memory_limit.0
            ),
            remedy: "raise weft.dev/proxy-memory-limit".to_owned(),
        }),
        false => Ok(knobs),
    }
}

/// A warning for each name of ours that nobody reads.
pub(super) fn unknown(pod: &Pod) -> Vec<String> {
    let bookkeeping = [INJECT, INJECTED, INJECTED_BY, INJECTED_METADATA];
    let known = |name: &str| {
        bookkeeping.contains(&name) || ANNOTATIONS.iter().any(|known| known.name == name)
    };
    let annotations = pod.metadata.annotations.iter().flatten().map(|(name, _)| name);
    let unknown = annotations.filter(|name| name.starts_with(OURS) && !known(name));
    let mut warnings: Vec<String> = unknown
        .map(|name| {
            let hint =
                nearest(name).map_or_else(String::new, |near| format!("; did you mean {near}?"));
            format!("{}: Weft knows no such annotation, it has no effect{hint}", field(name))
        })
        .collect();
    let labels = pod.metadata.labels.iter().flatten().map(|(name, _)| name);
    let misplaced = labels.filter(|name| ANNOTATIONS.iter().any(|known| known.name == *name));
    warnings.extend(misplaced.map(|name| {
        format!("metadata.labels[{name}]: has no effect as a label; make it an annotation")
    }));
    warnings
}

/// Path of an annotation, for people.
pub(super) fn field(name: &str) -> String {
    format!("metadata.annotations[{name}]")
}

/// The known name that a typing error most likely meant.
fn nearest(name: &str) -> Option<&'static str> {
    let distances = ANNOTATIONS.iter().map(|known| (distance(name, known.name), known.name));
    distances.min().filter(|(distance, _)| *distance <= 3).map(|(_, name)| name)
}

/// How many letters have to be added, removed or replaced. Names are at most 317 letters long.
fn distance(left: &str, right: &str) -> usize {
    let right = right.as_bytes();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (line, letter) in left.bytes().enumerate() {
        let mut before = line;
        row[0] = line + 1;
        for (column, other) in right.iter().enumerate() {
            let replaced = before + usize::from(letter != *other);
            before = row[column + 1];
            row[column + 1] = replaced.min(before + 1).min(row[column] + 1);
        }
    }
    row[right.len()]
}

#[cfg(test)]
mod tests;

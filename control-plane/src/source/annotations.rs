//! `metadata.annotations` that Weft reads. Called by `metadata` for every object; others' annotations mean nothing here.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use super::problem::Problems;

/// Ports that carry opaque bytes, whatever else is said of them: `25,3306,5000-5010`. Of a Service or a workload.
const OPAQUE_PORTS: &str = "weft.dev/opaque-ports";
/// Bound: entries of one list.
const MOST: usize = 256;

/// What they say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Annotations {
    opaque: Vec<RangeInclusive<u16>>,
}

impl Annotations {
    /// Is this port declared as opaque?
    pub(crate) fn is_opaque(&self, port: u16) -> bool {
        self.opaque.iter().any(|range| range.contains(&port))
    }

    /// The ports that are named one by one.
    pub(crate) fn opaque_ports(&self) -> impl Iterator<Item = u16> {
        let single = self.opaque.iter().filter(|range| range.start() == range.end());
        single.map(|range| *range.start())
    }
}

/// Reads them.
pub(crate) fn read(written: &BTreeMap<String, String>, problems: &mut Problems) -> Annotations {
    let Some(text) = written.get(OPAQUE_PORTS) else { return Annotations::default() };
    let parts: Vec<&str> = text.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let field = format!("metadata.annotations[{OPAQUE_PORTS}]");
    if parts.len() > MOST {
        problems.invalid(&*field, format!("{} entries, at most {MOST}: use ranges", parts.len()));
    }
    let mut opaque = Vec::new();
    for part in parts.into_iter().take(MOST) {
        match range(part) {
            Some(range) => opaque.push(range),
            None => problems.invalid_hint(
                &*field,
                format!("{part:?} is neither a port nor a range of ports"),
                "write it like 25,3306,5000-5010",
            ),
        }
    }
    Annotations { opaque }
}

fn range(text: &str) -> Option<RangeInclusive<u16>> {
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let port = |text: &str| text.trim().parse().ok().filter(|port| *port != 0);
    let (first, last) = (port(first)?, port(last)?);
    (first <= last).then_some(first..=last)
}

#[cfg(test)]
mod tests;

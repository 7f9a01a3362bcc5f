//! Durations as the Gateway API writes them (GEP-2257): `1h30m`, `500ms`; whole numbers, no sign, at most
//! five digits each, units `h m s ms`.

#[cfg(test)]
mod tests;

use std::time::Duration;

use super::problem::Problems;

/// What to write instead.
const HINT: &str = "write a duration like 500ms, 10s or 1m30s: whole numbers of at most five digits with h, m, s or ms";

/// Reads one; `None` if it is none.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let mut rest = text;
    let mut total = Duration::ZERO;
    let mut parts = 0;
    while !rest.is_empty() {
        let digits = rest.find(|letter: char| !letter.is_ascii_digit())?;
        let number: u64 = rest[..digits].parse().ok().filter(|_| (1..=5).contains(&digits))?;
        let tail = &rest[digits..];
        let unit = tail.find(|letter: char| letter.is_ascii_digit()).unwrap_or(tail.len());
        total += match &tail[..unit] {
            "h" => Duration::from_secs(number * 3600),
            "m" => Duration::from_secs(number * 60),
            "s" => Duration::from_secs(number),
            "ms" => Duration::from_millis(number),
            _ => return None,
        };
        rest = &tail[unit..];
        parts += 1;
    }
    // Bound: the pattern of GEP-2257 has at most four parts.
    (1..=4).contains(&parts).then_some(total)
}

/// Reads a field that may be absent; tells what is wrong with it.
pub(crate) fn optional(
    text: Option<&str>,
    field: &str,
    problems: &mut Problems,
) -> Option<Duration> {
    let text = text?;
    let duration = parse(text);
    if duration.is_none() {
        problems.invalid_hint(field, format!("{text:?} is not a duration"), HINT);
    }
    duration
}

/// Reads a field that must be more than zero where it is present.
pub(crate) fn positive(
    text: Option<&str>,
    field: &str,
    problems: &mut Problems,
) -> Option<Duration> {
    let duration = optional(text, field, problems)?;
    if duration.is_zero() {
        problems.invalid(field, "must be more than zero");
    }
    Some(duration)
}

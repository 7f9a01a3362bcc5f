//! Durations as people type them: `20s`, `1m30s`, `500ms`. Used by `args`.

use std::time::Duration;

/// Reads a duration made of hours, minutes, seconds and milliseconds, each at most once a part.
///
/// # Errors
/// What is wrong, in words for the person who typed it.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is not a duration such as 20s, 500ms or 1m30s");
    let mut rest = text;
    let mut total = Duration::ZERO;
    if rest.is_empty() {
        return Err(wrong());
    }
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, tail) = rest.split_at(digits);
        let letters = tail.find(|c: char| c.is_ascii_digit()).unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(letters);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let milliseconds = match unit {
            "ms" => Some(number),
            "s" => number.checked_mul(1000),
            "m" => number.checked_mul(60_000),
            "h" => number.checked_mul(3_600_000),
            _ => None,
        };
        let part = Duration::from_millis(milliseconds.ok_or_else(wrong)?);
        total = total.checked_add(part).ok_or_else(wrong)?;
        rest = tail;
    }
    Ok(total)
}

/// Over what time `weft stat` measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Window {
    /// The last so many seconds, at least one.
    Seconds(u64),
    /// Since the control plane started.
    All,
}

impl Window {
    /// Reads `10s` or `all`.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        if text == "all" {
            return Ok(Self::All);
        }
        match duration(text)?.as_secs() {
            0 => Err("the window must be a second or more".to_owned()),
            seconds => Ok(Self::Seconds(seconds)),
        }
    }

    /// The value of `window=` on the control plane's admin socket.
    pub(crate) fn query(self) -> String {
        match self {
            Self::Seconds(seconds) => seconds.to_string(),
            Self::All => "all".to_owned(),
        }
    }
}

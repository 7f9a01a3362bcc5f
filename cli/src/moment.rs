//! Points in time as the admin sockets write them, RFC 3339 or seconds since 1970, and spans for people.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// A point in time, to the second.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Moment(i64);

impl Moment {
    /// The machine's clock.
    pub(crate) fn now() -> Self {
        let seconds =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }

    /// So many seconds after 1970 began.
    pub(crate) fn at(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Reads what an admin socket wrote; `None` for anything else.
    pub(crate) fn read(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => {
                #[allow(
                    clippy::cast_possible_truncation,
                    reason = "saturates, and seconds are enough"
                )]
                let seconds = number.as_f64()? as i64;
                Some(Self(seconds))
            }
            Value::String(text) => {
                OffsetDateTime::parse(text, &Rfc3339).ok().map(|at| Self(at.unix_timestamp()))
            }
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// For people: RFC 3339 in UTC.
    pub(crate) fn shown(self) -> String {
        let at = OffsetDateTime::from_unix_timestamp(self.0).ok();
        at.and_then(|at| at.format(&Rfc3339).ok()).unwrap_or_else(|| self.0.to_string())
    }

    /// How long it is from `earlier` to this; `None` if it came before.
    pub(crate) fn since(self, earlier: Self) -> Option<Duration> {
        u64::try_from(self.0.checked_sub(earlier.0)?).ok().map(Duration::from_secs)
    }
}

/// A span in the largest unit that says enough: `23h`, `90s`.
pub(crate) fn shown_span(span: Duration) -> String {
    match span.as_secs() {
        seconds @ 0..120 => format!("{seconds}s"),
        seconds @ 120..7200 => format!("{}m", seconds / 60),
        seconds @ 7200..172_800 => format!("{}h", seconds / 3600),
        seconds => format!("{}d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests;

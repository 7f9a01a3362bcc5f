//! Times as certificates have them: whole seconds since 1970.
//!
//! Used by everything in this crate that compares or prints a validity. X.509 has no fractions of a
//! second, and rustls compares whole seconds, so we do too: a certificate is good through the whole
//! of its last second.

use std::time::{Duration, SystemTime};

use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

/// Whole seconds since 1970, rounded down; negative before it. Saturates.
pub(crate) fn unix(time: SystemTime) -> i64 {
    match time.duration_since(SystemTime::UNIX_EPOCH) {
        Ok(after) => i64::try_from(after.as_secs()).unwrap_or(i64::MAX),
        Err(before) => {
            let before = before.duration();
            let partial = i64::from(before.subsec_nanos() > 0);
            i64::try_from(before.as_secs()).map_or(i64::MIN, |secs| -secs - partial)
        }
    }
}

/// The inverse of [`unix`]; a time beyond what the system can express becomes 1970.
pub(crate) fn system(unix: i64) -> SystemTime {
    let distance = Duration::from_secs(unix.unsigned_abs());
    let time = if unix < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(distance)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(distance)
    };
    time.unwrap_or(SystemTime::UNIX_EPOCH)
}

/// As certificates are written; `None` outside the years that X.509 can express (0 to 9999).
pub(crate) fn calendar(unix: i64) -> Option<OffsetDateTime> {
    OffsetDateTime::from_unix_timestamp(unix).ok().filter(|date| (0..=9999).contains(&date.year()))
}

/// For messages: RFC 3339 in UTC.
pub(crate) fn show(time: SystemTime) -> String {
    let unix = unix(time);
    calendar(unix)
        .and_then(|date| date.format(&Rfc3339).ok())
        .unwrap_or_else(|| format!("{unix} seconds since 1970"))
}

#[cfg(test)]
mod tests;

//! How long a gRPC call may take, as `grpc-timeout` says it: at most eight digits and a unit. Pure. Read by
//! `outbound` and `inbound`; written by `outbound` with what is left, so that each hop has less.

use std::time::Duration;

use http::HeaderMap;
use http::header::{HeaderName, HeaderValue};

use crate::headers::unique;

const GRPC_TIMEOUT: HeaderName = HeaderName::from_static("grpc-timeout");
/// Eight digits.
const MOST: u128 = 99_999_999;

/// What the call says; `None` if nothing, or nothing valid.
#[must_use]
pub fn asked(headers: &HeaderMap) -> Option<Duration> {
    let (unit, digits) = headers.get(GRPC_TIMEOUT)?.as_bytes().split_last()?;
    if !(1..=8).contains(&digits.len()) || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let number: u64 = std::str::from_utf8(digits).ok()?.parse().ok()?;
    Some(match unit {
        b'H' => Duration::from_secs(number * 3600),
        b'M' => Duration::from_secs(number * 60),
        b'S' => Duration::from_secs(number),
        b'm' => Duration::from_millis(number),
        b'u' => Duration::from_micros(number),
        b'n' => Duration::from_nanos(number),
        _ => return None,
    })
}

/// Says how much is left, in the finest unit that can; never more than there is.
pub fn announce(headers: &mut HeaderMap, left: Duration) {
    let (nanos, micros, millis) = (left.as_nanos(), left.as_micros(), left.as_millis());
    let (number, unit) = if nanos <= MOST {
        (nanos, 'n')
    } else if micros <= MOST {
        (micros, 'u')
    } else if millis <= MOST {
        (millis, 'm')
    } else {
        (u128::from(left.as_secs()).min(MOST), 'S')
    };
    if let Ok(value) = HeaderValue::try_from(format!("{number}{unit}")) {
        headers.insert(GRPC_TIMEOUT, unique(value));
    }
}

#[cfg(test)]
mod tests;

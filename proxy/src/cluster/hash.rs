//! The key of a request for the hash ring, by the cluster's policies; the same number as Envoy's. Called by
//! `outbound` once for a request, after the headers were changed as its rule says, and for an opaque connection.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{COOKIE, HeaderName};
use twox_hash::XxHash64;

use crate::model::{HashPolicy, HashSource};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");

/// Policies in order, each that yields a value turns what was found before by one bit and mixes its own in; a
/// terminal one ends that. `None`: none yielded a value, and the choice is random.
#[must_use]
pub fn hash(
    policies: &[HashPolicy],
    headers: Option<&HeaderMap>,
    client: SocketAddr,
) -> Option<u64> {
    let mut hash: Option<u64> = None;
    for policy in policies {
        let found = match (&policy.source, headers) {
            (HashSource::Header(name), Some(headers)) => of_header(headers, name),
            (HashSource::Cookie(name), Some(headers)) => {
                cookie(headers, name).map(|value| of_bytes(value.as_bytes()))
            }
            (HashSource::Header(_) | HashSource::Cookie(_), None) => None,
            (HashSource::SourceAddress, headers) => Some(of_address(headers, client)),
        };
        if let Some(found) = found {
            hash = Some(hash.map_or(0, |hash| hash.rotate_left(1)) ^ found);
        }
        if policy.terminal && hash.is_some() {
            break;
        }
    }
    hash
}

fn of_bytes(bytes: &[u8]) -> u64 {
    XxHash64::oneshot(0, bytes)
}

/// All values of the header, sorted, each hashed with the hash of the one before as its seed.
fn of_header(headers: &HeaderMap, name: &HeaderName) -> Option<u64> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    let Some(second) = values.next() else { return Some(of_bytes(first.as_bytes())) };
    let mut all = vec![first.as_bytes(), second.as_bytes()];
    all.extend(values.map(http::HeaderValue::as_bytes));
    all.sort_unstable();
    Some(all.into_iter().fold(0, XxHash64::oneshot))
}

/// The value of a cookie, without the quotes it may have; `None` if it is absent or empty.
#[must_use]
pub fn cookie<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    let lines = headers.get_all(COOKIE).iter().filter_map(|line| line.to_str().ok());
    let pairs = lines.flat_map(|line| line.split(';')).filter_map(|pair| pair.split_once('='));
    let (_, value) = { pairs }.find(|(key, _)| key.trim() == name)?;
    let value = value.trim();
    let quoted = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'));
    Some(quoted.unwrap_or(value)).filter(|value| !value.is_empty())
}

/// Whom the application speaks for: the last address of `x-forwarded-for`, else its own.
fn of_address(headers: Option<&HeaderMap>, client: SocketAddr) -> u64 {
    let forwarded = headers.and_then(|headers| headers.get_all(FORWARDED_FOR).iter().next_back());
    let last =
        forwarded.and_then(|line| line.to_str().ok()?.rsplit(',').next()?.trim().parse().ok());
    let address: IpAddr = last.unwrap_or_else(|| client.ip().to_canonical());
    of_bytes(address.to_string().as_bytes())
}

#[cfg(test)]
mod tests;

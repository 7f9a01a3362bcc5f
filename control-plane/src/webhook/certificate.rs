//! From the Secret to the certificate in force, and whether it is time for another. Decides only.
//!
//! Called by `secret`. What is in the Secret is either whole and for a while yet, or it is replaced: nothing else depends
//! on it, as `configuration` tells the API server at once whom to believe.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use k8s_openapi::ByteString;
use weft_certs::{ServingAuthorities, ServingCertificate, ServingError};

/// A year.
const LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Bound: CAs in the bundle. Each is believed for at most a third of its life after the next one came.
const MOST_AUTHORITIES: usize = 4;

/// What the Secret holds.
#[derive(Debug)]
pub(super) struct Held {
    /// The port's certificate.
    pub(super) certificate: ServingCertificate,
    /// Whom the API server has to believe, PEM.
    pub(super) bundle: String,
    /// When another is made.
    pub(super) renew_at: SystemTime,
    /// Its last second.
    pub(super) not_after: SystemTime,
}

/// What to do about a Secret.
#[derive(Debug)]
pub(super) enum Verdict {
    /// It is good.
    Keep(Arc<Held>),
    /// It has to be replaced by these data, because of what it says.
    Replace(BTreeMap<String, ByteString>, &'static str),
}

/// Judges what a Secret holds; `None` is no Secret.
///
/// # Errors
/// If a certificate is needed and cannot be made.
pub(super) fn judge(
    data: Option<&BTreeMap<String, ByteString>>,
    names: &[String],
    now: SystemTime,
) -> Result<Verdict, ServingError> {
    let Some(data) = data else {
        return Ok(Verdict::Replace(make(names, None, now)?, "there is none"));
    };
    let held = match read(data) {
        Ok(held) => held,
        Err(_broken) => {
            return Ok(Verdict::Replace(make(names, Some(data), now)?, "it is damaged"));
        }
    };
    let why = if now >= held.renew_at {
        "it is in the last third of its life"
    } else if !held.certificate.is_for(names)? {
        "it is for other names"
    } else {
        return Ok(Verdict::Keep(Arc::new(held)));
    };
    Ok(Verdict::Replace(make(names, Some(data), now)?, why))
}

fn read(data: &BTreeMap<String, ByteString>) -> Result<Held, ServingError> {
    let certificate = ServingCertificate::from_pem(text(data, "tls.crt"), text(data, "tls.key"))?;
    let bundle = text(data, "ca.crt").to_owned();
    if !ServingAuthorities::from_pem(&bundle)?.signed(&certificate) {
        return Err(ServingError::KeyMismatch);
    }
    let (not_before, not_after) = certificate.validity()?;
    let life = not_after.duration_since(not_before).unwrap_or(Duration::ZERO);
    Ok(Held { certificate, bundle, renew_at: not_before + life * 2 / 3, not_after })
}

/// Something that is not there is the empty text, which is no PEM.
fn text<'a>(data: &'a BTreeMap<String, ByteString>, key: &str) -> &'a str {
    data.get(key).and_then(|bytes| std::str::from_utf8(&bytes.0).ok()).unwrap_or_default()
}

fn make(
    names: &[String],
    before: Option<&BTreeMap<String, ByteString>>,
    now: SystemTime,
) -> Result<BTreeMap<String, ByteString>, ServingError> {
    let (certificate, authority) = ServingCertificate::create(names, LIFE, now)?;
    let earlier = before.map(|data| text(data, "ca.crt")).unwrap_or_default();
    // What cannot be read vouches for nothing.
    let earlier = ServingAuthorities::from_pem(earlier).unwrap_or_default();
    let authorities = authority.followed_by(earlier, now, MOST_AUTHORITIES);
    let bytes = |text: String| ByteString(text.into_bytes());
    Ok(BTreeMap::from([
        ("tls.crt".to_owned(), bytes(certificate.certificate_pem())),
        ("tls.key".to_owned(), bytes(String::clone(&certificate.key_pem()))),
        ("ca.crt".to_owned(), bytes(authorities.to_pem())),
    ]))
}

#[cfg(test)]
mod tests;

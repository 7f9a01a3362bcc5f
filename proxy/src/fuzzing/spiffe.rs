//! SPIFFE ids against the grammar of the specification (SPIFFE-ID §2) as it stands there, and Weft's two names in the path.

use weft_certs::SpiffeId;

/// What is taken is what the grammar has, is printed as it was written, and is read again the same.
pub fn spiffe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    let read = SpiffeId::parse(text);
    assert_eq!(read.is_ok(), is_one(text), "{text:?}: {read:?}");
    let Ok(id) = read else { return };
    assert_eq!(id.as_str(), text);
    let parts = (id.trust_domain().as_str(), id.namespace(), id.service_account());
    assert_eq!(format!("spiffe://{}/ns/{}/sa/{}", parts.0, parts.1, parts.2), text);
}

fn is_one(text: &str) -> bool {
    let Some(rest) = text.strip_prefix("spiffe://") else { return false };
    let parts: Vec<&str> = rest.split('/').collect();
    let [domain, "ns", namespace, "sa", account] = parts[..] else { return false };
    let of_domain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-".contains(c);
    let of_path = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
    let segment =
        |segment: &str| !matches!(segment, "" | "." | "..") && segment.chars().all(of_path);
    text.len() <= 2048
        && (1..=255).contains(&domain.len())
        && domain.chars().all(of_domain)
        && segment(namespace)
        && segment(account)
}

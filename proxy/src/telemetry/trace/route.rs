//! Which rule led a request to its receiver. Routes are the caller's affair, so its sidecar tells the receiver's, in a
//! header of a sampled request: the SERVER span is then called like the CLIENT span that it belongs to.
//!
//! [`value`] is made once for a rule; `record` writes it and reads it as [`Told`]. Read only over mutual TLS, and never
//! passed on to an application ([`crate::headers::remove_trusted`]).

use http::header::{HeaderMap, HeaderValue};

use crate::headers::ROUTE;

/// Bound: of what is told, bytes. Beyond it nothing is.
const MAX: usize = 1024;

/// What is told of a rule: `{object} {path pattern}`; `None` if that is no header's value.
pub(crate) fn value(origin: &str, pattern: Option<&str>) -> Option<HeaderValue> {
    let text = format!("{origin} {}", pattern.unwrap_or_default());
    if origin.is_empty() || text.len() > MAX {
        return None;
    }
    HeaderValue::try_from(text).ok()
}

/// What the caller's sidecar says.
#[derive(Debug)]
pub(super) struct Told(HeaderValue);

impl Told {
    /// Takes it off the headers.
    pub(super) fn take(headers: &mut HeaderMap) -> Option<Self> {
        let value = headers.remove(ROUTE)?;
        (value.len() <= MAX && value.to_str().is_ok()).then_some(Self(value))
    }

    fn parts(&self) -> (&str, &str) {
        let text = self.0.to_str().unwrap_or_default();
        text.split_once(' ').unwrap_or((text, ""))
    }

    /// The route object as `Kind/namespace/name#rule`.
    pub(super) fn origin(&self) -> &str {
        self.parts().0
    }

    /// The rule's path pattern; `None` if it takes every path.
    pub(super) fn pattern(&self) -> Option<&str> {
        Some(self.parts().1).filter(|pattern| !pattern.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_told_is_understood() {
        let long = "/a".repeat(MAX);
        for (origin, pattern, understood) in [
            ("HTTPRoute/shop/items#0", Some("/items/*"), true),
            ("HTTPRoute/shop/items#0", Some("/a b(c|d) e"), true),
            ("Service/shop/product", None, true),
            ("", Some("/items/*"), false),
            ("HTTPRoute/shop/items#0", Some("/ü\n"), false),
            ("HTTPRoute/shop/items#0", Some(long.as_str()), false),
        ] {
            let value = value(origin, pattern);
            assert_eq!(value.is_some(), understood, "{origin} {pattern:?}");
            let Some(value) = value else { continue };
            let mut headers = HeaderMap::from_iter([(ROUTE, value)]);
            let told = Told::take(&mut headers).unwrap();
            assert_eq!((told.origin(), told.pattern()), (origin, pattern));
            assert!(headers.is_empty());
        }
    }

    #[test]
    fn what_no_sidecar_says_is_left_out() {
        let long = "a".repeat(MAX + 1);
        for odd in [long.as_bytes(), b"a\xff b", b""] {
            let mut headers =
                HeaderMap::from_iter([(ROUTE, HeaderValue::from_bytes(odd).unwrap())]);
            let told = Told::take(&mut headers);
            assert!(told.is_none_or(|told| told.pattern().is_none()), "{odd:?}");
        }
    }
}

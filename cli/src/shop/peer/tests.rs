//! What is passed on.

use super::*;

#[test]
fn trace_headers_are_passed_on_and_nothing_else() {
    let mut inbound = HeaderMap::new();
    for name in TRACE_HEADERS {
        inbound.append(name, "one".parse().unwrap());
    }
    inbound.append("baggage", "two".parse().unwrap());
    inbound.append("cookie", "secret".parse().unwrap());
    inbound.append("content-length", "7".parse().unwrap());

    let mut outbound = HeaderMap::new();
    pass_on(&inbound, &mut outbound);
    assert_eq!(outbound.keys_len(), TRACE_HEADERS.len());
    assert_eq!(outbound.get_all("baggage").iter().count(), 2);
}

#[test]
fn a_base_that_is_no_http_url_is_refused() {
    for base in ["", "127.0.0.1:80", "https://x", "/path"] {
        assert!(Peer::new(base).is_err(), "{base}");
    }
}

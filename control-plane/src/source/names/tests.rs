//! Each rule at its borders.

use super::*;

#[test]
fn labels_and_subdomains() {
    let long = "a".repeat(63);
    for good in ["a", "a-b", "0a", long.as_str()] {
        assert!(is_label(good), "{good}");
    }
    let longer = "a".repeat(64);
    for bad in ["", "-a", "a-", "A", "a.b", "a_b", "ä", longer.as_str()] {
        assert!(!is_label(bad), "{bad}");
    }
    assert!(is_subdomain("a.b-c.d") && is_subdomain("a"));
    assert!(!is_subdomain("a..b") && !is_subdomain(".a") && !is_subdomain("a."));
    assert!(!is_subdomain(&[long.as_str(); 5].join(".")));
}

#[test]
fn hostnames() {
    for good in ["example.com", "localhost", "*.example.com", "*.com"] {
        assert!(is_hostname(good, true), "{good}");
    }
    for bad in [
        "",
        "*",
        "*.",
        "a.*.com",
        "*.*.com",
        "Example.com",
        "10.0.0.1",
        "*.10.0.0.1",
        "::1",
        "a:80",
        "a/b",
    ] {
        assert!(!is_hostname(bad, true), "{bad}");
    }
    assert!(!is_hostname("*.example.com", false));
}

#[test]
fn port_names_and_tokens() {
    for good in ["http", "http-2", "2h"] {
        assert!(is_port_name(good), "{good}");
    }
    for bad in ["80", "a--b", "sixteen-letters-", "a-very-long-name", ""] {
        assert!(!is_port_name(bad), "{bad}");
    }
    assert!(is_token("X-User_id!") && is_token(&"a".repeat(256)));
    assert!(!is_token("") && !is_token("a b") && !is_token(":path") && !is_token(&"a".repeat(257)));
}

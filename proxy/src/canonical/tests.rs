//! What is let through, and as what.

use http::{Request, Version};

use super::{canonicalise, host};

fn request(version: Version, target: &str, hosts: &[&str]) -> Request<()> {
    let mut request = Request::builder().version(version).uri(target);
    for host in hosts {
        request = request.header("host", *host);
    }
    request.body(()).unwrap()
}

#[test]
fn requests_that_read_two_ways_are_refused() {
    let cases = [
        (Version::HTTP_11, "/", &[][..]),
        (Version::HTTP_11, "/", &["a", "a"]),
        (Version::HTTP_11, "http://a/", &["b"]),
        (Version::HTTP_2, "http://a/", &["b"]),
        (Version::HTTP_2, "/", &[]),
    ];
    for (version, target, hosts) in cases {
        let mut request = request(version, target, hosts);
        assert!(canonicalise(&mut request).is_err(), "{version:?} {target} {hosts:?}");
    }
}

#[test]
fn targets_come_out_in_one_form() {
    let mut absolute = request(Version::HTTP_11, "http://a:80/x?y", &["A:80"]);
    canonicalise(&mut absolute).unwrap();
    assert_eq!(absolute.uri(), "/x?y");
    assert_eq!(absolute.headers()["host"], "a:80");
    let mut h2 = request(Version::HTTP_2, "/x", &["a"]);
    canonicalise(&mut h2).unwrap();
    assert_eq!(h2.uri(), "http://a/x");
    assert!(!h2.headers().contains_key("host"));
}

#[test]
fn hosts_for_routing() {
    for (written, expected) in [
        ("Shop.Example:80", "shop.example"),
        ("a.", "a"),
        ("[::1]:80", "[::1]"),
        ("[::1]", "[::1]"),
    ] {
        assert_eq!(host(&request(Version::HTTP_11, "/", &[written])), expected);
    }
}

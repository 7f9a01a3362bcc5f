//! What is let through, and as what.

use http::{Method, Request, Version};

use super::{canonicalise, host};

mod one_form;

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
        (Version::HTTP_11, "/", &["a", "b"]),
        (Version::HTTP_11, "/", &[""]),
        (Version::HTTP_11, "/", &["a,b"]),
        (Version::HTTP_11, "/", &["user@a"]),
        (Version::HTTP_11, "http://a/", &["b"]),
        (Version::HTTP_11, "http://a/", &[]),
        (Version::HTTP_11, "http://user@a/", &["user@a"]),
        (Version::HTTP_11, "ftp://a/", &["a"]),
        (Version::HTTP_11, "a:80", &["a:80"]),
        (Version::HTTP_11, "*", &["a"]),
        (Version::HTTP_11, "/a%00", &["a"]),
        (Version::HTTP_10, "/", &["a", "a"]),
        (Version::HTTP_2, "http://a/", &["b"]),
        (Version::HTTP_2, "http://a/", &["a", "a"]),
        (Version::HTTP_2, "http://user@a/", &[]),
        (Version::HTTP_2, "/", &[]),
    ];
    for (version, target, hosts) in cases {
        let mut request = request(version, target, hosts);
        assert!(canonicalise(&mut request, "x").is_err(), "{version:?} {target} {hosts:?}");
    }
}

#[test]
fn methods() {
    let with = |method: &str| {
        let mut request = request(Version::HTTP_11, "/", &["a"]);
        *request.method_mut() = Method::from_bytes(method.as_bytes()).unwrap();
        canonicalise(&mut request, "x")
    };
    for method in ["get", "Post", "CONNECT", "PATCh"] {
        assert!(with(method).is_err(), "{method}");
    }
    for method in ["GET", "PURGE", "M-SEARCH", "TRACE"] {
        assert!(with(method).is_ok(), "{method}");
    }
    let mut options = request(Version::HTTP_11, "*", &["a"]);
    *options.method_mut() = Method::OPTIONS;
    canonicalise(&mut options, "x").unwrap();
    assert_eq!(options.uri(), "*");
}

#[test]
fn headers_that_read_two_ways() {
    let with = |headers: &[(&str, &str)]| {
        let mut request = request(Version::HTTP_11, "/", &["a"]);
        for (name, value) in headers {
            let name = http::HeaderName::try_from(*name).unwrap();
            request.headers_mut().append(name, value.parse().unwrap());
        }
        canonicalise(&mut request, "x")
    };
    for bad in [
        &[("transfer-encoding", "gzip, chunked")][..],
        &[("transfer-encoding", "chunked, chunked")],
        &[("transfer-encoding", ",chunked")],
        &[("transfer-encoding", "CHUNKED")],
        &[("transfer-encoding", "chunked"), ("transfer-encoding", "chunked")],
        &[("content-length", "1"), ("content-length", "1")],
        &[("x_forwarded_for", "1.2.3.4")],
        &[("x_forwarded_client-cert", "By=x")],
        &[("weft_failure", "unprocessed")],
        &[("x-envoy_original-path", "/")],
        &[("proxy_status", "weft")],
        &[("content_length", "3")],
        &[("connection", "close, host")],
        &[("connection", "close"), ("connection", "X-Forwarded-For")],
    ] {
        assert!(with(bad).is_err(), "{bad:?}");
    }
    for good in [
        &[("transfer-encoding", "chunked")][..],
        &[("x_user_id", "7"), ("my_header", "a")],
        &[("connection", "keep-alive, x-mine")],
        &[("x-forwarded-for", "1.2.3.4")],
    ] {
        assert!(with(good).is_ok(), "{good:?}");
    }
}

#[test]
fn targets_come_out_in_one_form() {
    let mut absolute = request(Version::HTTP_11, "http://a:80/x/../y?z/../", &["A:80"]);
    canonicalise(&mut absolute, "x").unwrap();
    assert_eq!(absolute.uri(), "/y?z/../");
    assert_eq!(absolute.headers()["host"], "a:80");
    let mut h2 = request(Version::HTTP_2, "/x", &["a"]);
    canonicalise(&mut h2, "x").unwrap();
    assert_eq!(h2.uri(), "http://a/x");
    assert!(!h2.headers().contains_key("host"));
    let mut dots = request(Version::HTTP_2, "http://a//x/%2e%2e/y", &["A"]);
    canonicalise(&mut dots, "x").unwrap();
    assert_eq!(dots.uri(), "http://a/y");
    let mut old = request(Version::HTTP_10, "/x", &[]);
    canonicalise(&mut old, "product.shop:8080").unwrap();
    assert_eq!(
        (old.version(), &old.headers()["host"]),
        (Version::HTTP_11, &"product.shop:8080".parse().unwrap())
    );
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

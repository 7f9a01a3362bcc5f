//! The cookie against what Envoy 1.40 wrote and took, and what a client can do with one.

use std::time::{Duration, SystemTime};

use base64::Engine as _;
use http::{HeaderMap, Request};
use proptest::prelude::*;

use super::{STANDARD, Session, concerns, read, write};
use crate::model::SessionAffinity;

fn settings(ttl: Option<u64>, path: &str) -> SessionAffinity {
    let ttl = ttl.map(Duration::from_secs);
    SessionAffinity { cookie: "weft-affinity".to_owned(), path: path.to_owned(), ttl }
}

/// When Envoy wrote the cookie below, with a life of an hour.
const WRITTEN: u64 = 1_795_258_188;

fn at(seconds: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(seconds)
}

#[test]
fn the_cookie_is_envoys() {
    let endpoint = ([127, 77, 0, 1], 9100).into();
    assert_eq!(
        write(&settings(Some(3600), "/"), endpoint, at(WRITTEN)),
        "weft-affinity=\"Cg8xMjcuNzcuMC4xOjkxMDAQ3IqG2AY=\"; Max-Age=3600; Path=/; HttpOnly"
    );
    let endpoint = ([127, 77, 0, 2], 9100).into();
    assert_eq!(
        write(&settings(None, ""), endpoint, at(WRITTEN)),
        "weft-affinity=\"Cg8xMjcuNzcuMC4yOjkxMDA=\"; HttpOnly"
    );
}

#[test]
fn what_envoy_takes_is_taken() {
    let second = Some(([127, 77, 0, 2], 9100).into());
    for (cookie, expected) in [
        ("Cg8xMjcuNzcuMC4yOjkxMDA=", second),
        ("MTI3Ljc3LjAuMjo5MTAw", second),
        ("Cg8xMjcuNzcuMC4yOjkxMDAQ/////w8=", second),
        // Without its padding, over since 1970, not Base64.
        ("Cg8xMjcuNzcuMC4yOjkxMDA", None),
        ("Cg8xMjcuNzcuMC4yOjkxMDAQAQ==", None),
        ("garbage", None),
        ("", None),
    ] {
        assert_eq!(read(cookie, at(WRITTEN)), expected, "{cookie}");
    }
}

#[test]
fn a_cookie_is_good_for_its_life() {
    let cookie = "Cg8xMjcuNzcuMC4xOjkxMDAQ3IqG2AY=";
    assert!(read(cookie, at(WRITTEN + 3600)).is_some());
    assert!(read(cookie, at(WRITTEN + 3601)).is_none());
}

#[test]
fn only_paths_below_the_cookies_are_concerned() {
    for (cookie, path, expected) in [
        ("/", "/a", true),
        ("", "/a", true),
        ("/a", "/a", true),
        ("/a", "/a/b", true),
        ("/a", "/a?x", true),
        ("/a", "/ab", false),
        ("/a/", "/a", false),
        ("/a/", "/a/b", true),
        ("/a", "/", false),
    ] {
        assert_eq!(concerns(cookie, path), expected, "{cookie} {path}");
    }
    let elsewhere = settings(None, "/a");
    let request = Request::get("/b").body(()).unwrap();
    assert!(Session::of(Some(&elsewhere), &request).is_none());
}

#[test]
fn a_client_that_knows_is_not_told_again() {
    let settings = settings(None, "/");
    let request = Request::get("/")
        .header("cookie", "a=b; weft-affinity=\"Cg8xMjcuNzcuMC4yOjkxMDA=\"")
        .body(())
        .unwrap();
    let session = Session::of(Some(&settings), &request).unwrap();
    let mut headers = HeaderMap::new();
    session.keep(([127, 77, 0, 2], 9100).into(), &mut headers);
    assert!(headers.is_empty());
    headers.insert("set-cookie", "application=1".parse().unwrap());
    session.keep(([127, 77, 0, 3], 9100).into(), &mut headers);
    assert_eq!(headers.get_all("set-cookie").iter().count(), 2, "the application's own stays");
}

proptest! {
    #[test]
    fn what_is_written_is_read(address in any::<[u8; 4]>(), port in 1_u16.., six in any::<bool>()) {
        let v4 = std::net::Ipv4Addr::from(address);
        let ip = if six { v4.to_ipv6_mapped().into() } else { v4.into() };
        let endpoint = std::net::SocketAddr::new(ip, port);
        let cookie = write(&settings(Some(9), "/"), endpoint, at(WRITTEN));
        let value = cookie.split('"').nth(1).unwrap();
        prop_assert_eq!(read(value, at(WRITTEN)), Some(endpoint));
    }

    #[test]
    fn nothing_that_a_client_sends_does_harm(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        let _ = read(&STANDARD.encode(&bytes), at(WRITTEN));
        let _ = read(&String::from_utf8_lossy(&bytes), at(WRITTEN));
    }
}

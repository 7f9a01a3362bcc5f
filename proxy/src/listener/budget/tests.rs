//! Who is let in under which load, and what heads cost.

use http::{HeaderName, HeaderValue};

use super::*;

const MIB: usize = 1 << 20;

#[test]
fn a_stream_is_taken_while_its_headers_fit_and_all_have_room_or_it_is_among_few() {
    let cases = [
        // Headers and all that is held of this connection, of all; the new one's headers; taken?
        ((0, 0, 0), 100, true),
        ((MIB - 100, MIB, MIB), 100, true),
        ((MIB - 100, MIB, MIB), 101, false),
        ((0, 0, 0), MIB + 1, false),
        // All have too much: who has little is served.
        ((0, 0, 16 * MIB), 100, true),
        ((0, SHARE - STREAM - 100, 16 * MIB), 100, true),
        ((0, SHARE - STREAM - 100, 16 * MIB), 101, false),
        ((100, 200_000, 16 * MIB - STREAM - 100), 100, true),
        ((100, 200_000, 16 * MIB - STREAM - 100), 101, false),
    ];
    for ((headers, held, all), more, expected) in cases {
        let load = Load { headers, held, all };
        assert_eq!(load.admits(more, MIB, 16 * MIB), expected, "{load:?} and {more}");
    }
}

#[test]
fn what_is_held_is_counted_for_one_and_for_all_until_it_is_dropped() {
    let limits = HttpLimits::default();
    let (one, other) = (Account::new(&limits), Account::new(&limits));
    let stream = Held::stream(&one);
    let headers = Held::take(&one, 1_000, true);
    let elsewhere = Held::take(&other, 10, true);
    let counts =
        |of: &Account| (of.headers.load(Relaxed), of.held.load(Relaxed), limits.all.load(Relaxed));
    assert_eq!(counts(&one), (1_000, 1_000 + STREAM, 1_010 + STREAM));
    assert_eq!(counts(&other), (10, 10, 1_010 + STREAM));
    drop(headers);
    assert_eq!(counts(&one), (0, STREAM, 10 + STREAM));
    drop((stream, elsewhere));
    assert_eq!(counts(&one), (0, 0, 0));
}

/// The map's own answer about its places is asked, so that this fails if `http` changes.
#[test]
fn places_are_counted_as_they_are_allocated() {
    let uri = Uri::from_static("http://abc/defg");
    let mut headers = HeaderMap::new();
    assert_eq!(cost(&headers, &uri), 3 + 5);
    headers.append("cookie", HeaderValue::from_static("a=b"));
    let one = cost(&headers, &uri);
    assert_eq!(one, 8 + 9 + 2 * headers.capacity() * (ENTRY + 2 * INDEX));
    for _ in 0..99 {
        headers.append("cookie", HeaderValue::from_static("a=b"));
    }
    assert_eq!(cost(&headers, &uri), one + 99 * 9 + 2 * 128 * EXTRA, "crumbs of a cookie");
    let mut headers = HeaderMap::new();
    for number in 0..100 {
        let name = HeaderName::try_from(format!("x-{number}")).unwrap();
        headers.append(name, HeaderValue::from_static(""));
    }
    assert!(cost(&headers, &uri) > 2 * 192 * ENTRY, "192 places for 100 names");
}

#[test]
fn a_target_that_is_detached_is_the_same() {
    for text in ["http://a.b:80/c/d?e=f", "/only?path", "http://[::1]:8080/", "*", "/%2e;x//?"] {
        let old = Uri::try_from(text).unwrap();
        let mut uri = old.clone();
        detach(&mut uri);
        assert_eq!(uri, old, "{text}");
        let (old, new) = (old.path_and_query().unwrap(), uri.path_and_query().unwrap());
        if old.as_str().len() > 1 {
            assert_ne!(old.as_str().as_ptr(), new.as_str().as_ptr(), "{text}");
        }
    }
}

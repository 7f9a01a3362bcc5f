//! Paths and hosts, case by case.

use http::header::HeaderValue;
use proptest::prelude::*;
use regex::Regex;

use super::*;

fn prefix(with: &str) -> PathRewrite {
    PathRewrite::Prefix(with.to_owned())
}

fn regex(pattern: &str, by: &str) -> PathRewrite {
    PathRewrite::Regex(Regex::new(pattern).unwrap(), by.to_owned())
}

#[test]
fn text_for_text() {
    let matched = |text: &str| PathMatch::Prefix(text.to_owned());
    for (rewrite, matched, from, to) in [
        (PathRewrite::Full("/x".to_owned()), PathMatch::Any, "/a/b", "/x"),
        (prefix("/x"), matched("/a"), "/a/b", "/x/b"),
        (prefix("/x"), matched("/a"), "/a", "/x"),
        (prefix("/x"), matched("/a"), "/a/", "/x/"),
        // As Envoy; the control plane asks for a pattern instead.
        (prefix("/"), matched("/a"), "/a/b", "//b"),
        (prefix("/x/"), PathMatch::Any, "/b", "/x/b"),
        (prefix("/x"), PathMatch::Exact("/a/b".to_owned()), "/a/b", "/x"),
        (prefix("/x"), PathMatch::Regex(Regex::new("/.*").unwrap()), "/a/b", "/x"),
        (regex("^/a/?", "/"), matched("/a"), "/a/b", "/b"),
        (regex("^/a/?", "/"), matched("/a"), "/a", "/"),
        (regex("^/([^/]+)/(.*)$", "/${2}/${1}"), PathMatch::Any, "/a/b", "/b/a"),
        (regex("one", "two"), PathMatch::Any, "/one/one", "/two/two"),
    ] {
        assert_eq!(path(&rewrite, &matched, from), to, "{rewrite:?} {from}");
    }
}

fn host() -> Host {
    let authority = "b.example:8080".parse().unwrap();
    Host { authority, value: HeaderValue::from_static("b.example:8080") }
}

#[test]
fn the_host_stands_where_its_version_wants_it_and_the_query_stays() {
    let mut http1 = Request::get("/a/b?c=%2F").header("host", "a.example").body(()).unwrap();
    apply(Some(&host()), Some(&prefix("/x")), &PathMatch::Any, &mut http1).unwrap();
    assert_eq!(http1.uri(), "/xa/b?c=%2F");
    assert_eq!(http1.headers()["host"], "b.example:8080");

    let http2 = || Request::get("http://a.example/a?b").version(Version::HTTP_2).body(()).unwrap();
    let mut request = http2();
    apply(Some(&host()), None, &PathMatch::Any, &mut request).unwrap();
    assert_eq!(request.uri(), "http://b.example:8080/a?b");
    assert!(!request.headers().contains_key("host"));
    let mut request = http2();
    apply(None, Some(&PathRewrite::Full("/x".to_owned())), &PathMatch::Any, &mut request).unwrap();
    assert_eq!(request.uri(), "http://a.example/x?b");
}

#[test]
fn what_is_no_path_is_not_sent() {
    for by in ["", "x", "/a?b", "/a#b", "/a b", "*"] {
        let mut request = Request::get("/a?q").body(()).unwrap();
        let spoiled = apply(None, Some(&regex("^/.*$", by)), &PathMatch::Any, &mut request);
        assert_eq!(spoiled.unwrap_err().token(), Token::InternalError, "{by:?}");
    }
}

proptest! {
    #[test]
    fn whatever_is_sent_is_an_absolute_path_with_the_query_as_it_was(
        from in "/[a-z%/.]{0,12}", query in proptest::option::of("[a-z=&?/]{0,8}"),
        pattern in "[a-z/.]{0,3}", by in "[a-z/?# ]{0,4}",
    ) {
        let target = query.as_ref().map_or(from.clone(), |query| format!("{from}?{query}"));
        let mut request = Request::get(&target).body(()).unwrap();
        if apply(None, Some(&regex(&pattern, &by)), &PathMatch::Any, &mut request).is_ok() {
            prop_assert!(request.uri().path().starts_with('/'));
            prop_assert_eq!(request.uri().query(), query.as_deref());
        }
    }
}

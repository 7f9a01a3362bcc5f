//! `Location`, case by case.

use http::StatusCode;

use super::location;
use crate::model::{PathMatch, Redirect};

fn redirect() -> Redirect {
    Redirect {
        scheme: None,
        host: None,
        port: None,
        path: None,
        prefix: None,
        status: StatusCode::FOUND,
    }
}

#[test]
fn what_is_not_replaced_stays() {
    let cases: &[(Redirect, &str, &str)] = &[
        (redirect(), "a:8080", "http://a:8080/x/y?q=1"),
        (Redirect { host: Some("b".into()), ..redirect() }, "a:8080", "http://b:8080/x/y?q=1"),
        (Redirect { scheme: Some("https".into()), ..redirect() }, "a:8080", "https://a/x/y?q=1"),
        (Redirect { port: Some(80), ..redirect() }, "a:8080", "http://a/x/y?q=1"),
        (Redirect { port: Some(81), ..redirect() }, "[::1]:8080", "http://[::1]:81/x/y?q=1"),
        (Redirect { path: Some("/z".into()), ..redirect() }, "a", "http://a/z?q=1"),
        (Redirect { prefix: Some("/b".into()), ..redirect() }, "a", "http://a/b/y?q=1"),
        (Redirect { prefix: Some("/".into()), ..redirect() }, "a", "http://a/y?q=1"),
    ];
    for (redirect, authority, expected) in cases {
        let got =
            location(redirect, &PathMatch::Prefix("/x".into()), "http", authority, "/x/y?q=1");
        assert_eq!(&got, expected, "{redirect:?}");
    }
}

#[test]
fn a_prefix_that_is_the_whole_path_gains_no_slash() {
    let to_b = Redirect { prefix: Some("/b".into()), ..redirect() };
    assert_eq!(location(&to_b, &PathMatch::Prefix("/x".into()), "http", "a", "/x"), "http://a/b");
    let to_root = Redirect { prefix: Some("/".into()), ..redirect() };
    assert_eq!(location(&to_root, &PathMatch::Prefix("/x".into()), "http", "a", "/x"), "http://a/");
}

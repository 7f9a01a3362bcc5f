//! `Location`, case by case.

use http::StatusCode;

use super::location;
use crate::model::{PathMatch, PathRewrite, Redirect};

fn redirect() -> Redirect {
    Redirect { scheme: None, host: None, port: None, path: None, status: StatusCode::FOUND }
}

fn to(path: PathRewrite) -> Redirect {
    Redirect { path: Some(path), ..redirect() }
}

#[test]
fn what_is_not_replaced_stays() {
    let cases: &[(Redirect, &str, &str)] = &[
        (redirect(), "a:8080", "http://a:8080/x/y?q=1"),
        (Redirect { host: Some("b".into()), ..redirect() }, "a:8080", "http://b/x/y?q=1"),
        (Redirect { scheme: Some("https".into()), ..redirect() }, "a:8080", "https://a/x/y?q=1"),
        (Redirect { port: Some(80), ..redirect() }, "a:8080", "http://a/x/y?q=1"),
        (Redirect { port: Some(81), ..redirect() }, "[::1]:8080", "http://[::1]:81/x/y?q=1"),
        (to(PathRewrite::Full("/z".into())), "a", "http://a/z?q=1"),
        (to(PathRewrite::Prefix("/b".into())), "a", "http://a/b/y?q=1"),
    ];
    for (redirect, authority, expected) in cases {
        let got =
            location(redirect, &PathMatch::Prefix("/x".into()), "http", authority, "/x/y?q=1");
        assert_eq!(&got, expected, "{redirect:?}");
    }
}

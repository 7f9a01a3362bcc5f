//! Paths and redirects. What Envoy makes of a replacement is said here once more, as its documentation does, so
//! that the Gateway API's own table can be asked for.

use regex::Regex;

use super::*;

fn nothing() -> Redirect {
    Redirect { scheme: None, hostname: None, port: None, path: None, status: 302 }
}

/// Envoy: text for text, or wherever the pattern matches.
fn as_envoy(action: &RouteAction, matched: &str, path: &str) -> String {
    match &action.regex_rewrite {
        Some(rewrite) => {
            let regex = Regex::new(&rewrite.pattern.as_ref().unwrap().regex).unwrap();
            regex.replace_all(path, rewrite.substitution.as_str()).into_owned()
        }
        None => format!("{}{}", action.prefix_rewrite, &path[matched.len()..]),
    }
}

fn rewritten(modifier: PathModifier, matched: &str, path: &str) -> String {
    let rewrite = Rewrite { hostname: None, path: Some(modifier) };
    let mut action = RouteAction::default();
    rewrite_path(&rewrite, &PathMatch::Prefix(matched.to_owned()), &mut action);
    as_envoy(&action, matched, path)
}

#[test]
fn prefixes_are_replaced_as_the_gateway_api_says() {
    // Its table, then what it leaves out. Matches come without a slash at the end.
    for (path, matched, with, expected) in [
        ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
        ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
        ("/foo", "/foo", "/xyz", "/xyz"),
        ("/foo/", "/foo", "/xyz", "/xyz/"),
        ("/foo/bar", "/foo", "", "/bar"),
        ("/foo/", "/foo", "", "/"),
        ("/foo", "/foo", "", "/"),
        ("/foo/", "/foo", "/", "/"),
        ("/foo", "/foo", "/", "/"),
        ("/foo//bar", "/foo", "/", "//bar"),
        ("/foo/foo/bar", "/foo", "/", "/foo/bar"),
        ("/a.b/c", "/a.b", "/", "/c"),
        ("/", "/", "/xyz", "/xyz/"),
        ("/bar", "/", "/xyz/", "/xyz/bar"),
        ("/bar", "/", "", "/bar"),
    ] {
        let got = rewritten(PathModifier::Prefix(with.to_owned()), matched, path);
        assert_eq!(got, expected, "{path}: {matched} by {with:?}");
    }
}

#[test]
fn a_full_path_is_replaced_whole() {
    for (with, expected) in [("/x", "/x"), ("/x/", "/x/"), ("", "/")] {
        assert_eq!(rewritten(PathModifier::Full(with.to_owned()), "/foo", "/foo/bar"), expected);
    }
    let rewrite = Rewrite { hostname: None, path: Some(PathModifier::Full("/a\\1".to_owned())) };
    let mut action = RouteAction::default();
    rewrite_path(&rewrite, &PathMatch::default(), &mut action);
    assert_eq!(action.regex_rewrite.unwrap().substitution, "/a\\\\1", "no reference to a group");
}

#[test]
fn ports_of_redirects() {
    let to = |scheme: Option<&str>, hostname: Option<&str>, port| Redirect {
        scheme: scheme.map(str::to_owned),
        hostname: hostname.map(str::to_owned),
        port,
        ..nothing()
    };
    for (asked, expected) in [
        (to(None, None, None), 0),
        (to(None, Some("b.com"), None), 8080),
        (to(Some("http"), None, None), 80),
        (to(Some("https"), None, None), 443),
        (to(Some("https"), Some("b.com"), None), 0),
        (to(Some("https"), Some("b.com"), Some(443)), 0),
        (to(Some("https"), Some("b.com"), Some(80)), 80),
        (to(None, Some("b.com"), Some(80)), 0),
        (to(None, None, Some(81)), 81),
    ] {
        let got = redirect(&asked, &PathMatch::default(), 8080).port_redirect;
        assert_eq!(got, expected, "{asked:?}");
    }
    assert_eq!(
        redirect(&to(None, Some("b.com"), None), &PathMatch::default(), 80).port_redirect,
        0
    );
}

#[test]
fn redirects() {
    let found = redirect(&nothing(), &PathMatch::default(), 80);
    assert_eq!(found.response_code(), RedirectResponseCode::Found);
    assert_eq!(found.path_rewrite_specifier, None);
    let secure =
        Redirect { scheme: Some("https".to_owned()), hostname: Some("b".to_owned()), ..nothing() };
    let secure = redirect(&secure, &PathMatch::default(), 80);
    assert_eq!(secure.host_redirect, "b");
    let scheme = SchemeRewriteSpecifier::SchemeRedirect("https".to_owned());
    assert_eq!(secure.scheme_rewrite_specifier, Some(scheme));

    let path = |path: PathModifier| {
        let to = Redirect { path: Some(path), status: 308, ..nothing() };
        let to = redirect(&to, &PathMatch::Prefix("/a".to_owned()), 80);
        assert_eq!(to.response_code(), RedirectResponseCode::PermanentRedirect);
        to.path_rewrite_specifier.unwrap()
    };
    assert_eq!(
        path(PathModifier::Full("/b".to_owned())),
        PathRewriteSpecifier::PathRedirect("/b".to_owned())
    );
    assert_eq!(
        path(PathModifier::Prefix("/c/".to_owned())),
        PathRewriteSpecifier::PrefixRewrite("/c".to_owned())
    );
    let PathRewriteSpecifier::RegexRewrite(root) = path(PathModifier::Prefix("/".to_owned()))
    else {
        panic!("Envoy would make `//` of it")
    };
    assert_eq!((root.pattern.unwrap().regex.as_str(), root.substitution.as_str()), ("^/a/?", "/"));
}

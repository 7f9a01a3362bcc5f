//! Who is answered, and what no answer lacks.

use axum::body::Body;

use super::*;

fn request(method: Method, headers: &[(&str, &str)]) -> Request {
    let mut request = Request::builder().method(method).uri("/");
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    request.body(Body::empty()).unwrap()
}

#[test]
fn only_pages_of_our_own_are_answered() {
    let hosts = hosts(15080);
    let ours = ("host", "127.0.0.1:15080");
    for (what, headers, answered) in [
        ("by address", &[ours][..], true),
        ("by name", &[("host", "LocalHost:15080")], true),
        ("typed", &[ours, ("sec-fetch-site", "none")], true),
        (
            "by our own page",
            &[ours, ("sec-fetch-site", "same-origin"), ("origin", "http://127.0.0.1:15080")],
            true,
        ),
        ("nobody is named", &[], false),
        ("a name that leads here", &[("host", "evil.example:15080")], false),
        ("another port", &[("host", "127.0.0.1:15081")], false),
        ("no port", &[("host", "127.0.0.1")], false),
        ("an empty name", &[("host", "")], false),
        ("a name below ours", &[("host", "localhost.evil.example:15080")], false),
        ("a name that ends in ours", &[("host", "evil.localhost:15080")], false),
        ("with a user", &[("host", "evil@127.0.0.1:15080")], false),
        // Nothing listens there; somebody else may.
        ("the other loopback", &[("host", "[::1]:15080")], false),
        ("another number for it", &[("host", "127.0.0.2:15080")], false),
        ("two names", &[ours, ("host", "evil.example:15080")], false),
        ("twice the same", &[ours, ours], false),
        ("another site", &[ours, ("sec-fetch-site", "cross-site")], false),
        ("another port's page", &[ours, ("sec-fetch-site", "same-site")], false),
        ("another origin", &[ours, ("origin", "http://evil.example")], false),
        ("no origin", &[ours, ("origin", "null")], false),
        ("another scheme", &[ours, ("origin", "https://127.0.0.1:15080")], false),
    ] {
        let refused = refusal(&hosts, &request(Method::GET, headers));
        assert_eq!(refused.is_none(), answered, "{what}: {refused:?}");
    }
    let bare = &[("host", "localhost")];
    assert!(refusal(&super::hosts(80), &request(Method::GET, bare)).is_none(), "http's own port");
    for (method, answered) in [(Method::HEAD, true), (Method::POST, false), (Method::DELETE, false)]
    {
        assert_eq!(
            refusal(&hosts, &request(method.clone(), &[ours])).is_none(),
            answered,
            "{method}"
        );
    }
}

#[test]
fn the_page_needs_nothing_from_anywhere_and_nothing_that_the_policy_forbids() {
    for (name, text) in [
        ("page", PAGE),
        ("style", STYLE),
        ("script", SCRIPT),
        ("graph", GRAPH),
        ("panel", PANEL),
        ("notices", NOTICES),
    ] {
        for forbidden in [
            "https://",
            "innerHTML",
            "outerHTML",
            "insertAdjacentHTML",
            "eval(",
            "new Function",
            "style=\"",
            "onclick",
            "document.write",
        ] {
            assert!(!text.contains(forbidden), "{name} has {forbidden}");
        }
        // A namespace of XML is a name; nothing is fetched from there.
        let foreign = text.replace("http://www.w3.org/2000/svg", "");
        assert!(!foreign.contains("http://"), "{name} names another place");
    }
    assert!(
        !PAGE.contains("<style") && !PAGE.contains("<script>"),
        "nothing stands in the page itself"
    );
}

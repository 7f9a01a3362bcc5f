//! Hostnames and wildcards, several routes on one Service, and precedence between them (Gateway API v1).

use super::backends;
use crate::oracle::case::{Case, Group, Step};

/// Why a final dot is no other host.
const DOT: &str = "a final dot names the same host (RFC 3986 §3.2.2), Envoy compares the letters";

/// Why a lone `%` is refused.
const NO_ESCAPE: &str = "a % that begins no escape is read in several ways, Envoy passes it on";

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![hosts(), host_header(), precedence(), no_route(), paths()]
}

fn named(name: &str, path: &str) -> String {
    format!(
        "  - matches: [{{path: {{type: PathPrefix, value: {path}}}}}]
    filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-rule, value: {name}}}]}}}}]
    backendRefs: [{}]\n",
        backends(&["a"])
    )
}

fn hosts() -> Group {
    let asked = [
        "shop.test",
        "SHOP.test",
        "shop.test:8080",
        "api.shop.test",
        "v1.api.shop.test",
        "x.v1.api.shop.test",
        "deep.shop.test",
        "ashop.test",
        ".shop.test",
        "other.test",
        "10.0.0.1",
        "10.0.0.1:8080",
        "[::1]",
        "[::1]:8080",
        "shop",
        "api.shop.test:1",
    ];
    let over_http1 =
        asked.iter().map(|host| Case::new(format!("host {host}"), Step::get("/x").host(host)));
    let over_http2 = asked.iter().filter(|host| !host.starts_with('.')).map(|host| {
        Case::new(format!("host {host} over HTTP/2"), Step::get("/x").host(host).http2())
    });
    let fall_through =
        ["shop.test", "api.shop.test", "v1.api.shop.test", "other.test"].map(|host| {
            Case::new(format!("{host} falls to a wider route"), Step::get("/any/where").host(host))
        });
    Group::new("hosts", "a")
        .hosts(&["shop.test"], &named("exact", "/x"))
        .hosts(&["*.shop.test"], &named("wildcard", "/x"))
        .hosts(&["api.shop.test", "*.api.shop.test"], &named("api", "/x"))
        .rules(&named("any", "/any"))
        .cases([
            Case::new("host shop.test.", Step::get("/x").host("shop.test.")).differs(DOT),
            Case::new("host shop.test. over HTTP/2", Step::get("/x").host("shop.test.").http2())
                .differs(DOT),
        ])
        .cases(over_http1)
        .cases(over_http2)
        .cases(fall_through)
}

/// A match on the header `host`, which HTTP/2 does not have: it sees the authority, port and all.
fn host_header() -> Group {
    let matched = |name: &str, kind: &str, value: &str| {
        let header = format!("{{name: host, type: {kind}, value: '{value}'}}");
        named(name, "/").replace(
            "PathPrefix, value: /}",
            &format!("PathPrefix, value: /}}, headers: [{header}]"),
        )
    };
    let asked = ["a.test", "a.test:8080", "A.test:8080", "b.test", "x.b.test:1"];
    let ask = |host: &str| {
        let step = || Step::get("/").host(host);
        [
            Case::new(format!("matched by host {host}"), step()),
            Case::new(format!("matched by host {host} over HTTP/2"), step().http2()),
        ]
    };
    Group::new("host-header", "a")
        .rules(&matched("exact", "Exact", "a.test:8080"))
        .rules(&matched("regex", "RegularExpression", r".*\.b\.test.*"))
        .rules(&named("rest", "/"))
        .cases(asked.iter().flat_map(|host| ask(host)))
}

/// Gateway API: exact path, longest prefix, method, most headers, most query parameters, then what is written first.
fn precedence() -> Group {
    let rule = |name: &str, matched: &str| {
        format!(
            "  - matches: [{matched}]
    filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-rule, value: {name}}}]}}}}]
    backendRefs: [{}]\n",
            backends(&["a"])
        )
    };
    let prefix = |path: &str| format!("path: {{type: PathPrefix, value: {path}}}");
    let header = |name: &str| format!("{{name: {name}, value: '1'}}");
    let rules = [
        rule("short", &format!("{{{}}}", prefix("/p"))),
        rule("long", &format!("{{{}}}", prefix("/p/q"))),
        rule("exact", "{path: {type: Exact, value: /p/q/r}}"),
        rule("method", &format!("{{{}, method: PUT}}", prefix("/p"))),
        rule("header", &format!("{{{}, headers: [{}]}}", prefix("/p"), header("x-1"))),
        rule(
            "headers",
            &format!("{{{}, headers: [{}, {}]}}", prefix("/p"), header("x-1"), header("x-2")),
        ),
        rule("query", &format!("{{{}, queryParams: [{{name: q, value: '1'}}]}}", prefix("/p"))),
        rule("again", &format!("{{{}}}", prefix("/p"))),
    ]
    .concat();
    let one = |name: &str, step: Step| Case::new(name, step.answers(200));
    // The last rule is never asked.
    Group::new("precedence", "a").rules(&rules).finding("WEFT0303").cases([
        one("prefix", Step::get("/p/x")),
        one("longer prefix", Step::get("/p/q/x")),
        one("exact", Step::get("/p/q/r")),
        one("method", Step::get("/p").method("PUT")),
        one("header", Step::get("/p").header("x-1", "1")),
        one("two headers", Step::get("/p").header("x-1", "1").header("x-2", "1")),
        one("query", Step::get("/p?q=1")),
        one("query and header", Step::get("/p?q=1").header("x-1", "1")),
        one(
            "method and headers",
            Step::get("/p").method("PUT").header("x-1", "1").header("x-2", "1"),
        ),
        one("longer prefix before header", Step::get("/p/q").header("x-1", "1")),
        one("exact before everything", Step::get("/p/q/r?q=1").method("PUT").header("x-1", "1")),
        Case::new("nothing", Step::get("/elsewhere").answers(404)),
        Case::new("gRPC to nothing", Step::grpc("/elsewhere")),
    ])
}

fn no_route() -> Group {
    Group::new("no-host", "a").hosts(&["only.test"], &named("only", "/")).cases([
        Case::new("another host", Step::get("/").host("other.test").answers(404)),
        Case::new("another host, POST", Step::post("/", "body").host("other.test").answers(404)),
        Case::new("another host, HTTP/2", Step::get("/").host("other.test").http2().answers(404)),
        Case::new("another host, gRPC", Step::grpc("/a.B/C").host("other.test")),
        Case::new("the host", Step::get("/").host("only.test").answers(200)),
    ])
}

/// Paths as clients write them; the first path element decides between the rules.
fn paths() -> Group {
    let paths = [
        "/one",
        "/one/",
        "/one/two",
        "/one?x=/two",
        "/onetwo",
        "//one",
        "/one//two",
        "/./one",
        "/one/../two",
        "/one/%2e%2e/two",
        "/%6fne",
        "/one%2ftwo",
        "/one%00",
        "/one;v=1",
        "/one?%zz",
        "/one\\two",
        "/one/.",
        "/one/..",
        "/ONE",
        "/one#frag",
        "/one?a=b#c",
        "/one?",
        "/one??",
        "/two/%252e",
        "//",
        "/one/./two",
        "/one/../../two",
        "/one/..;x/two",
        "/one/%2e%2e%2ftwo",
        "/one/%5ctwo",
        "/one/%7etwo",
        "/one/a%41",
        "/one/two//",
        "/../one",
        "/one/.../two",
        "*",
    ];
    let no_escapes = ["/one/%", "/one%zz", "/two/%4"].map(|path| {
        Case::new(format!("path {path}"), Step::get(path).answers(400)).differs(NO_ESCAPE)
    });
    Group::new("paths", "a")
        .rules(&[named("one", "/one"), named("two", "/two")].concat())
        .cases(no_escapes)
        .cases(
            paths.map(|path| Case::new(format!("path {path}"), Step::get(path).header("x-p", "1"))),
        )
}

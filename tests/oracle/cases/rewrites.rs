//! `URLRewrite`: host and path, of rules and of backends (Gateway API v1, its own table of prefixes).

use super::backends;
use crate::oracle::case::{Case, Group, Step};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    let prefixed = PREFIXES.into_iter().enumerate().map(|(index, (prefix, replacement))| {
        let path =
            format!("path: {{type: ReplacePrefixMatch, replacePrefixMatch: {replacement:?}}}");
        Group::new(format!("rewrite-prefix-{index}"), "a").rules(&rule(prefix, &path)).cases(
            PATHS.map(|path| {
                Case::new(format!("{prefix} to {replacement:?}: {path}"), Step::get(path))
            }),
        )
    });
    prefixed.chain([full(), host(), host_and_path(), of_backends()]).collect()
}

const PREFIXES: [(&str, &str); 9] = [
    ("/foo", "/xyz"),
    ("/foo", "/xyz/"),
    ("/foo", "/"),
    ("/foo", ""),
    ("/foo/", "/xyz"),
    ("/foo/", "/xyz/"),
    ("/foo.bar", "/"),
    ("/", "/all"),
    ("/", "/"),
];
const PATHS: [&str; 9] = [
    "/foo",
    "/foo/",
    "/foo/bar",
    "/foo/bar/?q=1&r=%2F",
    "/foo?q",
    "/foobar",
    "/foo.bar/x",
    "/foo%2Fbar",
    "/",
];

fn rule(prefix: &str, rewrite: &str) -> String {
    format!(
        "  - matches: [{{path: {{type: PathPrefix, value: {prefix}}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{{rewrite}}}}}]
    backendRefs: [{}]\n",
        backends(&["a"])
    )
}

fn full() -> Group {
    let rewrite = "path: {type: ReplaceFullPath, replaceFullPath: /one/path}";
    Group::new("rewrite-full", "a").rules(&rule("/foo", rewrite)).cases(
        ["/foo", "/foo/bar", "/foo?q=1", "/foo/bar?q=/x", "/bar"]
            .map(|path| Case::new(format!("all of {path}"), Step::get(path))),
    )
}

fn host() -> Group {
    let one = |name: &str, step: Step| Case::new(name, step.answers(200));
    Group::new("rewrite-host", "a").rules(&rule("/", "hostname: new.test")).cases([
        one("HTTP/1.1", Step::get("/")),
        one("HTTP/1.1 with a port", Step::get("/").host("old.test:8080")),
        one("HTTP/2", Step::get("/").http2()),
        one("gRPC", Step::grpc("/a.B/C")),
    ])
}

fn host_and_path() -> Group {
    let rewrite = "hostname: new.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /new}";
    Group::new("rewrite-both", "a").rules(&rule("/old", rewrite)).cases([
        Case::new("HTTP/1.1", Step::get("/old/x?q=1").answers(200)),
        Case::new("HTTP/2", Step::get("/old/x?q=1").http2().answers(200)),
        Case::new("POST", Step::post("/old", "body").answers(200)),
    ])
}

/// A backend's own host goes before the rule's.
fn of_backends() -> Group {
    let filter = "{type: URLRewrite, urlRewrite: {hostname: backend.test}}";
    let rules = format!(
        "  - matches: [{{path: {{type: PathPrefix, value: /own}}}}]
    backendRefs: [{{name: a, port: 8080, filters: [{filter}]}}]
  - matches: [{{path: {{type: PathPrefix, value: /over}}}}]
    filters: [{{type: URLRewrite, urlRewrite: {{hostname: rule.test}}}}]
    backendRefs: [{{name: a, port: 8080, filters: [{filter}]}}]\n"
    );
    Group::new("rewrite-backend", "a").rules(&rules).cases([
        Case::new("its own host", Step::get("/own").answers(200)),
        Case::new("its own host, HTTP/2", Step::get("/own").http2().answers(200)),
        Case::new("over the rule's", Step::get("/over").answers(200)),
    ])
}

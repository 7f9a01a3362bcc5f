//! `RequestMirror`: who gets a copy, what it looks like, and that nothing comes of it.

use crate::oracle::case::{Act, Case, Group, Step, View};

/// Why the copies are not the same.
const VERSION: &str = "a copy keeps the request's HTTP version, Envoy's are all of HTTP/1.1";

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![one(), two(), failing(), absent(), shares()]
}

fn mirrored(service: &str, mirrors: &[&str]) -> Group {
    let filter = |mirror: &&str| format!("{{type: RequestMirror, requestMirror: {{{mirror}}}}}");
    let filters: Vec<_> = mirrors.iter().map(filter).collect();
    Group::new(service, "a").rules(&format!(
        "  - filters: [{}]\n    backendRefs: [{{name: a, port: 8080}}]\n",
        filters.join(", ")
    ))
}

fn case(name: &str, step: Step) -> Case {
    Case::new(name, step.answers(200)).view(View::Backend)
}

fn one() -> Group {
    mirrored("mirror", &["backendRef: {name: b, port: 8080}"]).cases([
        case("GET", Step::get("/x?q=1").arrivals(2)),
        case("POST", Step::post("/", "body").arrivals(2)),
        case("HTTP/2", Step::post("/", "body").http2().arrivals(2))
            .differs_in(&["attempt 1 line"], VERSION),
        case("headers", Step::get("/").header("x-a", "1").header("x-a", "2").arrivals(2)),
        case("gRPC", Step::grpc("/a.B/C").arrivals(2)).differs_in(&["attempt 1 line"], VERSION),
        case("a large body", Step::post("/", &"x".repeat(50_000)).arrivals(2)),
    ])
}

fn two() -> Group {
    let mirrors = ["backendRef: {name: b, port: 8080}", "backendRef: {name: c, port: 8080}"];
    mirrored("mirror-two", &mirrors).cases([
        case("GET", Step::get("/").arrivals(3)),
        case("POST", Step::post("/", "body").arrivals(3)),
    ])
}

/// The copy fails, the request does not.
fn failing() -> Group {
    let sick = |act: Act, arrivals: usize| Step::get("/").but('b', act).arrivals(arrivals);
    mirrored("mirror-failing", &["backendRef: {name: b, port: 8080}"]).cases([
        case("500", sick(Act::Answer(500, &[]), 2)),
        case("closed", sick(Act::Close, 2)),
        case("hanging", sick(Act::Hang, 1)),
    ])
}

fn absent() -> Group {
    mirrored("mirror-refusing", &["backendRef: {name: x, port: 8080}"])
        .cases([case("GET", Step::get("/")), case("POST", Step::post("/", "body"))])
}

fn shares() -> Group {
    let half = "backendRef: {name: b, port: 8080}, percent: 50";
    let tenth = "backendRef: {name: c, port: 8080}, fraction: {numerator: 1, denominator: 10}";
    let none = "backendRef: {name: d, port: 8080}, percent: 0";
    let counts = &[("at a", 200, 200), ("at b", 45, 155), ("at c", 0, 55), ("at d", 0, 0)];
    let case = Case::steps("percent and fraction", vec![Step::get("/"); 200]);
    mirrored("mirror-shares", &[half, tenth, none]).cases([case.view(View::Counts(counts))])
}

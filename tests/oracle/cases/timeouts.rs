//! Time limits of rules (`request`, `backendRequest`) and of the policy's attempts.

use super::backends;
use crate::oracle::case::{Act, Case, Group, OK, Step};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![request(), backend_request(), both(), per_try(), zero(), grpc_timeout()]
}

fn rule(timeouts: &str) -> String {
    format!("  - timeouts: {{{timeouts}}}\n    backendRefs: [{}]\n", backends(&["a"]))
}

fn request() -> Group {
    Group::new("timeout-request", "a").rules(&rule("request: 1s")).cases([
        Case::new("in time", Step::get("/").script(&[Act::Late(20)]).answers(200)),
        Case::new("too late", Step::get("/").script(&[Act::Late(3000)]).answers(504)),
        Case::new("never", Step::get("/").script(&[Act::Hang]).answers(504)),
        Case::new("never, POST", Step::post("/", "body").script(&[Act::Hang]).answers(504)),
        Case::new("never, HTTP/2", Step::get("/").http2().script(&[Act::Hang]).answers(504)),
        Case::new("never, gRPC", Step::grpc("/a.B/C").script(&[Act::Hang])),
        Case::new(
            "a body breaks off in time",
            Step::get("/").script(&[Act::BreakOff]).answers(200),
        ),
    ])
}

fn backend_request() -> Group {
    let rules = rule("backendRequest: 1s");
    let policy = "  outlierDetection: {consecutiveFailures: 0}
  retries: {attempts: 1, conditions: [gateway-error], budget: {percent: 100, minRetriesPerSecond: 100}}
";
    Group::new("timeout-backend", "a").rules(&rules).policy(policy).cases([
        Case::new("in time", Step::get("/").script(&[Act::Late(20)]).answers(200)),
        Case::new("late, then in time", Step::get("/").script(&[Act::Hang, OK]).answers(200)),
        Case::new("late twice", Step::get("/").script(&[Act::Hang]).answers(504)),
    ])
}

fn both() -> Group {
    let rules = rule("request: 3s, backendRequest: 1s");
    let policy = "  outlierDetection: {consecutiveFailures: 0}
  retries: {attempts: 5, conditions: [5xx], budget: {percent: 100, minRetriesPerSecond: 100}}
";
    Group::new("timeout-both", "a").rules(&rules).policy(policy).cases([
        Case::new("late once", Step::get("/").script(&[Act::Hang, OK]).answers(200)),
        Case::new("late twice", Step::get("/").script(&[Act::Hang, Act::Hang, OK]).answers(200)),
        Case::new(
            "503, then late",
            Step::get("/").script(&[Act::Answer(503, &[]), Act::Hang, OK]).answers(200),
        ),
    ])
}

fn per_try() -> Group {
    let policy = "  outlierDetection: {consecutiveFailures: 0}
  retries: {attempts: 1, conditions: [5xx], perTryTimeout: 1s, budget: {percent: 100, minRetriesPerSecond: 100}}
";
    Group::new("timeout-per-try", "a").policy(policy).cases([
        Case::new("in time", Step::get("/").answers(200)),
        Case::new("late once", Step::get("/").script(&[Act::Hang, OK]).answers(200)),
        Case::new("late twice", Step::get("/").script(&[Act::Hang]).answers(504)),
    ])
}

fn zero() -> Group {
    Group::new("timeout-zero", "a")
        .rules(&rule("request: 0s"))
        .cases([Case::new("no limit", Step::get("/").script(&[Act::Late(600)]).answers(200))])
}

/// The caller's own limit, with and without one of the rule.
fn grpc_timeout() -> Group {
    let rules = "  - matches: [{path: {type: PathPrefix, value: /limited}}]
    timeouts: {request: 1500ms}
    backendRefs: [{name: a, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /free}}]
    backendRefs: [{name: a, port: 8080}]
";
    let call =
        |path: &str, limit: &str| Step::grpc(path).header("grpc-timeout", limit).answers(200);
    let hang = |path: &str, limit: &str| call(path, limit).script(&[Act::Hang]);
    Group::new("timeout-grpc", "a").rules(rules).cases([
        Case::new("in time", call("/free/M", "2S")),
        Case::new("the caller's", hang("/free/M", "800m")),
        Case::new("the caller's is shorter", hang("/limited/M", "700m")),
        Case::new("the rule's is shorter", hang("/limited/M", "5S")),
        Case::new("in microseconds", hang("/free/M", "600000u")),
        Case::new("long enough", call("/limited/M", "1H")),
    ])
}

//! Time limits of rules (`request`, `backendRequest`) and of the policy's attempts.

use super::backends;
use crate::oracle::case::{Act, Case, Group, OK, Step};

/// Why the gRPC statuses are not the same.
const DEADLINE: &str =
    "a time limit is DEADLINE_EXCEEDED to gRPC, Envoy maps its 504 to UNAVAILABLE";

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![request(), backend_request(), both(), per_try(), zero()]
}

fn rule(timeouts: &str) -> String {
    format!("  - timeouts: {{{timeouts}}}\n    backendRefs: [{}]\n", backends(&["a"]))
}

fn request() -> Group {
    Group::new("timeout-request", "a").rules(&rule("request: 300ms")).cases([
        Case::new("in time", Step::get("/").script(&[Act::Late(20)]).answers(200)),
        Case::new("too late", Step::get("/").script(&[Act::Late(2000)]).answers(504)),
        Case::new("never", Step::get("/").script(&[Act::Hang]).answers(504)),
        Case::new("never, POST", Step::post("/", "body").script(&[Act::Hang]).answers(504)),
        Case::new("never, HTTP/2", Step::get("/").http2().script(&[Act::Hang]).answers(504)),
        Case::new("never, gRPC", Step::grpc("/a.B/C").script(&[Act::Hang]))
            .differs_in(&["header grpc-status"], DEADLINE),
        Case::new(
            "a body breaks off in time",
            Step::get("/").script(&[Act::BreakOff]).answers(200),
        ),
    ])
}

fn backend_request() -> Group {
    let rules = rule("backendRequest: 300ms");
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
    let rules = rule("request: 700ms, backendRequest: 250ms");
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
  retries: {attempts: 1, conditions: [5xx], perTryTimeout: 250ms, budget: {percent: 100, minRetriesPerSecond: 100}}
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

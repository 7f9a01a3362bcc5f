//! Retries by status, reset and refusal; how often, for which methods, and with which body.

use crate::oracle::case::{Act, Case, Group, OK, Step};

/// Why weft-proxy sends a request once where Envoy sends it again.
const IDEMPOTENT: &str = "Weft repeats what the application may have seen only if the method is idempotent (RFC 9110 §9.2.2)";
/// Why weft-proxy sends a request again where Envoy does not.
const BROKEN: &str =
    "Weft repeats an idempotent request on a broken connection unasked (RFC 9112 §9.3.1)";

const E503: Act = Act::Answer(503, &[]);
const E502: Act = Act::Answer(502, &[]);
const E500: Act = Act::Answer(500, &[]);
const E429: Act = Act::Answer(429, &[]);

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![
        by_default(),
        by_status(),
        by_gateway_error(),
        by_server_error(),
        by_reset(),
        never(),
        elsewhere(),
        elsewhere_by_chance(),
        refusing_neighbour(),
        by_grpc_status(),
        of_rule(),
        retry_after(),
        fallback(),
    ]
}

fn retrying(service: &str, pool: &'static str, attempts: u32, conditions: &str) -> Group {
    Group::new(service, pool).policy(&format!(
        "  outlierDetection: {{consecutiveFailures: 0}}
  retries: {{attempts: {attempts}, conditions: [{conditions}], budget: {{percent: 100, minRetriesPerSecond: 100}}}}
"
    ))
}

fn by_default() -> Group {
    Group::new("retry-default", "a").cases([
        Case::new("503 is final", Step::get("/").script(&[E503, OK]).answers(503)),
        Case::new("500 is final", Step::get("/").script(&[E500, OK]).answers(500)),
        Case::new("a closed connection, GET", Step::get("/").script(&[Act::Close, OK]))
            .differs(BROKEN),
        Case::new(
            "a closed connection, POST",
            Step::post("/", "x").script(&[Act::Close, OK]).answers(503),
        ),
        Case::new(
            "a refused stream",
            Step::get("/").http2().script(&[Act::Refuse, OK]).answers(200),
        ),
        Case::new(
            "a refused stream, POST",
            Step::post("/", "x").http2().script(&[Act::Refuse, OK]).answers(200),
        ),
        Case::new(
            "three refused streams",
            Step::get("/").http2().script(&[Act::Refuse]).answers(503),
        ),
    ])
}

fn by_status() -> Group {
    retrying("retry-status", "a", 2, "\"503\", \"429\"").cases([
        Case::new("503, then 200", Step::get("/").script(&[E503, OK]).answers(200)),
        Case::new("503 twice, then 200", Step::get("/").script(&[E503, E503, OK]).answers(200)),
        Case::new("503 three times", Step::get("/").script(&[E503]).answers(503)),
        Case::new("429, then 200", Step::get("/").script(&[E429, OK]).answers(200)),
        Case::new("502 is not listed", Step::get("/").script(&[E502, OK]).answers(502)),
        Case::new("503, then 502", Step::get("/").script(&[E503, E502, OK]).answers(502)),
        Case::new("HEAD", Step::get("/").method("HEAD").script(&[E503, OK]).answers(200)),
        Case::new("OPTIONS", Step::get("/").method("OPTIONS").script(&[E503, OK]).answers(200)),
        Case::new(
            "PUT with a body",
            Step::post("/", "again").method("PUT").script(&[E503, OK]).answers(200),
        ),
        Case::new("DELETE", Step::get("/").method("DELETE").script(&[E503, OK]).answers(200)),
        Case::new("HTTP/2", Step::get("/").http2().script(&[E503, OK]).answers(200)),
        Case::new("POST", Step::post("/", "once").script(&[E503, OK])).differs(IDEMPOTENT),
        Case::new("PATCH", Step::post("/", "once").method("PATCH").script(&[E503, OK]))
            .differs(IDEMPOTENT),
        Case::new(
            "headers of the last answer",
            Step::get("/")
                .script(&[Act::Answer(503, &[("x-try", "1")]), Act::Answer(200, &[("x-try", "2")])])
                .answers(200),
        ),
    ])
}

fn by_gateway_error() -> Group {
    let one = |name: &str, status: u16, expected: u16| {
        let script: &[Act] = match status {
            500 => &[E500, OK],
            501 => &[Act::Answer(501, &[]), OK],
            502 => &[E502, OK],
            503 => &[E503, OK],
            504 => &[Act::Answer(504, &[]), OK],
            _ => &[Act::Answer(505, &[]), OK],
        };
        Case::new(name, Step::get("/").script(script).answers(expected))
    };
    retrying("retry-gateway", "a", 1, "gateway-error").cases([
        one("500", 500, 500),
        one("501", 501, 501),
        one("502", 502, 200),
        one("503", 503, 200),
        one("504", 504, 200),
        one("505", 505, 505),
        Case::new("reset", Step::get("/").script(&[Act::Close, OK]).answers(200)),
    ])
}

fn by_server_error() -> Group {
    retrying("retry-5xx", "a", 3, "5xx").cases([
        Case::new("500", Step::get("/").script(&[E500, OK]).answers(200)),
        Case::new(
            "503, 502, 500, 200",
            Step::get("/").script(&[E503, E502, E500, OK]).answers(200),
        ),
        Case::new("four times", Step::get("/").script(&[E500]).answers(500)),
        Case::new("reset", Step::get("/").script(&[Act::Close, OK]).answers(200)),
        Case::new("404 is final", Step::get("/").script(&[Act::Answer(404, &[]), OK]).answers(404)),
        Case::new(
            "a break in the body is final",
            Step::get("/").script(&[Act::BreakOff, OK]).answers(200),
        ),
        Case::new(
            "reset over HTTP/2",
            Step::get("/").http2().script(&[Act::Close, OK]).answers(200),
        ),
    ])
}

fn by_reset() -> Group {
    retrying("retry-reset", "a", 1, "reset").cases([
        Case::new("reset", Step::get("/").script(&[Act::Close, OK]).answers(200)),
        Case::new("reset twice", Step::get("/").script(&[Act::Close]).answers(503)),
        Case::new("503 is final", Step::get("/").script(&[E503, OK]).answers(503)),
        Case::new(
            "reset over HTTP/2",
            Step::get("/").http2().script(&[Act::Close, OK]).answers(200),
        ),
        Case::new("POST", Step::post("/", "once").script(&[Act::Close, OK])).differs(IDEMPOTENT),
    ])
}

fn never() -> Group {
    retrying("retry-never", "a", 0, "5xx").cases([
        Case::new("503", Step::get("/").script(&[E503, OK]).answers(503)),
        Case::new("500", Step::get("/").script(&[E500, OK]).answers(500)),
        Case::new("closed", Step::get("/").script(&[Act::Close, OK]).answers(503)),
    ])
}

/// With several endpoints: another one first.
fn elsewhere() -> Group {
    let policy = "  loadBalancer: {policy: RoundRobin}
  outlierDetection: {consecutiveFailures: 0}
  retries: {attempts: 2, conditions: [\"503\"], budget: {percent: 100, minRetriesPerSecond: 100}}
";
    Group::new("retry-elsewhere", "abc").policy(policy).cases([
        Case::new("one 503", Step::get("/").script(&[E503, OK]).answers(200)),
        Case::new("two 503", Step::get("/").script(&[E503, E503, OK]).answers(200)),
        Case::new("three 503", Step::get("/").script(&[E503]).answers(503)),
    ])
}

/// Chance would lead back to one of two that have failed.
fn elsewhere_by_chance() -> Group {
    let policy = "  loadBalancer: {policy: Random}
  outlierDetection: {consecutiveFailures: 0}
  retries: {attempts: 2, conditions: [\"503\"], budget: {percent: 100, minRetriesPerSecond: 100}}
";
    let third = |number| {
        let step = Step::get("/").script(&[E503, E503, OK]).answers(200);
        Case::new(format!("the third of three, {number}"), step)
    };
    Group::new("retry-chance", "abc").policy(policy).cases((1..=8).map(third))
}

/// One of two refuses connections: nobody sees it.
fn refusing_neighbour() -> Group {
    let policy =
        "  loadBalancer: {policy: RoundRobin}\n  outlierDetection: {consecutiveFailures: 0}\n";
    let six = |step: &Step| vec![step.clone(); 6];
    Group::new("retry-refusing", "ax").policy(policy).cases([
        Case::steps("GET", six(&Step::get("/").answers(200))),
        Case::steps("POST", six(&Step::post("/", "body").answers(200))),
        Case::steps("gRPC", six(&Step::grpc("/a.B/C").answers(200))),
    ])
}

fn by_grpc_status() -> Group {
    let call = || Step::grpc("/shop.Cart/Add").answers(200);
    let all = "cancelled, deadline-exceeded, internal, resource-exhausted, unavailable";
    let listed = [1, 4, 8, 13, 14].map(|status| {
        Case::new(
            format!("status {status}"),
            call().script(&[Act::GrpcError(status), Act::GrpcEcho(0)]),
        )
    });
    let others = [2, 3, 5, 7, 9, 12, 16].map(|status| {
        Case::new(
            format!("status {status} is final"),
            call().script(&[Act::GrpcError(status), Act::GrpcEcho(0)]),
        )
    });
    retrying("retry-grpc", "a", 2, all).cases(listed).cases(others).cases([
        Case::new("in trailers it is final", call().script(&[Act::GrpcEcho(14), Act::GrpcEcho(0)])),
        Case::new("three times", call().script(&[Act::GrpcError(14)])),
        Case::new("HTTP 503 is final", call().script(&[E503, Act::GrpcEcho(0)]).answers(503)),
    ])
}

/// GEP-1731: it goes before the policy's.
fn of_rule() -> Group {
    let rules = "  - matches: [{path: {type: PathPrefix, value: /codes}}]
    retry: {codes: [500, 503], attempts: 2, backoff: 10ms}
    backendRefs: [{name: a, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /none}}]
    retry: {attempts: 0}
    backendRefs: [{name: a, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /default}}]
    retry: {codes: [502]}
    backendRefs: [{name: a, port: 8080}]
  - matches: [{path: {type: PathPrefix, value: /policy}}]
    backendRefs: [{name: a, port: 8080}]
";
    let one = |name: &str, path: &str, script: &[Act], status: u16| {
        Case::new(name, Step::get(path).script(script).answers(status))
    };
    retrying("retry-rule", "a", 1, "\"504\"").rules(rules).cases([
        one("a listed code", "/codes", &[E500, E503, OK], 200),
        one("twice at most", "/codes", &[E500], 500),
        one("another code", "/codes", &[E502, OK], 502),
        one("a reset", "/codes", &[Act::Close, OK], 200),
        one("the policy's code is none of the rule's", "/codes", &[Act::Answer(504, &[]), OK], 504),
        one("never", "/none", &[E503, OK], 503),
        one("attempts by default", "/default", &[E502, E502, OK], 200),
        one("the policy's where the rule has none", "/policy", &[Act::Answer(504, &[]), OK], 200),
    ])
}

/// Why a long wait ends the retries.
const TOO_LONG: &str = "who asks for a pause that is no number of seconds up to 5 is not asked again, Envoy asks again after its own pause";

fn retry_after() -> Group {
    let wait = |value: &'static [(&'static str, &'static str)]| Act::Answer(503, value);
    retrying("retry-after", "a", 2, "\"503\"").cases([
        Case::new("1 s", Step::get("/").script(&[wait(&[("retry-after", "1")]), OK]).answers(200)),
        Case::new(
            "60 s",
            Step::get("/").script(&[wait(&[("retry-after", "60")]), OK]).answers(503),
        )
        .differs(TOO_LONG),
        Case::new(
            "a date",
            Step::get("/").script(&[wait(&[("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT")]), OK]),
        )
        .differs(TOO_LONG),
    ])
}

/// Why the answers are not the same.
const FALLBACK: &str = "Envoy has no fallback; it answers as if there were none";

fn fallback() -> Group {
    let policy = "  outlierDetection: {consecutiveFailures: 0}
  fallback: {status: 599, headers: [{name: x-fallback, value: 'yes'}], body: later}
";
    Group::new("fallback", "x").policy(policy).cases([Case::new(
        "GET",
        Step::get("/").answers(599),
    )
    .differs(FALLBACK)])
}

//! Limits (the bulkhead) and ejection. Which endpoint comes first is left to chance, so that numbers are compared.

use crate::oracle::case::{Act, Case, Group, Step, View};

const E500: Act = Act::Answer(500, &[]);
const E503: Act = Act::Answer(503, &[]);
/// An answer that takes long enough for all requests of a case to meet.
const SLOW: Act = Act::Late(2500);
/// Why an endpoint that says when to come back is left in.
const OVERLOAD: &str =
    "503 with Retry-After says that the endpoint is busy, not ill; Envoy ejects it";
/// Why a waiting request is answered 503.
const SHED: &str =
    "a request waits for a connection for a bounded time, in Envoy as long as it takes";

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    limits().into_iter().chain(ejection()).chain(health()).collect()
}

type Counts = &'static [(&'static str, u32, u32)];

fn limited(service: &str, limits: &str, step: &Step, many: usize, counts: Counts) -> Group {
    let policy =
        format!("  outlierDetection: {{consecutiveFailures: 0}}\n  limits: {{{limits}}}\n");
    let steps = vec![step.clone().script(&[SLOW]); many];
    let case = Case::steps(format!("{many} at once: {limits}"), steps).at_once();
    Group::new(service, "a").policy(&policy).cases([case.view(View::Counts(counts))])
}

fn limits() -> Vec<Group> {
    let (one, two) = (Step::get("/"), Step::get("/").http2());
    let mut waiting = limited("limit-waiting", "connections: 1", &one, 3, &[("200", 3, 3)]);
    waiting.cases = waiting.cases.into_iter().map(|case| case.differs(SHED)).collect();
    vec![
        limited("limit-requests", "requests: 2", &one, 5, &[("200", 2, 2), ("503", 3, 3)]),
        limited("limit-requests-2", "requests: 2", &two, 5, &[("200", 2, 2), ("503", 3, 3)]),
        limited("limit-none", "connections: 100, requests: 100", &one, 5, &[("200", 5, 5)]),
        limited("limit-connections-2", "connections: 1", &two, 1, &[("200", 1, 1)]),
        waiting,
    ]
}

/// Service, what backend `a` of three does, detection, and how often it is asked in 36 requests.
type Sick = (&'static str, Act, &'static str, Counts);

/// An ejection is over to Envoy's other thread, so that a few more requests may slip through.
const SICK: [Sick; 7] = [
    ("eject-500", E500, "consecutiveFailures: 2", &[("a", 2, 9)]),
    ("eject-503", E503, "consecutiveFailures: 3", &[("a", 3, 9)]),
    ("eject-404", Act::Answer(404, &[]), "consecutiveFailures: 2", &[("a", 12, 12)]),
    ("eject-off", E500, "consecutiveFailures: 0", &[("a", 12, 12)]),
    (
        "eject-gateway",
        E503,
        "consecutiveFailures: 0, consecutiveGatewayFailures: 2",
        &[("a", 2, 9)],
    ),
    (
        "eject-gateway-500",
        E500,
        "consecutiveFailures: 0, consecutiveGatewayFailures: 2",
        &[("a", 12, 12)],
    ),
    ("eject-busy", BUSY, "consecutiveFailures: 2", &[("a", 12, 12)]),
];
const BUSY: Act = Act::Answer(503, &[("retry-after", "1")]);

fn ejecting(service: &str, pool: &'static str, detection: &str, case: Case) -> Group {
    let detection = format!("{detection}, baseEjection: 60s, maxEjectedPercent: 50");
    let policy =
        format!("  loadBalancer: {{policy: RoundRobin}}\n  outlierDetection: {{{detection}}}\n");
    Group::new(service, pool).policy(&policy).cases([case])
}

fn ejection() -> Vec<Group> {
    let counted = |name: &str, step: Step, many: usize, counts: Counts| {
        Case::steps(name, vec![step; many]).view(View::Counts(counts))
    };
    let sick = SICK.into_iter().map(|(service, act, detection, counts)| {
        let mut case = counted(detection, Step::get("/").but('a', act), 36, counts);
        if act == BUSY {
            case = case.differs(OVERLOAD);
        }
        ejecting(service, "abc", detection, case)
    });
    let broken =
        counted("it closes", Step::post("/", "x").but('a', Act::Close), 36, &[("503", 2, 9)]);
    let only = counted("it is the only one", Step::get("/").but('a', E500), 12, &[("a", 12, 12)]);
    sick.chain([
        ejecting("eject-closed", "abc", "consecutiveFailures: 2", broken),
        ejecting("eject-only", "a", "consecutiveFailures: 2", only),
        panic(),
    ])
    .collect()
}

/// When all are ejected, all are asked.
fn panic() -> Group {
    let step = Step::get("/").script(&[E500]);
    // Envoy takes note of what happens to endpoints within one second together.
    let steps = [vec![step.clone(); 8], vec![step.clone().pause(1200)], vec![step; 19]].concat();
    let counts: Counts = &[("500", 28, 28), ("a", 11, 17), ("b", 11, 17)];
    let case = Case::steps("all fail", steps).view(View::Counts(counts));
    let detection = "consecutiveFailures: 2, baseEjection: 60s, maxEjectedPercent: 100";
    let policy =
        format!("  loadBalancer: {{policy: RoundRobin}}\n  outlierDetection: {{{detection}}}\n");
    Group::new("eject-all", "ab").policy(&policy).cases([case])
}

/// Active health checks: who is found ill gets nothing.
fn health() -> Vec<Group> {
    let checked = |service: &str, check: &str, counts: Counts| {
        let often = "interval: 1s, timeout: 10s, healthyThreshold: 1, unhealthyThreshold: 1";
        let policy = format!(
            "  loadBalancer: {{policy: RoundRobin}}
  outlierDetection: {{consecutiveFailures: 0}}
  healthCheck: {{{check}, {often}}}\n"
        );
        // weft-proxy checks from the first call on; by the second one it has found out.
        let step = Step::get("/").answers(200);
        let steps = [vec![step.clone(), step.clone().pause(2500)], vec![step; 11]].concat();
        let case = Case::steps(check, steps).view(View::Counts(counts));
        Group::new(service, "abc").policy(&policy).cases([case])
    };
    vec![
        checked("health-ill", "http: {path: /ill}", &[("200", 13, 13), ("a", 0, 1)]),
        checked("health-well", "http: {path: /well}", &[("200", 13, 13), ("a", 4, 5)]),
        checked("health-grpc-ill", "grpc: {service: ill}", &[("200", 13, 13), ("a", 0, 1)]),
        checked("health-grpc-well", "grpc: {service: well}", &[("200", 13, 13), ("a", 4, 5)]),
        checked("health-tcp", "tcp: {}", &[("200", 13, 13), ("a", 4, 5)]),
    ]
}

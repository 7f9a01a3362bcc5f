//! Ring hash: the same key must reach the very endpoint that Envoy chooses. Session affinity by a generated cookie:
//! whoever comes back with it reaches the endpoint of before.

use crate::oracle::case::{Act, Case, Group, Step, View};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![
        by_header(),
        small_ring(),
        by_cookie(),
        by_source(),
        in_turn(),
        two_endpoints(),
        session(),
        named_session(),
        slow_start(),
        locality(),
    ]
}

fn ring(service: &str, pool: &'static str, spec: &str) -> Group {
    Group::new(service, pool).policy(&format!(
        "  outlierDetection: {{consecutiveFailures: 0}}\n  loadBalancer: {{policy: RingHash, {spec}}}\n"
    ))
}

fn one(name: String, step: Step) -> Case {
    Case::new(name, step.answers(200)).view(View::Backend)
}

fn by_header() -> Group {
    let keys = (0..40).map(|key| {
        one(format!("key {key}"), Step::get("/").header("x-user", &format!("user-{key}")))
    });
    let odd = ["", " ", "a b", "caf\u{e9}", "a,b", "0", "ANN", "ann"]
        .map(|key| one(format!("key {key:?}"), Step::get("/").header("x-user", key)));
    ring("ring-header", "abcdef", "hashOn: [{header: x-user}]").cases(keys).cases(odd).cases([
        one("two values".to_owned(), Step::get("/").header("x-user", "b").header("x-user", "a")),
        one(
            "two values, turned".to_owned(),
            Step::get("/").header("x-user", "a").header("x-user", "b"),
        ),
        one("over HTTP/2".to_owned(), Step::get("/").http2().header("x-user", "user-1")),
        one("POST".to_owned(), Step::post("/", "body").header("X-User", "user-2")),
    ])
}

fn small_ring() -> Group {
    let keys = (0..20)
        .map(|key| one(format!("key {key}"), Step::get("/").header("x-user", &format!("{key}"))));
    let spec = "hashOn: [{header: x-user}], ringSize: {minimum: 7, maximum: 32}";
    ring("ring-small", "abcd", spec).cases(keys)
}

fn by_cookie() -> Group {
    let keys = (0..12).map(|key| {
        one(format!("key {key}"), Step::get("/").header("cookie", &format!("sid=s{key}")))
    });
    ring("ring-cookie", "abcdef", "hashOn: [{cookie: {name: sid}}]").cases(keys).cases([
        one("among others".to_owned(), Step::get("/").header("cookie", "a=1; sid=s1; b=2")),
        one("quoted".to_owned(), Step::get("/").header("cookie", "sid=\"s1\"")),
        one("twice".to_owned(), Step::get("/").header("cookie", "sid=s1; sid=s2")),
        one(
            "second header".to_owned(),
            Step::get("/").header("cookie", "a=1").header("cookie", "sid=s3"),
        ),
        one("with =".to_owned(), Step::get("/").header("cookie", "sid=a=b")),
    ])
}

fn by_source() -> Group {
    let keys = (1..12)
        .map(|host| one(format!("from 127.0.0.{host}"), Step::get("/").source([127, 0, 0, host])));
    ring("ring-source", "abcdef", "hashOn: [{sourceAddress: {}}]").cases(keys)
}

/// The first that yields a value decides.
fn in_turn() -> Group {
    let spec = "hashOn: [{header: x-user}, {cookie: {name: sid}}, {sourceAddress: {}}]";
    ring("ring-turn", "abcdef", spec).cases([
        one("all".to_owned(), Step::get("/").header("x-user", "u1").header("cookie", "sid=s1")),
        one(
            "all, another cookie".to_owned(),
            Step::get("/").header("x-user", "u1").header("cookie", "sid=s9"),
        ),
        one("the cookie".to_owned(), Step::get("/").header("cookie", "sid=s1")),
        one("the address".to_owned(), Step::get("/")),
        one("another address".to_owned(), Step::get("/").source([127, 0, 0, 77])),
        one(
            "an empty header".to_owned(),
            Step::get("/").header("x-user", "").header("cookie", "sid=s1"),
        ),
    ])
}

fn two_endpoints() -> Group {
    let keys = (0..16)
        .map(|key| one(format!("key {key}"), Step::get("/").header("x-user", &format!("k{key}"))));
    ring("ring-two", "bf", "hashOn: [{header: x-user}]").cases(keys)
}

/// What starts slowly and prefers what is near serves like any other where all have long started and none is near.
fn slow_start() -> Group {
    let balancer = "policy: RoundRobin, slowStart: {window: 1s, minimumPercent: 10}, locality: {mode: PreferLocal}";
    let policy =
        format!("  outlierDetection: {{consecutiveFailures: 0}}\n  loadBalancer: {{{balancer}}}\n");
    let step = Step::get("/").answers(200);
    let steps = [vec![step.clone(), step.clone().pause(1500)], vec![step; 28]].concat();
    let counts = &[("200", 30, 30), ("a", 8, 12), ("b", 8, 12), ("c", 8, 12)];
    let case = Case::steps("in turn", steps).view(View::Counts(counts));
    Group::new("slow-start", "abc").policy(&policy).cases([case])
}

/// Why all of Envoy's endpoints are used.
const FAR: &str = "weft-proxy knows where it is and orders the endpoints itself; all callers share one ClusterLoadAssignment, so an Envoy without a local cluster has no nearest";

/// `a` and `b` are in the callers' zone, `d` is in another one.
fn locality() -> Group {
    let policy = "  outlierDetection: {consecutiveFailures: 0}
  loadBalancer: {policy: RoundRobin, locality: {mode: PreferLocal}}
";
    let steps = vec![Step::get("/").answers(200); 24];
    let counts = &[("200", 24, 24), ("a", 12, 12), ("b", 12, 12), ("d", 0, 0)];
    let case = Case::steps("near ones", steps).view(View::Counts(counts));
    Group::new("locality", "abd").policy(policy).cases([case.differs_in(&["envoy:"], FAR)])
}

fn affine(service: &str, cookie: &str) -> Group {
    Group::new(service, "abc").policy(&format!(
        "  outlierDetection: {{consecutiveFailures: 0}}\n  sessionAffinity: {{cookie: {{{cookie}}}}}\n"
    ))
}

fn session() -> Group {
    let six = |step: &Step| vec![step.clone().keeps_cookies().answers(200); 6];
    affine("session", "name: weft-affinity").cases([
        Case::steps("six requests of one client", six(&Step::get("/"))),
        Case::steps("over HTTP/2", six(&Step::get("/").http2())),
        Case::new(
            "a cookie that says nothing",
            Step::get("/").header("cookie", "weft-affinity=nonsense").answers(200),
        ),
        Case::new(
            "an answer of 404 sets it too",
            Step::get("/").script(&[Act::Answer(404, &[])]).answers(404),
        ),
    ])
}

fn named_session() -> Group {
    let step = Step::get("/cart/x").keeps_cookies().answers(200);
    affine("session-path", "name: weft-affinity, path: /cart, ttl: 1h").cases([
        Case::steps("inside the path", vec![step; 5]),
        Case::new("outside the path", Step::get("/other").answers(200)),
    ])
}

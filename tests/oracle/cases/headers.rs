//! Header modifiers of rules and of backends, for requests and responses, and the headers that a proxy handles by
//! itself (RFC 9110 §7.6).

use crate::oracle::case::{Act, Case, Group, Step};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    let requests = MODIFIERS.into_iter().enumerate().map(|(index, (name, modifier))| {
        let filter = format!("{{type: RequestHeaderModifier, requestHeaderModifier: {modifier}}}");
        Group::new(format!("headers-{index}"), "a").rules(&rule(&filter, "")).cases(asked(name))
    });
    let responses = MODIFIERS.into_iter().enumerate().map(|(index, (name, modifier))| {
        let filter =
            format!("{{type: ResponseHeaderModifier, responseHeaderModifier: {modifier}}}");
        let answer = Act::Answer(
            200,
            &[
                ("x-a", "one"),
                ("x-a", "two"),
                ("x-b", "b"),
                ("set-cookie", "c=1"),
                ("set-cookie", "d=2"),
            ],
        );
        let steps = [Step::get("/").script(&[answer]), Step::get("/").http2().script(&[answer])];
        let cases = steps
            .map(|step| Case::new(format!("answer: {name} {:?}", step.version), step.answers(200)));
        Group::new(format!("answer-headers-{index}"), "a").rules(&rule(&filter, "")).cases(cases)
    });
    requests.chain(responses).chain([both(), by_itself(), odd_values()]).collect()
}

/// Names and modifiers.
const MODIFIERS: [(&str, &str); 9] = [
    ("set a new one", "{set: [{name: x-new, value: fresh}]}"),
    ("set over two", "{set: [{name: x-a, value: only}]}"),
    ("add to two", "{add: [{name: x-a, value: three}]}"),
    ("add a new one", "{add: [{name: x-new, value: fresh}]}"),
    ("remove two", "{remove: [x-a]}"),
    ("remove what is not there", "{remove: [x-never]}"),
    (
        "set, add and remove",
        "{set: [{name: x-a, value: only}], add: [{name: x-b, value: more}], remove: [x-c]}",
    ),
    ("set in capitals", "{set: [{name: X-A, value: Only}]}"),
    (
        "several",
        "{set: [{name: x-1, value: '1'}, {name: x-2, value: '2'}], add: [{name: x-a, value: '3'}, {name: x-3, value: '3'}]}",
    ),
];

fn rule(filter: &str, of_backend: &str) -> String {
    let backend = if of_backend.is_empty() {
        "{name: a, port: 8080}".to_owned()
    } else {
        format!("{{name: a, port: 8080, filters: [{of_backend}]}}")
    };
    format!("  - filters: [{filter}]\n    backendRefs: [{backend}]\n")
}

fn asked(name: &str) -> Vec<Case> {
    let full = Step::get("/")
        .header("x-a", "one")
        .header("x-a", "two")
        .header("X-B", "b")
        .header("x-c", "c");
    vec![
        Case::new(format!("{name}: bare"), Step::get("/").answers(200)),
        Case::new(format!("{name}: full"), full.clone().answers(200)),
        Case::new(format!("{name}: HTTP/2"), full.http2().answers(200)),
    ]
}

/// Order: the rule's request headers, then the backend's; the backend's response headers, then the rule's.
fn both() -> Group {
    let of_rule = "
    - type: RequestHeaderModifier
      requestHeaderModifier: {set: [{name: x-a, value: rule}], add: [{name: x-b, value: rule}], remove: [x-c]}
    - type: ResponseHeaderModifier
      responseHeaderModifier: {set: [{name: x-a, value: rule}], add: [{name: x-b, value: rule}], remove: [x-c]}
";
    let of_backend = "
      - type: RequestHeaderModifier
        requestHeaderModifier: {set: [{name: x-a, value: backend}], add: [{name: x-b, value: backend}, {name: x-c, value: backend}]}
      - type: ResponseHeaderModifier
        responseHeaderModifier: {set: [{name: x-a, value: backend}], add: [{name: x-b, value: backend}, {name: x-c, value: backend}]}
";
    let rules = format!(
        "  - filters:{of_rule}    backendRefs:\n    - name: a\n      port: 8080\n      filters:{of_backend}"
    );
    let answer = Act::Answer(200, &[("x-a", "app"), ("x-b", "app"), ("x-c", "app")]);
    let step =
        Step::get("/").header("x-a", "client").header("x-b", "client").header("x-c", "client");
    Group::new("headers-both", "a").rules(&rules).cases([
        Case::new("rule and backend", step.clone().script(&[answer]).answers(200)),
        Case::new("rule and backend, bare", Step::get("/").answers(200)),
        Case::new("rule and backend, HTTP/2", step.http2().script(&[answer]).answers(200)),
    ])
}

fn odd_values() -> Group {
    let filter = "{type: RequestHeaderModifier, requestHeaderModifier: {set: [\
        {name: x-percent, value: '100% %REQ(x-a)% %%'}, {name: x-quote, value: 'a \"b\" \\c'}, \
        {name: x-spaces, value: 'a  b'}]}}";
    Group::new("headers-odd", "a")
        .rules(&rule(filter, ""))
        .cases([Case::new("values are no formats", Step::get("/").header("x-a", "1").answers(200))])
}

/// Why `Expect` goes on.
const EXPECT: &str =
    "a proxy forwards the expectation (RFC 9110 §10.1.1), Envoy answers it itself and drops it";
/// Why cookies are not joined.
const CRUMBS: &str =
    "cookies are joined where they leave HTTP/2 (RFC 9113 §8.2.3), and here they do not";

/// Without any rule.
fn by_itself() -> Group {
    let odd = Act::Answer(
        200,
        &[("keep-alive", "timeout=5"), ("x-app", "1"), ("proxy-connection", "close")],
    );
    let one = |name: &str, headers: &[(&str, &str)]| {
        let step =
            headers.iter().fold(Step::get("/"), |step, (name, value)| step.header(name, value));
        Case::new(name, step.answers(200))
    };
    let cookies = Step::get("/").http2().header("cookie", "a=1").header("cookie", "b=2");
    let unknown = Step::get("/").header("connection", "upgrade").header("upgrade", "tea/1");
    let expecting = Step::post("/", "x").header("expect", "100-continue");
    Group::new("headers-hop", "a").cases([
        one("Connection names another", &[("connection", "x-hop"), ("x-hop", "1")]),
        one(
            "Connection names two",
            &[("connection", "x-hop, x-top"), ("x-hop", "1"), ("x-top", "1")],
        ),
        one("Keep-Alive", &[("keep-alive", "timeout=9")]),
        one("Proxy-Connection", &[("proxy-connection", "keep-alive")]),
        Case::new("hop-by-hop of the answer", Step::get("/").script(&[odd]).answers(200)),
        one("TE: trailers", &[("te", "trailers")]),
        one("TE: gzip", &[("te", "gzip")]),
        one("Proxy-Authorization", &[("proxy-authorization", "Basic eA==")]),
        Case::new("an unknown upgrade", unknown.answers(403)),
        Case::new("Expect", expecting.answers(200)).differs_in(&["header expect"], EXPECT),
        one("cookies stay apart", &[("cookie", "a=1"), ("cookie", "b=2")]),
        Case::new("cookies over HTTP/2", cookies.answers(200))
            .differs_in(&["header cookie"], CRUMBS),
        one("X-Forwarded-For", &[("x-forwarded-for", "1.2.3.4")]),
        one("User-Agent stays", &[("user-agent", "curl/8")]),
        one("Accept-Encoding stays", &[("accept-encoding", "gzip, br")]),
        one("values of one name keep their order", &[("x-a", "2"), ("x-a", "1")]),
        one("an empty value", &[("x-empty", "")]),
        one("bytes above ASCII", &[("x-name", "caf\u{e9}")]),
        one("underscores", &[("x_under", "1")]),
    ])
}

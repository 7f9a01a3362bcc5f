//! Bodies and what stands around them: lengths, chunks, trailers, statuses without a body, upgrades.

use crate::oracle::case::{Act, Case, Group, Step};

/// Why an unknown method arrives.
const METHOD: &str = "a method is any token (RFC 9110 §9.1), Envoy has a list of them";
/// Why a header is there twice.
const LISTED: &str =
    "fields of one name stay as they came, Envoy joins some (RFC 9110 §5.3: the same)";

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![requests(), answers(), statuses(), trailers(), upgrades()]
}

fn requests() -> Group {
    let sized = |size: usize| Step::post("/", &"x".repeat(size)).answers(200);
    let sizes = [0, 1, 1000, 16_384, 65_535, 65_536, 200_000];
    let all = sizes.into_iter().flat_map(|size| {
        [sized(size), sized(size).http2()]
            .map(|step| Case::new(format!("{size} bytes {:?}", step.version), step))
    });
    let methods = ["PUT", "PATCH", "DELETE", "PROPFIND"].map(|method| {
        Case::new(
            format!("{method} with a body"),
            Step::post("/", "body").method(method).answers(200),
        )
    });
    Group::new("bodies", "a").cases(all).cases(methods).cases([
        Case::new("an unknown method", Step::post("/", "x").method("M-SEARCH")).differs(METHOD),
        Case::new("chunks", Step::raw(CHUNKS).answers(200)),
        Case::new("chunks with extensions", Step::raw(EXTENDED).answers(200)),
        Case::new("GET with a body", Step::post("/", "odd").method("GET").answers(200)),
    ])
}

const CHUNKS: &str = "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nconnection: close\r\n\
    transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n00a\r\n0123456789\r\n0\r\n\r\n";
const EXTENDED: &str = "POST / HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nconnection: close\r\n\
    transfer-encoding: chunked\r\n\r\n3;a=b\r\nabc\r\n0;last\r\n\r\n";

fn answers() -> Group {
    let twice = Act::Answer(200, &[("vary", "accept"), ("vary", "x"), ("x-a", "1"), ("x-a", "2")]);
    let one = |name: &str, step: Step| {
        [step.clone(), step.http2()]
            .map(|step| Case::new(format!("{name} {:?}", step.version), step))
    };
    Group::new("answers", "a")
        .cases(one("HEAD", Step::get("/").method("HEAD").answers(200)))
        .cases(one("broken off", Step::get("/").script(&[Act::BreakOff]).answers(200)))
        .cases(
            one("fields of one name", Step::get("/").script(&[twice]).answers(200))
                .map(|case| case.differs_in(&["header vary"], LISTED)),
        )
        .cases(one("late", Step::get("/").script(&[Act::Late(200)]).answers(200)))
        .cases(one(
            "caching headers",
            Step::get("/").script(&[Act::Answer(
                200,
                &[("etag", "\"x\""), ("cache-control", "max-age=1"), ("vary", "accept")],
            )]),
        ))
}

fn statuses() -> Group {
    let scripts = STATUSES.map(|status| [Act::Answer(status, &[("x-app", "1")])]);
    let all = STATUSES.into_iter().zip(scripts).flat_map(|(status, script)| {
        let step = Step::get("/").script(&script).answers(status);
        [step.clone(), step.http2()]
            .map(|step| Case::new(format!("{status} {:?}", step.version), step))
    });
    Group::new("statuses", "a").cases(all)
}

const STATUSES: [u16; 16] =
    [201, 202, 204, 205, 206, 301, 304, 400, 401, 403, 405, 409, 413, 418, 501, 599];

fn trailers() -> Group {
    let sent = || Step::post("/", "body").trailer("x-sum", "abc").answers(200);
    let got = || Step::get("/").header("te", "trailers").script(&[Act::Trailing]).answers(200);
    Group::new("trailers", "a").cases([
        Case::new("of a request", sent()),
        Case::new("of a request over HTTP/2", sent().http2()),
        Case::new("of an answer", got()),
        Case::new("of an answer over HTTP/2", got().http2()),
        Case::new(
            "of an answer that nobody asked for",
            Step::get("/").script(&[Act::Trailing]).answers(200),
        ),
    ])
}

fn upgrades() -> Group {
    let step = |bytes| Step::raw(bytes).script(&[Act::Upgrade]);
    Group::new("upgrades", "a").cases([
        Case::new("WebSocket", step(WEBSOCKET)),
        Case::new("WebSocket that the application refuses", Step::raw(WEBSOCKET).answers(200)),
    ])
}

const WEBSOCKET: &str = "GET /chat HTTP/1.1\r\nhost: a\r\nx-oracle: $ID\r\nconnection: Upgrade\r\n\
    upgrade: websocket\r\nsec-websocket-version: 13\r\nsec-websocket-key: x3JJHMbDL1EzLkh9GBhXDw==\r\n\r\n\
    a frame, or so";

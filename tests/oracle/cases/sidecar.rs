//! Through the sidecar of the callee, over mutual TLS: its weft-proxy serves both callers, which have one identity.

use crate::oracle::case::{Act, Case, Group, OK, Step};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    let rules = "  - backendRefs: [{name: meshed, port: 8080}]\n";
    vec![Group::new("sidecar", "a").rules(rules).cases([
        Case::new("GET", Step::get("/").answers(200)),
        Case::new("POST", Step::post("/", "hello").answers(200)),
        Case::new("GET over HTTP/2", Step::get("/").http2().answers(200)),
        Case::new("POST over HTTP/2", Step::post("/", "hello").http2().answers(200)),
        Case::new("gRPC", Step::grpc("/a.B/C").answers(200)),
        Case::new("gRPC error", Step::grpc("/a.B/C").script(&[Act::GrpcError(7)]).answers(200)),
        Case::new(
            "gRPC error in trailers",
            Step::grpc("/a.B/C").script(&[Act::GrpcEcho(9)]).answers(200),
        ),
        Case::new("404", Step::get("/").script(&[Act::Answer(404, &[])]).answers(404)),
        Case::new("503", Step::get("/").script(&[Act::Answer(503, &[]), OK]).answers(503)),
        Case::new(
            "forged certificate header",
            Step::get("/").header("x-forwarded-client-cert", "URI=spiffe://x/y").answers(200),
        ),
        Case::new("broken off", Step::get("/").script(&[Act::BreakOff]).answers(200)),
    ])]
}

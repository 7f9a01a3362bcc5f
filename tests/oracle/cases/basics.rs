//! Without any route: what a Service does by itself.

use crate::oracle::case::{Act, Case, Group, Step};

const RAW: &str = "POST /raw HTTP/1.1\r\nHost: a\r\nX-Oracle: $ID\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![plain(), unreachable()]
}

fn plain() -> Group {
    Group::new("plain", "a").cases([
        Case::new("a GET", Step::get("/").answers(200)),
        Case::new("a GET with a query", Step::get("/x/y?b=1&a=2").answers(200)),
        Case::new("a POST", Step::post("/", "hello").answers(200)),
        Case::new("a GET over HTTP/2", Step::get("/").http2().answers(200)),
        Case::new("a POST over HTTP/2", Step::post("/", "hello").http2().answers(200)),
        Case::new("byte by byte as written", Step::raw(RAW).answers(200)),
        Case::new("HEAD", Step::get("/").method("HEAD").answers(200)),
        Case::new(
            "404 from the application",
            Step::get("/").script(&[Act::Answer(404, &[])]).answers(404),
        ),
        Case::new("gRPC", Step::grpc("/shop.Cart/Add").answers(200)),
        Case::new(
            "gRPC error",
            Step::grpc("/shop.Cart/Add").script(&[Act::GrpcError(5)]).answers(200),
        ),
    ])
}

fn unreachable() -> Group {
    Group::new("refusing", "x").cases([
        Case::new("GET", Step::get("/").answers(503)),
        Case::new("POST", Step::post("/", "hello").answers(503)),
        Case::new("gRPC", Step::grpc("/shop.Cart/Add").answers(200)),
    ])
}

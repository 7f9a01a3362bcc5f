//! GRPCRoutes: service, method and metadata; and what gRPC clients are told when nothing serves.

use super::{OWN, backends};
use crate::oracle::case::{Act, Case, Group, Step};

/// The topic's groups.
pub(crate) fn groups() -> Vec<Group> {
    vec![matches(), statuses(), hosts()]
}

fn rule(name: &str, matched: &str) -> String {
    let matches =
        if matched.is_empty() { String::new() } else { format!("matches: [{matched}]\n    ") };
    format!(
        "  - {matches}filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {{set: [{{name: x-rule, value: {name}}}]}}}}]
    backendRefs: [{}]\n",
        backends(&["a"])
    )
}

fn matches() -> Group {
    let rules = [
        rule("exact", "{method: {service: shop.Cart, method: Add}}"),
        rule("service", "{method: {service: shop.Cart}}"),
        rule("method", "{method: {method: Watch}}"),
        rule(
            "metadata",
            "{method: {service: shop.Cart}, headers: [{name: x-tenant, value: gold}]}",
        ),
        rule(
            "regex",
            "{method: {type: RegularExpression, service: 'shop\\.[A-Z].*', method: 'Get.*'}}",
        ),
    ]
    .concat();
    let asked = [
        "/shop.Cart/Add",
        "/shop.Cart/Remove",
        "/shop.cart/Add",
        "/shop.Cart/add",
        "/shop.Cart/AddAll",
        "/other.Service/Watch",
        "/shop.Order/GetOne",
        "/shop.Order/List",
        "/shop.order/GetOne",
        "/shop.Cart/",
        "/shop.Cart",
        "/",
        "/shop.Cart/Add/more",
        "/a.b.c.D/Watch",
        "/shop.Cart/Add?x=1",
    ];
    let plain = asked.map(|path| Case::new(format!("call {path}"), Step::grpc(path)));
    let gold = ["/shop.Cart/Add", "/shop.Cart/Remove", "/other.Service/Watch"].map(|path| {
        Case::new(format!("call {path} of gold"), Step::grpc(path).header("x-tenant", "gold"))
    });
    let not_grpc = [
        Case::new("POST that is no gRPC", Step::post("/shop.Cart/Add", "x").http2()),
        Case::new("GET that is no gRPC", Step::get("/shop.Cart/Add").http2()),
        Case::new("over HTTP/1.1", Step::post("/shop.Cart/Add", "x")),
    ];
    Group::new("grpc-matches", "a")
        .route("GRPCRoute", "grpc-matches", "", &rules)
        .cases(plain)
        .cases(gold)
        .cases(not_grpc)
}

fn statuses() -> Group {
    let call = || Step::grpc("/shop.Cart/Add");
    let trailing = (0..17).map(|status| {
        Case::new(
            format!("status {status} in trailers"),
            call().script(&[Act::GrpcEcho(status)]).answers(200),
        )
    });
    let alone = (1..17).map(|status| {
        Case::new(
            format!("status {status} alone"),
            call().script(&[Act::GrpcError(status)]).answers(200),
        )
    });
    Group::new("grpc-statuses", "a")
        .route("GRPCRoute", "grpc-statuses", "", &rule("any", ""))
        .cases(trailing)
        .cases(alone)
        .cases([
            Case::new(
                "HTTP 503 from the application",
                call().script(&[Act::Answer(503, &[])]).answers(503),
            ),
            Case::new("reset", call().script(&[Act::Close])).differs_in(&["header x-rule"], OWN),
        ])
}

fn hosts() -> Group {
    Group::new("grpc-hosts", "a")
        .route("GRPCRoute", "grpc-hosts", "  hostnames: [cart.test]\n", &rule("any", ""))
        .cases([
            Case::new("its host", Step::grpc("/a.B/C").host("cart.test").answers(200)),
            Case::new("another host", Step::grpc("/a.B/C").host("other.test")),
            Case::new("another host, no gRPC", Step::get("/").host("other.test").answers(404)),
        ])
}

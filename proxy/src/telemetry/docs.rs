//! `docs/reference/metrics.md` and `docs/reference/errors.md`, made from the tables in the code. Only tests are
//! here: they fail when a page is stale and say how to make it anew.

use std::fmt::Write;
use std::path::Path;

use super::metrics::{self, Kind};
use crate::error::{Fault, Token};

const NOTE: &str = "<!-- Made from the code; change it there and run: \
                    UPDATE_DOCS=1 cargo test -p weft-proxy docs -->";

fn metrics_page() -> String {
    let mut page = format!(
        "{NOTE}\n\n# Metrics of the sidecar\n\n\
         Prometheus text on `/metrics`, over TCP (`--health`) and on the admin socket.\n\n\
         Requests are measured by OpenTelemetry's semantic conventions (`http.*.request.duration`, `rpc.*.call.duration`), with \
         the buckets that they ask for; what the conventions have no name for begins with `weft_`. A label without a value is \
         left out of histograms.\n\n\
         Labels name objects and identities that somebody configured, never a Host or path that somebody sent; methods that \
         nobody knows are `_OTHER`. There is room for {} series about requests and connections (`--metrics-series`, \
         `WEFT_METRICS_SERIES`; `weft_metrics_series` is how many are taken): an edge, which is a combination of `peer`, \
         `route` and `backend`, counts as {}, for a usual one has so many, and each of its histograms, at most 32, as {}. \
         What finds no room is counted under `peer=\"{}\"`, so that \
         sums stay right. Of edges at most {} are kept. A series appears with its first count; it goes 15 minutes after the \
         last route that used it, and while its edge has counted nothing for 15 minutes it is not shown.\n\n",
        metrics::DEFAULT_SERIES,
        metrics::EDGE_SERIES,
        metrics::HISTOGRAM_SERIES,
        metrics::OTHER,
        metrics::MAX_EDGES,
    );
    page += "| label | value |\n|---|---|\n";
    for (label, value) in [
        ("direction", "`outbound`: measured by the caller's sidecar; `inbound`: by the receiver's"),
        (
            "peer",
            "outbound the Service port asked for (`product.shop:8080`); inbound the caller's SPIFFE id, empty in plaintext",
        ),
        ("route", "the route object as `Kind/namespace/name#rule`; empty if none"),
        ("backend", "outbound the Service port that the rule chose; empty if none"),
        ("mtls", "`true` if it travelled over mutual TLS"),
        ("workload", "`product-v1.shop`"),
        ("endpoint", "address and port"),
        ("standing", "`in_force`, `waiting`, `absent`, `unused`"),
        ("error", "a token of [errors.md](errors.md)"),
        (
            "http_route",
            "the path pattern of the rule's match (`/products/*`); none if it takes every path",
        ),
        (
            "error_type",
            "a token of [errors.md](errors.md), else gRPC's code or HTTP's status, where that is an error: outbound 4xx and 5xx and every code but OK, inbound 5xx and the codes that are a server's fault",
        ),
        (
            "rpc_method",
            "where a rule's path is one method of gRPC and no other (`shop.v1.Cart/Add`)",
        ),
        ("server_address, server_port", "the parts of `peer`"),
    ] {
        let _ = writeln!(page, "| `{label}` | {value} |");
    }
    page += "\n| metric | type | labels | meaning |\n|---|---|---|---|\n";
    for what in metrics::ALL {
        let kind = match what.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let labels: Vec<_> = what.labels.iter().map(|label| format!("`{label}`")).collect();
        let (name, labels, help) = (what.name, labels.join(" "), what.help);
        let _ = writeln!(page, "| `{name}` | {kind} | {labels} | {help} |");
    }
    page
}

fn errors_page() -> String {
    let mut page = format!(
        "{NOTE}\n\n# Error tokens\n\n\
         A response that the sidecar makes itself carries `Proxy-Status` (RFC 9209) with one of these words, \
         and the object that caused it where one is known:\n\n\
         ```\nproxy-status: weft; error=connection_refused; details=\"HTTPRoute/shop/web#0: …\"\n```\n\n\
         The same word is in the access log (`error`), in the span (`error.type`) and in the metric \
         `weft_request_errors_total` (`error`). A token is never renamed. The answer's `x-request-id` is what \
         `weft why` takes ([why.md](why.md)).\n\n\
         | token | status | whose fault | meaning |\n|---|---|---|---|\n"
    );
    for token in Token::ALL {
        let fault = match token.fault() {
            Fault::Downstream => "the client's",
            Fault::Upstream => "the endpoint's, or the way's to it",
            Fault::Local => "this sidecar's, or its configuration's",
        };
        let (status, meaning) = (token.status().as_u16(), token.meaning().trim());
        let _ = writeln!(page, "| `{token}` | {status} | {fault} | {meaning} |");
    }
    page
}

fn check(name: &str, expected: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference").join(name);
    if option_env!("UPDATE_DOCS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, expected).unwrap();
    }
    let found = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        found == expected,
        "docs/reference/{name} is stale; run: UPDATE_DOCS=1 cargo test -p weft-proxy docs"
    );
}

#[test]
fn the_page_of_metrics_is_the_code() {
    check("metrics.md", &metrics_page());
}

#[test]
fn the_page_of_errors_is_the_code() {
    check("errors.md", &errors_page());
}

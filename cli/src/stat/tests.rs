//! The tables people read, and the JSON programs read.

use serde_json::json;

use super::*;

fn shop() -> Stat {
    serde_json::from_value(json!({
        "schema_version": 1, "window_s": 10,
        "workloads": [
            {"name": "payment", "namespace": "shop", "version": "v1", "workload": "payment.shop",
             "meshed": true, "identity": "spiffe://demo.local/ns/shop/sa/payment", "requests": 60,
             "rps": 6.0, "success_rate": 0.85, "p50_ms": 5.04, "p99_ms": 31.0, "mtls_share": 1.0,
             "retries": 0},
            {"name": "idle", "namespace": "shop", "meshed": false, "requests": 0, "rps": 0.0,
             "success_rate": null, "p50_ms": null, "p99_ms": null, "mtls_share": null, "retries": 0}],
        "edges": [
            {"source": "outside", "destination": "gateway", "namespace": "shop", "mesh": false,
             "requests": 10000, "rps": 20.0, "success_rate": 0.9996, "p50_ms": 9.0, "p99_ms": 118.4,
             "mtls_share": 0.0, "retries": 0}],
        "routes": [
            {"source": "gateway", "destination": "product", "route": "shop/product#0",
             "backend": "product-v2", "requests": 8, "rps": 0.8, "success_rate": 1.0, "p50_ms": 2.0,
             "p99_ms": 12345.0, "retries": 2}]
    }))
    .unwrap()
}

fn plain(view: StatView, format: Format) -> String {
    anstream::adapter::strip_str(&draw(view, &shop(), format)).to_string()
}

#[test]
fn a_failing_workload_is_marked_and_an_idle_one_has_no_figures() {
    assert_eq!(
        plain(StatView::Workloads, Format::Table),
        "NAME     VERSION  MESHED  SUCCESS  RPS    P50   P99  RETRIES  mTLS  \n\
         payment  v1       yes       85.0%  6.0  5.0ms  31ms     0.0%  100%  ◂ failing\n\
         idle     -        no            -  0.0      -     -        -     -  "
    );
    assert!(
        plain(StatView::Workloads, Format::Wide).contains("spiffe://demo.local/ns/shop/sa/payment")
    );
}

#[test]
fn shares_are_cut_not_rounded_up_to_all() {
    let edges = plain(StatView::Edges, Format::Table);
    assert!(edges.contains("99.9%") && !edges.contains("100.0%"), "{edges}");
    assert!(edges.contains("  0%"), "{edges}");
}

#[test]
fn routes_name_their_backend() {
    let routes = plain(StatView::Routes, Format::Table);
    assert!(
        routes.contains("shop/product#0  product-v2   100.0%  0.8  2.0ms  12s    25.0%"),
        "{routes}"
    );
}

#[test]
fn nothing_seen_is_said_in_words() {
    let nothing = Stat::default();
    assert!(draw(StatView::Edges, &nothing, Format::Table).starts_with("No requests"));
}

#[test]
fn json_of_one_view_leaves_the_others_out() {
    let edges = only(StatView::Edges, serde_json::to_value(shop()).unwrap());
    assert_eq!(edges["schema_version"], 1);
    assert!(edges["edges"].is_array() && edges.get("workloads").is_none());
}

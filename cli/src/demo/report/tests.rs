//! What is `ok` and what is not.

use serde_json::json;

use super::*;

/// A good run of 200 requests, 60 of them checkouts, 9 of which fail as built in.
fn good() -> Observed {
    let workloads: Vec<_> = WORKLOADS
        .iter()
        .map(|workload| {
            json!({"name": workload.service, "namespace": "shop", "version": workload.version,
                   "workload": workload.full_name(), "meshed": true,
                   "identity": format!("spiffe://demo.local/ns/shop/sa/{}", workload.service)})
        })
        .collect();
    let edge = |source: &str, destination: &str, requests: u64, failures: u64| {
        let outside = source == "outside";
        json!({"source": source, "destination": destination, "namespace": "shop", "mesh": !outside,
               "requests": requests, "rps": 1.0, "p50_ms": 1.0, "p99_ms": 2.0, "retries": 0,
               "success_rate": 1.0 - failures as f64 / requests as f64,
               "mtls_share": if outside { 0.0 } else { 1.0 }})
    };
    let stat = json!({"schema_version": 1, "window_s": 10, "workloads": workloads, "routes": [],
        "edges": [edge("outside", "gateway", 200, 9), edge("gateway", "user", 20, 0),
                  edge("gateway", "product", 120, 0), edge("gateway", "order", 60, 9),
                  edge("order", "user", 60, 0), edge("order", "product", 60, 0),
                  edge("order", "payment", 60, 9)]});
    let proxies = WORKLOADS.iter().map(|workload| Proxy {
        workload: workload.full_name(),
        connected: true,
        traces: TraceCounts { started: 10, exported: 8, dropped: 0 },
        ..Proxy::default()
    });
    Observed {
        stat: serde_json::from_value(stat).unwrap(),
        proxies: proxies.collect(),
        load: Counts { sent: 200, good: 191, failed: 9, ..Counts::default() },
        duration_s: 10.0004,
        urls: [("shop".to_owned(), "http://127.0.0.1:8080".to_owned())].into(),
        ..Observed::default()
    }
}

fn change(observed: &mut Observed, source: &str, destination: &str, change: impl Fn(&mut Edge)) {
    let edges = observed.stat.edges.iter_mut();
    edges.filter(|edge| edge.source == source && edge.destination == destination).for_each(change);
}

fn errors_with(spoil: impl Fn(&mut Observed)) -> Vec<String> {
    let mut observed = good();
    spoil(&mut observed);
    let report = report(observed);
    assert_eq!(report.ok, report.errors.is_empty());
    report.errors
}

#[test]
fn a_good_run_is_ok_and_has_the_documented_form() {
    let value = serde_json::to_value(report(good())).unwrap();
    assert_eq!((&value["ok"], &value["errors"]), (&json!(true), &json!([])));
    assert_eq!(value["schema_version"], 1);
    assert_eq!(value["duration_s"], 10.0);
    assert_eq!(value["urls"]["shop"], "http://127.0.0.1:8080");
    assert_eq!(value["workloads"].as_array().unwrap().len(), 6);
    assert_eq!(value["edges"].as_array().unwrap().len(), 7);
    assert_eq!(
        value["traces"],
        json!({"started": 60, "exported": 48, "dropped": 0, "collector": null})
    );
    assert_eq!(value["proxies"], json!({"connected": 6, "synced": 6, "rejected": 0}));
    let fault = &value["expected_faults"][0];
    assert_eq!((&fault["workload"], &fault["share"]), (&json!("payment"), &json!(0.15)));
    assert!((fault["observed_share"].as_f64().unwrap() - 0.15).abs() < 1e-9);
}

#[test]
fn one_plaintext_request_on_a_mesh_edge_is_not_ok_but_outside_is_plaintext() {
    let errors = errors_with(|o| change(o, "order", "user", |edge| edge.mtls_share = Some(0.99)));
    assert_eq!(errors, ["not all requests from order to user were mTLS"]);
}

#[test]
fn failures_beyond_those_built_in_are_not_ok() {
    let one = |requests: u64| Some(1.0 - 1.0 / requests as f64);
    let errors =
        errors_with(|o| change(o, "gateway", "user", |edge| edge.golden.success_rate = one(20)));
    assert_eq!(errors.len(), 1, "{errors:?}");
    let errors = errors_with(|o| {
        change(o, "outside", "gateway", |edge| edge.golden.success_rate = Some(0.95))
    });
    assert!(errors[0].contains("10 of 200") && errors[0].contains("at most 9"), "{errors:?}");
    let errors =
        errors_with(|o| change(o, "order", "payment", |edge| edge.golden.success_rate = Some(0.5)));
    assert!(errors[0].contains("30 of 60"), "{errors:?}");
}

#[test]
fn an_edge_without_requests_is_not_ok_unless_there_is_no_load() {
    let errors = errors_with(|o| change(o, "order", "payment", |edge| edge.golden.requests = 0));
    assert!(errors.contains(&"no request was seen from order to payment".to_owned()), "{errors:?}");
    let idle = errors_with(|observed| {
        observed.stat.edges.clear();
        observed.load = Counts::default();
    });
    assert_eq!(idle, [""; 0]);
}

#[test]
fn a_sidecar_that_is_away_or_rejects_is_not_ok() {
    let errors = errors_with(|observed| observed.proxies[2].connected = false);
    assert_eq!(errors, ["the sidecar of product-v1.shop is not connected"]);
    let errors = errors_with(|observed| {
        observed.proxies[0].resources = serde_json::from_value(
            json!({"routes": {"sent": "2", "rejected": {"version": "2", "reason": "bad regex"}}}),
        )
        .unwrap();
    });
    assert_eq!(errors, ["the sidecar of gateway.shop rejected routes: bad regex"]);
}

#[test]
fn requests_without_an_answer_are_not_ok() {
    let errors = errors_with(|observed| observed.load.unanswered = 1);
    assert_eq!(errors, ["1 of 200 requests from outside got no answer"]);
}

#[test]
fn figures_have_settled_when_callers_and_called_agree() {
    let mut observed = good();
    assert!(!has_settled(&observed.stat, observed.load), "nothing has come in yet");
    for (name, requests) in
        [("gateway.shop", 200), ("user.shop", 80), ("product-v1.shop", 170), ("order.shop", 60)]
    {
        for workload in observed.stat.workloads.iter_mut().filter(|w| w.workload == name) {
            workload.golden.requests = requests;
        }
    }
    assert!(!has_settled(&observed.stat, observed.load), "product-v2 and payment are missing");
    for (name, requests) in [("product-v2.shop", 10), ("payment.shop", 60)] {
        for workload in observed.stat.workloads.iter_mut().filter(|w| w.workload == name) {
            workload.golden.requests = requests;
        }
    }
    assert!(has_settled(&observed.stat, observed.load));
}

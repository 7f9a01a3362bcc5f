//! The verdict as a table; and the page of its words, made from the code.

use std::fmt::Write as _;
use std::path::Path;

use super::*;
use crate::why::facts::{
    Attempt, Backend, Destination, Door, Endpoint, Party, Policy, Route, Sidecar,
};

const ENDPOINT: &str = "127.0.0.3:8080";

/// Order calls payment through a rule, over mutual TLS; nothing is wrong yet.
fn facts() -> Facts {
    let outbound = Entry {
        workload: "order.shop".into(),
        identity: "spiffe://a/ns/shop/sa/order".into(),
        direction: "outbound".into(),
        method: "POST".into(),
        path: "/charge".into(),
        service: "payment.shop:8080".into(),
        route: "HTTPRoute/shop/payment#0".into(),
        backend: "payment.shop:8080".into(),
        peer_address: ENDPOINT.into(),
        peer_identity: "spiffe://a/ns/shop/sa/payment".into(),
        peer_workload: "payment-v1.shop".into(),
        attempts: vec![Attempt { workload: "payment-v1.shop".into(), ..Attempt::default() }],
        endpoints_all: 1,
        endpoints_ready: 1,
        endpoints: vec![Endpoint { state: "ready".into(), ..Endpoint::default() }],
        ..Entry::default()
    };
    Facts { outbound: Some(outbound), lookup: Some(model()), ..Facts::default() }
}

/// What the model says of it.
fn model() -> Lookup {
    let connected = Sidecar { connected: true, in_sync: true, ..Sidecar::default() };
    Lookup {
        source: vec![Party {
            workload: "order.shop".into(),
            meshed: true,
            sidecar: connected.clone(),
            ..Party::default()
        }],
        destination: Destination {
            service: Some("payment.shop:8080".into()),
            object: Some("Service/shop/payment".into()),
            ..Destination::default()
        },
        route: Route {
            object: Some("HTTPRoute/shop/payment#0".into()),
            attached: vec!["HTTPRoute/shop/payment".into()],
            try_timeout_by: Some("TrafficPolicy/shop/payment retries.perTryTimeout".into()),
            ..Route::default()
        },
        backends: vec![Backend {
            service: "payment.shop:8080".into(),
            object: Some("Service/shop/payment".into()),
            weight: 1,
            selects: 1,
            endpoints: 1,
            target_port: "http".into(),
            ..Backend::default()
        }],
        policy: Some(Policy { object: "TrafficPolicy/shop/payment".into(), ..Policy::default() }),
        doors: vec![Door {
            workload: "payment-v1.shop".into(),
            object: "MeshWorkload/shop/payment-v1".into(),
            address: "127.0.0.3".into(),
            port: 8080,
            declared: true,
            ports: vec![8080],
            meshed: true,
            mtls: "STRICT".into(),
            mtls_by: Some("InboundPolicy/shop/strict".into()),
            verdict: Some("allowed".into()),
            sidecar: connected,
            ..Door::default()
        }],
        ..Lookup::default()
    }
}

fn out(facts: &mut Facts) -> &mut Entry {
    facts.outbound.as_mut().unwrap()
}

fn lookup(facts: &mut Facts) -> &mut Lookup {
    facts.lookup.as_mut().unwrap()
}

/// The caller's sidecar says this.
fn token(facts: &mut Facts, token: &str, reason: &str) {
    (out(facts).error, out(facts).reason) = (token.into(), reason.into());
}

/// The receiver's says this, and the caller's hands it on.
fn received(facts: &mut Facts, token: &str, status: u16) {
    out(facts).status = status;
    facts.inbound = Some(Entry {
        workload: "payment-v1.shop".into(),
        direction: "inbound".into(),
        error: token.into(),
        status,
        ..Entry::default()
    });
}

type Case = (&'static str, &'static str, &'static str, fn(&mut Facts));

/// What there is to be seen, and what it comes to: fault, whose, object.
const CASES: &[(Case, &str)] = &[
    (
        ("no-endpoints", "configuration", "Service/shop/payment", |f| {
            token(f, "destination_unavailable", "");
            (out(f).peer_address, out(f).endpoints_all) = (String::new(), 0);
            (lookup(f).backends[0].selects, lookup(f).backends[0].endpoints) = (0, 0);
            lookup(f).doors.clear();
        }),
        "a selector that selects nobody",
    ),
    (
        ("wrong-port", "configuration", "Service/shop/payment", |f| {
            token(f, "destination_unavailable", "");
            (out(f).peer_address, out(f).endpoints_all) = (String::new(), 0);
            lookup(f).backends[0].endpoints = 0;
            lookup(f).doors.clear();
        }),
        "a named port that no workload has",
    ),
    (
        ("wrong-port", "configuration", "Service/shop/payment", |f| {
            token(f, "connection_refused", "");
            lookup(f).doors[0].declared = false;
        }),
        "a port that the workload does not serve",
    ),
    (
        ("wrong-port", "configuration", "Service/shop/payment", |f| {
            token(f, "proxy_configuration_error", "");
            lookup(f).destination.service = None;
        }),
        "a port that the Service does not have",
    ),
    (
        ("all-ejected", "application", "Service/shop/payment", |f| {
            out(f).status = 503;
            out(f).endpoints[0].state = "ejected".into();
        }),
        "everybody is out",
    ),
    (
        ("no-route", "configuration", "HTTPRoute/shop/payment", |f| {
            token(f, "route_not_found", "");
            (out(f).peer_address, out(f).route) = (String::new(), String::new());
            lookup(f).route.object = None;
        }),
        "no rule",
    ),
    (
        ("backend-missing", "configuration", "HTTPRoute/shop/payment#0", |f| {
            token(f, "backend_invalid", "");
            lookup(f).backends[0].invalid = Some("there is no Service shop/none".into());
        }),
        "a backend that is not there",
    ),
    (
        ("try-timeout", "application", "TrafficPolicy/shop/payment", |f| {
            token(f, "http_response_timeout", "per_try_timeout");
            f.inbound = Some(Entry { error: "downstream_closed".into(), ..Entry::default() });
        }),
        "one attempt; the receiver saw the caller go",
    ),
    (
        ("request-timeout", "application", "HTTPRoute/shop/payment#0", |f| {
            token(f, "http_response_timeout", "request_timeout");
        }),
        "all attempts",
    ),
    (
        ("retry-budget-empty", "application", "TrafficPolicy/shop/payment", |f| {
            (out(f).status, out(f).stopped) = (503, "retry_budget".into());
        }),
        "nothing left to try with",
    ),
    (
        ("limit-reached", "configuration", "TrafficPolicy/shop/payment", |f| {
            token(f, "request_limit_reached", "");
        }),
        "too many under way",
    ),
    (
        ("rate-limited", "caller", "InboundPolicy/shop/limits", |f| {
            received(f, "rate_limited", 429);
            f.inbound.as_mut().unwrap().object = "InboundPolicy/shop/limits".into();
        }),
        "too many a second",
    ),
    (
        ("rate-limited", "caller", "InboundPolicy/shop/limits", |f| {
            (out(f).status, out(f).reported) = (429, "rate_limited".into());
            out(f).reported_detail =
                "InboundPolicy/shop/limits: more than 1 requests in 60s".into();
        }),
        "the same by what the caller's sidecar was told",
    ),
    (
        ("denied", "configuration", "AccessPolicy/shop/readers#carts", |f| {
            received(f, "http_request_denied", 403);
            f.inbound.as_mut().unwrap().denied_by = "AccessPolicy/shop/readers#carts".into();
        }),
        "a rule that denies",
    ),
    (
        ("denied", "configuration", "payment-v1.shop", |f| {
            received(f, "http_request_denied", 403);
            f.inbound.as_mut().unwrap().denied_by = "none".into();
        }),
        "no rule that allows",
    ),
    (
        ("certificate-expired", "mesh", "certificate of payment-v1.shop", |f| {
            token(f, "tls_certificate_error", "expired");
        }),
        "theirs",
    ),
    (
        ("certificate-expired", "mesh", "certificate of order.shop", |f| {
            token(f, "identity_unavailable", "expired");
        }),
        "our own",
    ),
    (
        ("certificate-expired", "mesh", "certificate of order.shop", |f| {
            token(f, "tls_certificate_error", "own_refused");
            f.refusal = Some(Entry { reason: "expired".into(), ..Entry::default() });
        }),
        "our own, as they see it",
    ),
    (
        ("untrusted-root", "mesh", "certificate of payment-v1.shop", |f| {
            token(f, "tls_certificate_error", "unknown_issuer");
        }),
        "of somebody else's CA",
    ),
    (
        ("wrong-identity", "mesh", "certificate of payment-v1.shop", |f| {
            token(f, "tls_certificate_error", "wrong_identity");
        }),
        "somebody else",
    ),
    (
        ("plaintext-refused", "configuration", "InboundPolicy/shop/strict", |f| {
            token(f, "connection_terminated", "");
            out(f).peer_identity = String::new();
            lookup(f).doors[0].meshed = false;
        }),
        "without a certificate",
    ),
    (
        ("protocol-mismatch", "configuration", "Service/shop/payment", |f| {
            received(f, "http_protocol_error", 502);
        }),
        "no HTTP",
    ),
    (
        ("application-refused", "application", "payment-v1.shop", |f| {
            received(f, "application_unreachable", 503);
        }),
        "nobody behind the sidecar",
    ),
    (
        ("application-reset", "application", "payment-v1.shop", |f| {
            received(f, "connection_terminated", 503);
        }),
        "it hangs up",
    ),
    (
        ("application-error", "application", "payment-v1.shop", |f| {
            out(f).status = 503;
            f.inbound =
                Some(Entry { workload: "payment-v1.shop".into(), status: 503, ..Entry::default() });
        }),
        "its own answer",
    ),
    (
        ("application-error", "application", "payment-v1.shop", |f| {
            (out(f).status, out(f).grpc_status) = (200, Some(14));
        }),
        "its own answer in gRPC's words",
    ),
    (
        ("stale-configuration", "mesh", "sidecar of order.shop", |f| {
            token(f, "connection_refused", "");
            (out(f).peer_address, out(f).out_of_touch_s) = ("127.0.0.9:8080".into(), 12);
        }),
        "an endpoint of yesterday",
    ),
    (
        ("stale-configuration", "mesh", "sidecar of order.shop", |f| {
            token(f, "route_not_found", "");
            (out(f).peer_address, out(f).route) = (String::new(), String::new());
            lookup(f).source[0].sidecar.rejected = vec!["routes: no".into()];
        }),
        "a rule that it refused",
    ),
    (
        ("unreachable", "mesh", "sidecar of payment-v1.shop", |f| {
            token(f, "connection_refused", "");
        }),
        "a sidecar that is down, of an endpoint that is known",
    ),
    (
        ("unreachable", "mesh", "sidecar of payment-v1.shop", |f| {
            token(f, "connection_refused", "");
            out(f).out_of_touch_s = 12;
        }),
        "the same: to be out of touch explains nothing where nothing has changed",
    ),
    (
        ("slow", "application", "payment-v1.shop", |f| {
            (out(f).status, out(f).slow) = (200, true);
            (out(f).first_byte_us, out(f).connect_us) = (900_000, 1_000);
        }),
        "slow",
    ),
    (
        ("caller-left", "caller", "order.shop", |f| token(f, "downstream_closed", "")),
        "nobody waits",
    ),
    (("nothing", "nobody", "", |f| f.outbound = None), "nobody remembers any"),
    (
        ("denied", "configuration", "payment-v1.shop", |f| {
            f.outbound = None;
            lookup(f).doors[0].verdict = Some("denied".into());
        }),
        "nobody remembers any, and it would be denied",
    ),
    (
        ("plaintext-refused", "configuration", "InboundPolicy/shop/strict", |f| {
            f.outbound = None;
            let workload = "payment-v1.shop".into();
            f.refusal = Some(Entry { workload, reason: "no_handshake".into(), ..Entry::default() });
        }),
        "nobody remembers any, and a connection was refused",
    ),
];

#[test]
fn what_there_is_to_be_seen_and_what_it_comes_to() {
    for ((fault, whose, object, change), what) in CASES {
        let mut facts = facts();
        change(&mut facts);
        let found = diagnose(&facts);
        let named = found.object.clone().unwrap_or_default();
        let verdict = (found.fault.as_str(), found.whose.as_str(), named.as_str());
        assert_eq!(verdict, (*fault, *whose, *object), "{what}: {}", found.summary);
        assert!(!found.summary.is_empty() && !found.summary.ends_with('.'), "{what}");
        assert!(!found.suggestion.is_empty(), "{what}");
    }
}

#[test]
fn whatever_is_missing_something_is_said() {
    for ((.., change), what) in CASES {
        for missing in 0..3 {
            let mut facts = facts();
            change(&mut facts);
            match missing {
                0 => facts.lookup = None,
                1 => facts.inbound = None,
                _ => facts.outbound = None,
            }
            assert!(!diagnose(&facts).summary.is_empty(), "{what}");
        }
    }
}

#[test]
fn the_words_in_the_documentation_are_those_of_the_code() {
    let mut table = String::from("| fault | whose | meaning |\n|---|---|---|\n");
    for fault in Fault::ALL {
        let (name, whose) = (fault.as_str(), fault.whose().as_str());
        let _ = writeln!(table, "| `{name}` | {whose} | {} |", fault.meaning().trim());
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/why.md");
    let page = std::fs::read_to_string(&path).unwrap();
    let (start, end) = (page.find("| fault |").unwrap(), page.find("\n\n<!-- end -->").unwrap());
    if option_env!("UPDATE_DOCS").is_some() {
        let fresh = [&page[..start], table.trim_end(), &page[end..]].concat();
        std::fs::write(&path, fresh).unwrap();
        return;
    }
    assert!(
        page[start..end] == *table.trim_end(),
        "docs/reference/why.md is stale; run: UPDATE_DOCS=1 cargo test -p weft-cli why"
    );
}

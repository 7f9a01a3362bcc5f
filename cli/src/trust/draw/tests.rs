//! What people see of a rotation.

use serde_json::json;

use super::super::ask::Status;
use super::{status, waiting};

fn given(value: &serde_json::Value) -> Status {
    serde_json::from_value(value.clone()).unwrap()
}

/// Without colours.
fn plain(text: &str) -> String {
    anstream::adapter::strip_str(text).to_string()
}

#[test]
fn roots_and_who_is_not_ready_are_shown() {
    let root = |fingerprint: &str, state: &str, believed: usize, leaves: usize| {
        json!({
            "fingerprint": fingerprint.repeat(32), "name": "O=Weft, CN=Weft root 1", "state": state,
            "not_after": "2999-01-01T00:00:00Z", "external": state == "staged", "believed_by": believed,
            "leaves": leaves,
        })
    };
    let shown = given(&json!({
        "next": "issue", "sidecars": 3, "connected": 2, "issuer": null,
        "roots": [root("ab", "issuing", 2, 2), root("cd", "staged", 1, 0)],
        "obstacles": [
            {"who": "order-v1.shop", "why": "does not believe the new root yet", "until": null},
            {"who": "job.shop", "why": "is not connected", "until": "2026-01-01T00:00:00Z"},
        ],
    }));
    let text = plain(&status(&shown));
    let rows: Vec<&str> = text.lines().collect();
    assert!(rows[0].starts_with("ROOT") && rows[0].contains("BELIEVED BY"), "{text}");
    assert!(rows[1].starts_with("abababababababab  issuing") && rows[1].contains("2/2"), "{text}");
    assert!(rows[2].contains("staged (from outside)") && rows[2].contains("1/2"), "{text}");
    for part in [
        "1 of 3 sidecars are not connected.",
        "next: issue (the staged root signs); 2 not ready:",
        "! order-v1.shop does not believe the new root yet",
        "! job.shop is not connected, until 2026-01-01T00:00:00Z at the latest",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(waiting(&shown).starts_with("order-v1.shop does not believe"), "{}", waiting(&shown));
}

#[test]
fn at_rest_it_says_so_and_an_issuer_of_no_use_is_named() {
    let shown = given(&json!({
        "next": "stage", "sidecars": 1, "connected": 1, "roots": [], "obstacles": [],
        "issuer": {"source": "Secret weft-system/weft-issuer", "fault": "tls.key: it is an RSA key", "mending": "use ECDSA"},
    }));
    let text = plain(&status(&shown));
    assert!(text.contains("√ no rotation is under way"), "{text}");
    let fault = "issued by Secret weft-system/weft-issuer, which cannot be used: tls.key: it is an RSA key; use ECDSA";
    assert!(text.contains(fault), "{text}");
}

//! The receipt in words.

use super::*;
use crate::xds::{Absence, Missing, Refusal};

fn programmed(receipt: &Receipt, translated: bool) -> (String, String) {
    let (object, in_force) = (policy(), at(4, &[]));
    let facts =
        Facts { object: &object, findings: &[], in_force: Some(&in_force), receipt, translated };
    let Verdict::Policy(_, conditions) = decide(&key("InboundPolicy"), facts) else { panic!() };
    let Condition { kind, status, reason, message, generation } = &conditions[1];
    assert_eq!((*kind, *generation), ("weft.dev/Programmed", 4));
    (format!("{status}/{reason}"), message.clone())
}

fn receipt(generation: Option<u64>, concerned: usize, programmed: usize) -> Receipt {
    Receipt { generation, concerned, programmed, ..Receipt::default() }
}

fn waiting() -> Receipt {
    let waiting = vec!["a.shop".to_owned(), "b.shop".to_owned()];
    Receipt { waiting, ..receipt(Some(4), 12, 9) }
}

#[test]
fn the_count_is_said_with_who_does_not_and_why() {
    let refusal = Refusal { proxy: "c.shop".to_owned(), reason: "web: no".to_owned() };
    let refused = Receipt { refused: vec![refusal], refusing: 3, ..receipt(Some(4), 12, 9) };
    for (receipt, translated, status, message) in [
        (receipt(Some(4), 12, 12), true, "True/Programmed", "12 of 12 proxies run generation 4"),
        (receipt(Some(4), 1, 1), true, "True/Programmed", "1 of 1 proxy runs generation 4"),
        (
            receipt(Some(4), 0, 0),
            true,
            "True/NoProxiesConcerned",
            "no connected proxy holds anything that is made from this object",
        ),
        (
            receipt(None, 0, 0),
            true,
            "True/NoProxiesConcerned",
            "no connected proxy holds anything that is made from this object",
        ),
        (
            receipt(None, 0, 0),
            false,
            "False/Pending",
            "generation 4 is not translated for the proxies yet",
        ),
        (
            receipt(Some(3), 12, 12),
            true,
            "False/Pending",
            "generation 4 is not translated for the proxies yet",
        ),
        (
            waiting(),
            true,
            "False/Pending",
            "9 of 12 proxies run generation 4; waiting for a.shop, b.shop and 1 more",
        ),
        (
            refused,
            true,
            "False/Refused",
            "9 of 12 proxies run generation 4; c.shop refused it: web: no; 2 more refused it",
        ),
    ] {
        let said = programmed(&receipt, translated);
        assert_eq!(said, (status.to_owned(), message.to_owned()), "{receipt:?}");
    }
}

#[test]
fn a_replica_that_is_missing_is_named() {
    let missing = |absence, receipt| Receipt {
        missing: vec![Missing { replica: "cp-2".to_owned(), absence }],
        ..receipt
    };
    for (receipt, status, message) in [
        (
            missing(Absence::Silent, receipt(Some(4), 12, 12)),
            "Unknown/Pending",
            "12 of 12 proxies run generation 4; replica cp-2 did not answer",
        ),
        (
            missing(Absence::Silent, receipt(Some(4), 0, 0)),
            "Unknown/Pending",
            "0 of 0 proxies run generation 4; replica cp-2 did not answer",
        ),
        (
            missing(Absence::Silent, waiting()),
            "False/Pending",
            "9 of 12 proxies run generation 4; waiting for a.shop, b.shop and 1 more; replica cp-2 did not answer",
        ),
        (
            missing(Absence::Behind, receipt(Some(4), 12, 12)),
            "False/Pending",
            "12 of 12 proxies run generation 4; replica cp-2 does not have it yet",
        ),
    ] {
        let said = programmed(&receipt, true);
        assert_eq!(said, (status.to_owned(), message.to_owned()), "{receipt:?}");
    }
}

#[test]
fn what_is_said_of_an_earlier_generation_or_by_others_is_not_said() {
    let condition =
        |kind: &str, generation: i64| json!({ "type": kind, "observedGeneration": generation });
    let by = |name: &str| {
        let conditions = [condition("weft.dev/Programmed", 4)];
        json!({ "parents": [{ "controllerName": name, "conditions": conditions }] })
    };
    for (status, expected) in [
        (json!({}), false),
        (json!({ "conditions": [condition("weft.dev/Programmed", 4)] }), true),
        (json!({ "conditions": [condition("weft.dev/Programmed", 3)] }), false),
        (json!({ "conditions": [condition("Accepted", 4)] }), false),
        (by("weft.dev/mesh"), true),
        (by("example.com/gateways"), false),
    ] {
        let mut object = policy();
        object["status"] = status;
        assert_eq!(is_said(&object), expected, "{object}");
    }
}

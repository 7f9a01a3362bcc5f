//! The receipt in words.

use super::*;
use crate::xds::Refusal;

fn programmed(receipt: &Receipt, translated: bool) -> (String, String) {
    let (object, in_force) = (policy(), at(4, &[]));
    let facts =
        Facts { object: &object, findings: &[], in_force: Some(&in_force), receipt, translated };
    let Verdict::Policy(_, conditions) = decide(&key("InboundPolicy"), facts) else { panic!() };
    let Condition { kind, status, reason, message, generation } = &conditions[1];
    assert_eq!((*kind, *generation), ("weft.dev/Programmed", 4));
    (format!("{status}/{reason}"), message.clone())
}

#[test]
fn the_count_is_said_with_who_does_not_and_why() {
    let receipt = |generation, concerned, programmed| Receipt {
        generation,
        concerned,
        programmed,
        ..Receipt::default()
    };
    let waiting = Receipt {
        waiting: vec!["a.shop".to_owned(), "b.shop".to_owned()],
        ..receipt(Some(4), 12, 9)
    };
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
            waiting,
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

//! A peer is denied by every name of his, and the list says the same.

use super::*;
use crate::testing::{id, mesh};

#[test]
fn a_peer_is_denied_by_id_by_account_and_by_serial() {
    let mut mesh = (*mesh(&["product"])).clone();
    let serial: Serial = "4f:0a".parse().unwrap();
    let account = |name: &str| DeniedWho::Account("shop".to_owned(), name.to_owned());
    let foreign = SpiffeId::parse("spiffe://other.local/ns/shop/sa/payment").unwrap();
    mesh.config.denied = [
        DeniedWho::Identity(id("order")),
        account("payment"),
        account("no account"),
        DeniedWho::Serial(serial.clone()),
    ]
    .map(|who| DeniedPeer { who, reason: "leaked".to_owned() })
    .into();
    let list = mesh.deny_list();
    assert_eq!(list.len(), 3, "what makes no id is left out");
    let other: Serial = "4f0b".parse().unwrap();
    for (peer, shown, denied) in [
        (id("order"), &other, true),
        (id("payment"), &other, true),
        (id("product"), &serial, true),
        (id("product"), &other, false),
        (foreign, &other, false),
    ] {
        let denial = mesh.denial(&peer, Some(shown));
        assert_eq!(denial.is_some(), denied, "{peer}");
        assert_eq!(denial, list.peer(&peer, shown), "{peer}");
        assert_eq!(mesh.denial(&peer, None), list.identity(&peer), "{peer}");
    }
}

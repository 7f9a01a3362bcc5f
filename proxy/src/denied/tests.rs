//! A list that comes into force ends what is open, and what is entered meanwhile; and it may name oneself.

use weft_certs::Denied;

use super::*;

fn id(account: &str) -> SpiffeId {
    SpiffeId::parse(&format!("spiffe://test.local/ns/test/sa/{account}")).unwrap()
}

fn serial(number: u8) -> Serial {
    Serial::new(&[number])
}

fn list(identities: &[&str], serials: &[u8]) -> DenyList {
    let mut list = DenyList::default();
    identities.iter().for_each(|account| list.deny_identity(id(account), "leaked"));
    serials.iter().for_each(|number| list.deny_serial(serial(*number), "leaked"));
    list
}

#[test]
fn a_list_ends_the_connections_of_everybody_on_it_and_of_nobody_else() {
    let denials = Denials::default();
    let cuts: Vec<_> = (0..4).map(|_| Arc::<Cut>::default()).collect();
    for (cut, (account, number)) in cuts.iter().zip([("a", 1), ("a", 2), ("b", 3), ("c", 4)]) {
        denials.accepted(&id(account), &serial(number), cut);
    }
    let callee = Arc::<Sever>::default();
    denials.opened(&id("b"), &serial(5), &callee).unwrap();
    assert_eq!(denials.replace(list(&["a"], &[3, 5])), 4);
    let cut: Vec<_> = cuts.iter().map(|cut| cut.is_done()).collect();
    assert_eq!(cut, [true, true, true, false]);
    let error = callee.check().unwrap_err();
    assert_eq!(error.to_string(), "the peer is denied");

    // Entered after the list, as by a handshake that was judged just before it.
    let late = Arc::<Cut>::default();
    denials.accepted(&id("a"), &serial(9), &late);
    assert!(late.is_done());
    let error = denials.opened(&id("b"), &serial(3), &Arc::default()).unwrap_err();
    assert_eq!(error.token(), Token::PeerDenied);
    assert_eq!(error.to_string(), "peer_denied: the certificate 03 is denied: leaked");
    denials.check_callee(&id("a")).unwrap_err();
    denials.check_callee(&id("b")).unwrap();
    denials.replace(DenyList::default());
    denials.opened(&id("a"), &serial(3), &Arc::default()).unwrap();
    denials.check_callee(&id("a")).unwrap();
}

#[test]
fn what_has_ended_is_forgotten() {
    let denials = Denials::default();
    for _ in 0..10_000 {
        denials.accepted(&id("a"), &serial(1), &Arc::default());
    }
    assert!(denials.open.lock().unwrap().all.len() <= SLACK + 1);
}

#[test]
fn it_is_known_when_one_is_denied_oneself() {
    let denials = Denials::default();
    let kept = Arc::<Sever>::default();
    denials.opened(&id("b"), &serial(7), &kept).unwrap();
    denials.replace(list(&[], &[1]));
    denials.set_own(Some((id("a"), serial(1))));
    assert_eq!(denials.own().unwrap().what, Denied::Serial(serial(1)));
    denials.replace(list(&[], &[1, 2]));
    assert!(kept.check().is_err(), "who is denied keeps no connection to others");
    denials.set_own(Some((id("a"), serial(3))));
    assert_eq!(denials.own(), None, "another certificate is another matter");

    // Of a control plane that does not send its list to who is on it.
    let denial = list(&["a"], &[]).identity(&id("a")).unwrap();
    denials.noticed(&serial(3), denial.clone());
    assert_eq!(denials.own(), Some(denial));
    denials.set_own(Some((id("a"), serial(4))));
    assert_eq!(denials.own(), None);
    denials.set_own(Some((id("a"), serial(3))));
    denials.welcomed();
    assert_eq!(denials.own(), None);
}

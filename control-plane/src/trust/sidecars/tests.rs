//! Several replicas' knowledge as one.

use std::collections::BTreeSet;

use super::{Known, Said, Sidecar, all};

pub(in crate::trust) fn said(ago: u64, leaf_root: &str, roots: &[&str]) -> Said {
    let roots = roots.iter().map(|root| (*root).to_owned()).collect::<BTreeSet<_>>();
    Said { ago, leaf_root: leaf_root.to_owned(), roots }
}

fn known(sidecars: &[(&str, Option<u64>, Option<Said>)]) -> Known {
    let sidecars = sidecars.iter().map(|(workload, connected, said)| {
        ((*workload).to_owned(), Sidecar { connected: *connected, said: said.clone() })
    });
    Known { sidecars: sidecars.collect(), ..Known::default() }
}

#[test]
fn the_latest_word_counts_wherever_it_was_said() {
    // The stream is with one replica, the reports are with another; a third remembers older ones.
    let one = known(&[("a.shop", Some(60), None)]);
    let two = known(&[("a.shop", None, Some(said(2, "new", &["old", "new"])))]);
    let three = known(&[("a.shop", None, Some(said(40, "old", &["old"])))]);
    for order in [[&one, &two, &three], [&three, &two, &one]] {
        let all = all(order, ["a.shop".to_owned(), "b.shop".to_owned()]);
        assert_eq!(all["a.shop"].word(), Some(&said(2, "new", &["old", "new"])));
        assert_eq!(all["b.shop"], Sidecar::default(), "meshed, and known to nobody");
    }
}

#[test]
fn a_word_counts_while_it_can_still_be_true() {
    let of = |connected, ago| Sidecar { connected, said: Some(said(ago, "a", &["a"])) };
    assert!(of(Some(60), 10).word().is_some());
    assert!(of(Some(60), 31).word().is_none(), "it reports every ten seconds");
    assert!(of(Some(5), 6).word().is_none(), "said by the one before it");
    assert!(of(Some(5), 5).word().is_some());
    assert!(of(None, 1000).word().is_some(), "its last words");
    assert!(Sidecar { connected: Some(1), said: None }.word().is_none());
}

#[test]
fn of_several_streams_the_last_counts_and_those_gone_do_not() {
    let one = known(&[
        ("a.shop", Some(60), Some(said(20, "old", &["old"]))),
        ("gone.shop", None, Some(said(1, "old", &["old"]))),
    ]);
    let two = known(&[("a.shop", Some(3), None), ("leaving.shop", Some(9), None)]);
    let all = all([&one, &two], ["a.shop".to_owned()]);
    assert_eq!(all["a.shop"].connected, Some(3));
    assert!(all["a.shop"].word().is_none(), "that was its predecessor");
    assert!(!all.contains_key("gone.shop"), "no workload any more");
    assert!(all.contains_key("leaving.shop"), "connected, whatever the mesh says");
}

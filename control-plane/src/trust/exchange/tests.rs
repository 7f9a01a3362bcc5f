//! What is known survives the way to another replica, and what is no answer is none.

use super::{known, response};
use crate::trust::sidecars::tests::said;
use crate::trust::sidecars::{Known, Sidecar};

#[test]
fn what_is_sent_is_what_is_read() {
    let sidecars = [
        ("a.shop", Sidecar { connected: Some(7), said: Some(said(1, "new", &["old", "new"])) }),
        ("b.shop", Sidecar { connected: None, said: Some(said(9, "", &["old"])) }),
        ("c.shop", Sidecar { connected: Some(0), said: None }),
    ];
    let sidecars = sidecars.map(|(workload, sidecar)| (workload.to_owned(), sidecar));
    let believed = ["old", "new"].map(str::to_owned).into();
    let all = Known { issuing: "old".to_owned(), believed, sidecars: sidecars.into() };
    let answer = response(&all);
    assert_eq!(answer.roots.len(), 2, "each root once");
    assert_eq!(known(answer), Some(all));
}

#[test]
fn a_place_that_is_none_is_no_answer() {
    let mut answer = response(&Known { issuing: "old".to_owned(), ..Known::default() });
    answer.believed = vec![1];
    assert_eq!(known(answer.clone()), None);
    answer.believed = vec![0];
    assert!(known(answer).is_some());
}

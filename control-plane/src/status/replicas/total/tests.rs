//! Sums as a table.

use super::*;
use crate::xds::Refusal;

fn receipt(generation: Option<u64>, concerned: usize, programmed: usize) -> Receipt {
    Receipt { generation, concerned, programmed, ..Receipt::default() }
}

fn waiting(receipt: Receipt, names: &[&str]) -> Receipt {
    Receipt { waiting: names.iter().map(|&name| name.to_owned()).collect(), ..receipt }
}

fn refused(receipt: Receipt, names: &[&str]) -> Receipt {
    let refusal = |&proxy: &&str| Refusal { proxy: proxy.to_owned(), reason: "no".to_owned() };
    Receipt { refused: names.iter().map(refusal).collect(), refusing: names.len(), ..receipt }
}

fn missing(receipt: Receipt, replicas: &[(&str, Absence)]) -> Receipt {
    let missing =
        |&(replica, absence): &(&str, Absence)| Missing { replica: replica.to_owned(), absence };
    Receipt { missing: replicas.iter().map(missing).collect(), ..receipt }
}

/// `own` and what the others answer, `None` for silence, add up to `expected`.
fn adds_up(what: &str, own: Receipt, others: Vec<Option<Receipt>>, expected: Receipt) {
    let named = others.into_iter().enumerate();
    let answers = named.map(|(number, receipt)| Answer {
        replica: format!("cp-{number}"),
        receipts: receipt.map(|receipt| vec![receipt]),
    });
    let answers: Vec<_> = answers.collect();
    assert_eq!(total(vec![own], &answers), [expected], "{what}");
}

#[test]
fn receipts_of_one_object_are_added_up() {
    use Absence::{Behind, Silent};
    let three = Some(3);
    for (what, own, others, expected) in [
        ("nobody else", receipt(three, 2, 1), vec![], receipt(three, 2, 1)),
        (
            "all run it",
            receipt(three, 2, 2),
            vec![Some(receipt(three, 4, 4)), Some(receipt(three, 1, 1))],
            receipt(three, 7, 7),
        ),
        (
            "the leader has no proxies",
            receipt(three, 0, 0),
            vec![Some(waiting(receipt(three, 4, 3), &["a.shop"]))],
            waiting(receipt(three, 4, 3), &["a.shop"]),
        ),
        (
            "a later generation counts",
            receipt(three, 2, 2),
            vec![Some(receipt(Some(4), 3, 1))],
            receipt(three, 5, 3),
        ),
        (
            "an earlier one does not",
            receipt(three, 2, 2),
            vec![Some(refused(waiting(receipt(Some(2), 3, 1), &["a.shop"]), &["b.shop"]))],
            missing(receipt(three, 5, 2), &[("cp-0", Behind)]),
        ),
        (
            "one that has not heard of the object",
            receipt(three, 2, 2),
            vec![Some(receipt(None, 0, 0))],
            missing(receipt(three, 2, 2), &[("cp-0", Behind)]),
        ),
        (
            "one that does not answer",
            receipt(three, 2, 2),
            vec![None, Some(receipt(three, 1, 1)), None],
            missing(receipt(three, 3, 3), &[("cp-0", Silent), ("cp-2", Silent)]),
        ),
        (
            "nothing is made from it any more",
            receipt(None, 0, 0),
            vec![Some(receipt(Some(2), 3, 3)), None],
            receipt(None, 0, 0),
        ),
    ] {
        adds_up(what, own, others, expected);
    }
}

#[test]
fn names_of_all_are_told_up_to_a_bound() {
    let three = Some(3);
    for (what, own, others, expected) in [
        (
            "the first five are named",
            waiting(receipt(three, 3, 0), &["a.shop", "b.shop", "c.shop"]),
            vec![Some(waiting(receipt(three, 4, 0), &["d.shop", "e.shop", "f.shop", "g.shop"]))],
            waiting(receipt(three, 7, 0), &["a.shop", "b.shop", "c.shop", "d.shop", "e.shop"]),
        ),
        (
            "refusals too",
            refused(receipt(three, 4, 0), &["a.shop", "b.shop", "c.shop", "d.shop"]),
            vec![Some(refused(receipt(three, 2, 0), &["e.shop", "f.shop"]))],
            Receipt {
                refusing: 6,
                ..refused(receipt(three, 6, 0), &["a.shop", "b.shop", "c.shop", "d.shop", "e.shop"])
            },
        ),
    ] {
        adds_up(what, own, others, expected);
    }
}

#[test]
fn each_object_has_its_own_sum() {
    let own = vec![receipt(Some(1), 1, 1), receipt(Some(2), 0, 0)];
    let other = vec![receipt(Some(1), 0, 0), receipt(Some(2), 5, 4)];
    let answer = Answer { replica: "cp-1".to_owned(), receipts: Some(other) };
    assert_eq!(total(own, &[answer]), [receipt(Some(1), 1, 1), receipt(Some(2), 5, 4)]);
}

#[test]
fn only_silence_leaves_it_open() {
    let full = receipt(Some(1), 1, 1);
    let open = receipt(Some(1), 2, 1);
    let silent = [("cp-1", Absence::Silent)];
    let both = [("cp-1", Absence::Silent), ("cp-2", Absence::Behind)];
    assert!(full.is_complete() && !full.is_unsure());
    assert!(!missing(full.clone(), &silent).is_complete());
    assert!(missing(full.clone(), &silent).is_unsure());
    assert!(!missing(full, &both).is_unsure());
    assert!(!missing(open, &silent).is_unsure());
}

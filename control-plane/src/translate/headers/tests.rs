//! Composition as a table: what the rule changes, what the backend changes, and what a header becomes.

use weft_proto::envoy::core::header_value_option::HeaderAppendAction;

use super::composed;
use crate::model::{HeaderChange, HeaderFilter};

fn filter(set: &[&str], add: &[&str], remove: &[&str]) -> HeaderFilter {
    let change = |name: &&str| HeaderChange { name: (*name).to_owned(), value: "v".to_owned() };
    HeaderFilter {
        set: set.iter().map(change).collect(),
        add: add.iter().map(change).collect(),
        remove: remove.iter().map(|name| (*name).to_owned()).collect(),
    }
}

/// `+a` adds, `=a` sets; what is removed comes first.
fn told(rule: &HeaderFilter, backend: &HeaderFilter) -> String {
    let (added, removed) = composed(rule, backend);
    let removed = removed.into_iter().map(|name| format!("-{name}"));
    let added = added.into_iter().map(|option| {
        let sign = match option.append_action() {
            HeaderAppendAction::OverwriteIfExistsOrAdd => '=',
            _ => '+',
        };
        format!("{sign}{}", option.header.map(|header| header.key).unwrap_or_default())
    });
    removed.chain(added).collect::<Vec<_>>().join(" ")
}

#[test]
fn the_rule_comes_first_and_the_backend_has_the_last_word() {
    let none = HeaderFilter::default();
    for (rule, backend, expected) in [
        (filter(&["a"], &["b"], &["c"]), none.clone(), "-c =a +b"),
        (none, filter(&["a"], &["b"], &["c"]), "-c =a +b"),
        (filter(&["a"], &["a"], &[]), filter(&["a"], &["a"], &[]), "=a +a =a +a"),
        (filter(&["a", "b"], &["c"], &[]), filter(&[], &[], &["a", "c"]), "-a -c =b"),
        (filter(&[], &[], &["a"]), filter(&[], &["a"], &["a"]), "-a +a"),
    ] {
        assert_eq!(told(&rule, &backend), expected, "{rule:?} {backend:?}");
    }
}

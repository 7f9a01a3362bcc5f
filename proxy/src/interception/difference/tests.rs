//! What `--check` says of two lists.

use super::{difference, nft_lines};

fn rules(text: &str) -> Vec<(String, String)> {
    text.split_whitespace().map(|rule| ("chain a".to_owned(), rule.to_owned())).collect()
}

#[test]
fn findings() {
    for (wanted, found, expected) in [
        ("a b", "a b", vec![]),
        ("a b", "a", vec!["missing in chain a: b"]),
        ("a", "a b", vec!["not ours in chain a: b"]),
        ("a b", "a c", vec!["missing in chain a: b", "not ours in chain a: c"]),
        ("a b", "b a", vec!["out of order in chain a: a"]),
        ("a a", "a", vec!["missing in chain a: a"]),
        ("a", "a a", vec!["not ours in chain a: a"]),
    ] {
        assert_eq!(difference(&rules(wanted), &rules(found)), expected, "{wanted} / {found}");
    }
}

#[test]
fn an_nft_listing_is_read_by_place() {
    let text = "table inet weft {\n\tflags dormant\n\n\tset s {\n\t\telements = { 1,\n\t\t\t     2 }\n\t}\n\n\
                \tchain c {\n\t\ttype nat;\n\t\ttcp dport { 1 } return\n\t}\n}\n";
    let found = nft_lines(text);
    let found: Vec<_> = found.iter().map(|(place, line)| (&**place, &**line)).collect();
    assert_eq!(
        found,
        [
            ("set s", "elements = { 1,"),
            ("set s", "2 }"),
            ("chain c", "type nat;"),
            ("chain c", "tcp dport { 1 } return"),
        ]
    );
}

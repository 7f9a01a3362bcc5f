//! Splitting, lines, and the parser's bounds.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn pieces(text: &str) -> Vec<(u32, &str)> {
    split(text).into_iter().map(|piece| (piece.first_line, piece.text)).collect()
}

fn parse_all(text: &str) -> Vec<Result<Document, SyntaxError>> {
    split(text).iter().map(parse).collect()
}

#[test]
fn documents_are_split_where_yaml_splits_them() {
    let cases: &[(&str, &[(u32, &str)])] = &[
        ("", &[]),
        ("# only a comment\n\n", &[]),
        ("---\n---\n", &[]),
        ("a: 1", &[(1, "a: 1")]),
        ("\u{feff}a: 1\n", &[(1, "a: 1\n")]),
        ("a: 1\n---\nb: 2\n", &[(1, "a: 1\n"), (2, "---\nb: 2\n")]),
        ("a: 1\r\n---\r\nb: 2\r\n", &[(1, "a: 1\r\n"), (2, "---\r\nb: 2\r\n")]),
        ("# c\n---\na: 1\n", &[(1, "# c\n---\na: 1\n")]),
        (
            "%YAML 1.2\n---\na: 1\n...\n# c\n---\nb: 1",
            &[(1, "%YAML 1.2\n---\na: 1\n...\n"), (5, "# c\n---\nb: 1")],
        ),
        ("--- {a: 1}\n--- {b: 1}\n", &[(1, "--- {a: 1}\n"), (2, "--- {b: 1}\n")]),
        ("--- # a\n... # b\n%C 1\n", &[]),
        ("a: 1\n... b\n... c\n", &[(1, "a: 1\n... b\n"), (3, "... c\n")]),
        ("a: |\n  text\n  ---\n---x: 1\n", &[(1, "a: |\n  text\n  ---\n---x: 1\n")]),
    ];
    for (text, expected) in cases {
        assert_eq!(pieces(text), *expected, "{text:?}");
    }
}

#[test]
fn a_broken_document_leaves_its_neighbours_and_says_its_line_in_the_file() {
    let all = parse_all("a: 1\n---\nb: [1,\n---\n# c\nc: 3\n");
    assert_eq!(all[0].as_ref().unwrap().value, json!({"a": 1}));
    assert_eq!(all[1].as_ref().unwrap_err().line, 3);
    let third = all[2].as_ref().unwrap();
    assert_eq!((&third.value, third.lines.of("c")), (&json!({"c": 3}), 6));
}

#[test]
fn lines_are_those_of_keys_and_fall_back_to_what_is_around() {
    let text = "kind: X\nspec:\n  rules:\n  - name: a\n    list: [1, 2]\n  - name: b\n    sub:\n      deep: 1\n";
    let document = parse(&split(text)[0]).unwrap();
    for (path, line) in [
        ("", 1),
        ("kind", 1),
        ("spec", 2),
        ("spec.rules", 3),
        ("spec.rules[0]", 4),
        ("spec.rules[0].list[1]", 5),
        ("spec.rules[1].sub.deep", 8),
        ("spec.rules[1].sub.none", 7),
        ("spec.rules[7].name", 3),
        ("none.at.all", 1),
    ] {
        assert_eq!(document.lines.of(path), line, "{path}");
    }
}

#[test]
fn scalars_have_the_types_that_kubectl_gives_them() {
    let text = "a: yes\nb: '8080'\nc: 1.10\nd: ~\ne:\nf: 2024-01-01T00:00:00Z\non: 1\n";
    let document = parse(&split(text)[0]).unwrap();
    assert_eq!(
        document.value,
        json!({"a": true, "b": "8080", "c": 1.1, "d": null, "e": null, "f": "2024-01-01T00:00:00Z", "on": 1})
    );
}

#[test]
fn anchors_and_merges_are_expanded() {
    let document = parse(&split("a: &x {b: 1}\nc: *x\nd:\n  <<: *x\n  e: 2\n")[0]).unwrap();
    assert_eq!(document.value, json!({"a": {"b": 1}, "c": {"b": 1}, "d": {"b": 1, "e": 2}}));
}

#[test]
fn what_is_not_yaml_or_too_much_is_refused() {
    let bomb = (1..9).fold("a0: &a0 [x,x,x,x,x,x,x,x,x]\n".to_owned(), |text, level| {
        let alias = format!("*a{},", level - 1).repeat(9);
        format!("{text}a{level}: &a{level} [{alias}]\n")
    });
    let deep = format!("a: {}1{}", "[".repeat(100), "]".repeat(100));
    for (text, words) in [
        ("a: 1\na: 2", "duplicate"),
        ("a: b: c", "not allowed"),
        ("a:\n\t- b", "tabs"),
        ("a: *nope", "unknown"),
        ("? [a]\n: b", "string"),
        ("... a", ""),
        (bomb.as_str(), ""),
        (deep.as_str(), ""),
    ] {
        let error = parse(&split(text)[0]).unwrap_err();
        assert!(error.message.contains(words), "{text:.40}: {error:?}");
        assert!(!error.message.contains("at line"), "the place is told once: {error:?}");
    }
}

/// A comment, also behind a marker, or a directive.
fn is_filler(line: &str) -> bool {
    let behind = ["---", "..."].into_iter().find_map(|marker| line.strip_prefix(marker));
    let rest = behind.filter(|rest| rest.starts_with([' ', '\t', '\r'])).unwrap_or(line);
    rest.trim_start().starts_with('#') || line.starts_with('%')
}

proptest! {
    #[test]
    fn no_text_panics(text in any::<String>()) {
        for piece in split(&text) {
            let _ = parse(&piece);
        }
    }

    #[test]
    fn no_yaml_like_text_panics_and_no_content_line_is_lost(text in "([-a:#%.&*\\[\\]{}|> \t\r'\"0-9]{0,9}\n){0,12}") {
        let content = |text: &str| text.lines().filter(|line| line.contains('a')).count();
        let pieces = split(&text);
        let kept: usize = pieces.iter().map(|piece| content(piece.text)).sum();
        let filler = text.lines().filter(|line| line.contains('a') && is_filler(line)).count();
        prop_assert!(kept + filler >= content(&text), "{text:?} {pieces:?}");
        for piece in &pieces {
            let _ = parse(piece);
        }
    }
}

//! What is read and written, and that it stays the same.

use proptest::prelude::*;
use serde_json::json;

use super::*;

fn again(value: &Value) -> Value {
    let text = render(Form::Yaml, std::slice::from_ref(value)).unwrap();
    let read = parse(&text).unwrap();
    assert_eq!(read.documents.len(), 1, "{text}");
    read.documents[0].clone()
}

#[test]
fn yaml_is_read_as_kubectl_reads_it() {
    let text = "# a comment\n---\n---\nz: 0644\na: yes\nb: \"yes\"\nc: 1.5\nd: &x {e: no}\nf: *x\n---\nkind: A\n...\n";
    let read = parse(text).unwrap();
    assert_eq!(read.form, Form::Yaml);
    let first =
        json!({"z": 420, "a": true, "b": "yes", "c": 1.5, "d": {"e": false}, "f": {"e": false}});
    assert_eq!(read.documents, [first.clone(), json!({"kind": "A"})]);
    let keys: Vec<&String> = read.documents[0].as_object().unwrap().keys().collect();
    assert_eq!(keys, ["z", "a", "b", "c", "d", "f"], "keys keep their order");
    assert_eq!(again(&first), first);
}

#[test]
fn json_stays_json() {
    let text = "{\"kind\": \"A\"}\n{\"kind\": \"B\"}\n";
    let read = parse(text).unwrap();
    assert_eq!((read.form, read.documents.len()), (Form::Json, 2));
    let written = render(Form::Json, &read.documents).unwrap();
    assert_eq!(parse(&written).unwrap().documents, read.documents);
    assert_eq!(parse("{kind: A}").unwrap().documents, [json!({"kind": "A"})], "YAML in braces");
}

#[test]
fn what_is_no_manifest_is_refused() {
    for text in ["- a\n", "text", "a: b: c", "{\"a\": ", "a: 1\na: 2\n"] {
        assert!(parse(text).is_err(), "{text:?}");
    }
    assert_eq!(parse("# nothing\n").unwrap().documents.len(), 0);
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    for text in [
        "yes",
        "off",
        "y",
        "null",
        "~",
        "",
        "0644",
        "0o17",
        "0x1f",
        "1e3",
        "1_000",
        "12:30:45",
        "2026-01-01",
        ".inf",
        "<<",
        "=",
        "- a",
        "a: b",
        "#a",
        "a #b",
        "'",
        "\"",
        "\\",
        "\t",
        " a",
        "a ",
        "a\n",
        "\na",
        "a\n\n",
        "a\nb\n  c",
        "---",
        "%a",
        "@a",
        "`a",
        "{a}",
        "[a]",
        "&a",
        "*a",
        "!a",
        "|",
        ">",
        "é\u{0}\u{85}\u{2028}",
        "a\r\nb",
    ] {
        let value = json!({"a": text, "list": [text], text: 1});
        assert_eq!(again(&value), value, "{text:?}");
    }
    let long = "word ".repeat(100);
    assert_eq!(again(&json!({"a": long})), json!({"a": long}));
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(json!(null)),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        (-1e9..1e9).prop_map(|number: f64| json!(number)),
        "[ -~\n]{0,20}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            proptest::collection::btree_map("[ -~]{1,8}", inner, 0..4).prop_map(|map| json!(map)),
        ]
    })
}

proptest! {
    #[test]
    fn what_is_written_is_read_again(value in values()) {
        let document = json!({"kind": "A", "value": value});
        prop_assert_eq!(again(&document), document);
    }
}

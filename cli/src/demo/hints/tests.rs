//! What a person is told to try.

use super::*;
use crate::environment::tests::of_demo;
use crate::golden;

fn environment() -> Environment {
    of_demo("target/release/weft")
}

#[test]
fn what_to_try_next() {
    golden::plain("demo", "hints", &next(&environment(), "demo", "k8s/demo"));
    let second = next(&environment(), "demo-2", "k8s/demo");
    assert!(second.contains("weft --mesh demo-2 why"), "{second}");
}

#[test]
fn the_first_of_what_is_wrong_with_the_manifests() {
    let finding = |severity: &str, line: u64| Finding {
        severity: severity.to_owned(),
        file: "shop.yaml".to_owned(),
        line,
        object: "HTTPRoute shop/product".to_owned(),
        message: "Service shop/product-v3 does not exist".to_owned(),
        ..Finding::default()
    };
    let told = |findings: &[Finding]| complaint(findings, &environment(), "k8s/demo");
    assert_eq!(told(&[finding("info", 1)]), None);
    let both = [finding("info", 1), finding("error", 14), finding("warning", 0)];
    golden::plain("demo", "complaint", &told(&both).unwrap());
}

//! How findings are told.

use super::*;

fn finding(severity: &str) -> Finding {
    Finding {
        code: "WEFT0101".to_owned(),
        severity: severity.to_owned(),
        file: "shop.yaml".to_owned(),
        line: 14,
        object: "HTTPRoute shop/product".to_owned(),
        field: "spec.rules[0].backendRefs[1].name".to_owned(),
        message: "Service shop/product-v3 does not exist".to_owned(),
        hint: "correct the name".to_owned(),
    }
}

#[test]
fn a_finding_says_what_where_and_how_to_mend_it() {
    let text = draw(&[finding("error"), finding("error"), finding("info")], "k8s/demo");
    let plain = anstream::adapter::strip_str(&text).to_string();
    assert!(
        plain.starts_with(
            "× WEFT0101 HTTPRoute shop/product  shop.yaml:14\n    \
             spec.rules[0].backendRefs[1].name: Service shop/product-v3 does not exist\n    \
             fix: correct the name\n"
        ),
        "{plain}"
    );
    assert!(plain.ends_with("2 errors, 1 note in k8s/demo."), "{plain}");
}

#[test]
fn a_directory_that_is_not_there_is_an_error_not_a_finding() {
    let scratch = tempfile::tempdir().unwrap();
    assert!(read(&scratch.path().join("nowhere")).is_err());
}

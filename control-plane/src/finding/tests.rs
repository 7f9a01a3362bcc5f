//! The table of codes is complete and ordered; the output has the documented shape.

use super::*;

#[test]
fn codes_are_unique_ascending_and_found_by_their_own_number() {
    for (index, info) in Code::ALL.iter().enumerate() {
        assert_eq!(info.code as usize, index, "{} stands in its own row", info.id);
        assert_eq!(info.code.to_string(), info.id);
        assert!(!info.title.is_empty() && !info.remedy.is_empty(), "{} has its text", info.id);
    }
    assert!(Code::ALL.windows(2).all(|pair| pair[0].id < pair[1].id), "ids ascend, so none twice");
}

#[test]
fn one_line_names_severity_code_object_field_and_place() {
    let finding = Finding::new(Code::BackendNotFound, "Service shop/web-v2 does not exist")
        .at("web.yaml", 14)
        .about("HTTPRoute shop/web")
        .field("spec.rules[0].backendRefs[1].name");
    assert_eq!(
        finding.to_string(),
        "error WEFT0101 HTTPRoute shop/web  spec.rules[0].backendRefs[1].name: \
         Service shop/web-v2 does not exist   web.yaml:14"
    );
    let file = Finding::new(Code::FileTooLarge, "5 MiB").at("big.yaml", 0);
    assert_eq!(file.to_string(), "error WEFT0202  5 MiB   big.yaml");
}

#[test]
fn json_has_the_fields_of_the_admin_endpoint() {
    let finding = Finding::new(Code::NoEndpoints, "selects nothing").at("a.yaml", 3).about("x");
    let json = serde_json::to_value(&finding).unwrap();
    assert_eq!(json["code"], "WEFT0401");
    assert_eq!(json["severity"], "warning");
    assert_eq!((&json["file"], &json["line"]), (&"a.yaml".into(), &3.into()));
    assert!(json["hint"].as_str().unwrap().contains("selector"));
}

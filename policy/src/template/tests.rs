//! Templates against paths.

use super::{Template, TemplateError};

#[test]
fn templates_match_whole_paths() {
    for (template, path, expected) in [
        ("/", "/", true),
        ("/", "/a", false),
        ("/carts/{id}", "/carts/7", true),
        ("/carts/{id}", "/carts/", false),
        ("/carts/{id}", "/carts", false),
        ("/carts/{id}", "/carts/7/", false),
        ("/carts/{id}/items", "/carts/7/items", true),
        ("/carts/{id}/items", "/carts/7/8/items", false),
        ("/carts/{id}/items", "/carts//items", false),
        ("/carts/*/items", "/carts/*/items", true),
        ("/files/**", "/files/", true),
        ("/files/**", "/files", false),
        ("/files/{path=**}", "/files/a/b//c", true),
        ("/files/{path=*}", "/files/a/b", false),
        ("/v1/**", "/v10/a", false),
        ("/**", "/", true),
    ] {
        let parsed: Template = template.parse().unwrap();
        assert_eq!(parsed.matches(path), expected, "{template} {path}");
    }
}

#[test]
fn what_would_mean_something_else_is_refused() {
    let segment = |text: &str| TemplateError::Segment(text.to_owned());
    for (template, error) in [
        ("carts", TemplateError::Start),
        ("", TemplateError::Start),
        ("/**/items", TemplateError::AfterRest),
        ("/a*", segment("a*")),
        ("/***", segment("***")),
        ("/{}", segment("{}")),
        ("/{1a}", segment("{1a}")),
        ("/{a", segment("{a")),
        ("/a{b}", segment("a{b}")),
        ("/{a=b*}", segment("{a=b*}")),
        ("/a?b", segment("a?b")),
    ] {
        assert_eq!(template.parse::<Template>(), Err(error), "{template}");
    }
    assert_eq!("/a".repeat(33).parse::<Template>(), Err(TemplateError::TooLong));
}

//! Redirects, rewrites and mirrors.

use super::{BACKEND, good, refused, rule};
use crate::model::{Backend, PathModifier, Redirect, Rewrite};

#[test]
fn redirects_are_read_and_checked() {
    let redirect =
        |text: &str| format!("filters: [{{type: RequestRedirect, requestRedirect: {{{text}}}}}]");
    let text = redirect(
        "scheme: https, hostname: example.com, port: 8443, statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /x}",
    );
    let (read, findings) = rule(&text);
    assert!(findings.is_empty(), "{findings:?}");
    let expected = Redirect {
        scheme: Some("https".to_owned()),
        hostname: Some("example.com".to_owned()),
        port: Some(8443),
        path: Some(PathModifier::Full("/x".to_owned())),
        status: 301,
    };
    assert_eq!(read.unwrap().redirect, Some(expected));
    assert_eq!(rule(&redirect("")).0.unwrap().redirect.unwrap().status, 302);

    let field = "WEFT0205 spec.rules[0].filters[0].requestRedirect";
    for (text, at) in [
        ("scheme: ftp", ".scheme"),
        ("hostname: '*.example.com'", ".hostname"),
        ("port: 0", ".port"),
        ("statusCode: 200", ".statusCode"),
        ("path: {type: ReplaceFullPath}", ".path"),
        ("path: {type: ReplaceFullPath, replaceFullPath: x}", ".path.replaceFullPath"),
    ] {
        assert_eq!(rule(&redirect(text)).1, [format!("{field}{at}")], "{text}");
    }
    let prefix = redirect("path: {type: ReplacePrefixMatch, replacePrefixMatch: /x}");
    assert_eq!(rule(&prefix).1, Vec::<String>::new());
    let exact = format!("{prefix}, matches: [{{path: {{type: Exact, value: /a}}}}]");
    assert_eq!(rule(&exact).1, ["WEFT0205 spec.rules[0].filters"]);
    refused(&redirect(""), &["WEFT0205 spec.rules[0].backendRefs"]);
}

#[test]
fn rewrites_are_read_and_checked() {
    let filter = |text: &str| format!("filters: [{{type: URLRewrite, urlRewrite: {{{text}}}}}]");
    let full = "hostname: a.example, path: {type: ReplaceFullPath, replaceFullPath: /x}";
    let expected = Rewrite {
        hostname: Some("a.example".to_owned()),
        path: Some(PathModifier::Full("/x".to_owned())),
    };
    assert_eq!(good(&filter(full)).rewrite, expected);
    let prefix = filter("path: {type: ReplacePrefixMatch, replacePrefixMatch: ''}");
    assert_eq!(good(&prefix).rewrite.path, Some(PathModifier::Prefix(String::new())));

    let field = "WEFT0205 spec.rules[0].filters";
    let cases = [
        (filter("hostname: '*.example'"), "[0].urlRewrite.hostname"),
        (filter("path: {type: ReplaceFullPath}"), "[0].urlRewrite.path"),
        (
            filter("path: {type: ReplaceFullPath, replaceFullPath: '/a?b'}"),
            "[0].urlRewrite.path.replaceFullPath",
        ),
        (format!("{prefix}, matches: [{{path: {{type: Exact, value: /a}}}}]"), ""),
        (format!("{prefix}, matches: [{{path: {{value: /a}}}}, {{path: {{value: /b}}}}]"), ""),
        ("filters: [{type: URLRewrite}]".to_owned(), "[0]"),
    ];
    for (text, at) in cases {
        refused(&text, &[&format!("{field}{at}")]);
    }
    let both = "filters: [{type: RequestRedirect, requestRedirect: {}}, \
                {type: URLRewrite, urlRewrite: {hostname: a.example}}]";
    assert_eq!(rule(both).1, [field]);
}

#[test]
fn a_backend_may_have_a_host_of_its_own_but_no_path() {
    let with = |text: &str| {
        let filter = format!("filters: [{{type: URLRewrite, urlRewrite: {{{text}}}}}]");
        rule(&format!("backendRefs: [{{name: web, port: 80, {filter}}}]"))
    };
    let (read, findings) = with("hostname: a.example");
    assert!(findings.is_empty(), "{findings:?}");
    assert_eq!(read.unwrap().backends[0].hostname.as_deref(), Some("a.example"));
    let (read, findings) = with("path: {type: ReplaceFullPath, replaceFullPath: /x}");
    let path = "WEFT0206 spec.rules[0].backendRefs[0].filters[0].urlRewrite.path";
    assert_eq!((read, findings), (None, vec![path.to_owned()]));
}

#[test]
fn mirrors_are_read_and_checked() {
    let filter = |text: &str| {
        format!(
            "{{type: RequestMirror, requestMirror: {{backendRef: {{name: web-v2, port: 80}}{text}}}}}"
        )
    };
    let share = |text: &str| good(&format!("filters: [{}]", filter(text))).mirrors[0].millionths;
    for (text, expected) in [
        ("", 1_000_000),
        (", percent: 42", 420_000),
        (", percent: 0", 0),
        (", fraction: {numerator: 5}", 50_000),
        (", fraction: {numerator: 1, denominator: 3}", 333_333),
    ] {
        assert_eq!(share(text), expected, "{text}");
    }
    let two = good(&format!("filters: [{}, {}]", filter(""), filter(", percent: 1")));
    assert_eq!(two.mirrors.len(), 2, "there may be several");

    let field = "WEFT0205 spec.rules[0].filters[0].requestMirror";
    for (text, at) in [
        (", percent: 101", ".percent"),
        (", fraction: {numerator: 2, denominator: 1}", ".fraction.numerator"),
        (", fraction: {numerator: 0, denominator: 0}", ".fraction.denominator"),
        (", percent: 1, fraction: {numerator: 1}", ""),
    ] {
        refused(&format!("filters: [{}]", filter(text)), &[&format!("{field}{at}")]);
    }
    // One that does not exist costs itself.
    let gone = filter("").replace("web-v2", "gone");
    let (read, findings) = rule(&format!("{BACKEND}, filters: [{gone}]"));
    let at = "WEFT0101 spec.rules[0].filters[0].requestMirror.backendRef.name";
    assert_eq!(findings, [at]);
    assert!(matches!(read.unwrap().mirrors[0].backend, Backend::Invalid(_)));
}

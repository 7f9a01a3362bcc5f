//! Every field of both kinds of routes, as Gateway API 1.4 has them, the experimental ones too: each is honoured, or
//! named by a finding. None is called unknown, and none is dropped in silence.

use crate::source::testing::{beside_shop, object};

/// What is said of a route of this kind, `spec` without its parents.
fn said(kind: &str, spec: &str) -> Vec<String> {
    let parents = "parentRefs: [{group: '', kind: Service, name: web, port: 80}]";
    let (mesh, findings) = beside_shop(&object(kind, "r", &format!("{{{parents}, {spec}}}")));
    let refused =
        findings.iter().any(|finding| finding.contains("WEFT0205") || finding.contains("WEFT0206"));
    assert_eq!(mesh.routes.is_empty(), refused, "{spec}: {findings:?}");
    findings
}

const BACKEND: &str = "backendRefs: [{name: web, port: 80}]";
const HEADERS: &str = "{set: [{name: x-a, value: b}], add: [{name: x-b, value: c}], remove: [x-c]}";

/// Fields of one rule that both kinds have, with the findings at `spec.rules[0]`.
fn of_both() -> Vec<(String, Vec<&'static str>)> {
    let cases = [
        (format!("{BACKEND}, name: a"), vec![]),
        (
            "backendRefs: [{group: '', kind: Service, name: web, namespace: shop, port: 80, weight: 3}]".to_owned(),
            vec![],
        ),
        (format!("backendRefs: [{{name: web, port: 80, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {HEADERS}}}]}}]"), vec![]),
        (format!("{BACKEND}, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {HEADERS}}}]"), vec![]),
        (format!("{BACKEND}, filters: [{{type: ResponseHeaderModifier, responseHeaderModifier: {HEADERS}}}]"), vec![]),
        (
            format!("{BACKEND}, filters: [{{type: ExtensionRef, extensionRef: {{group: a.b, kind: C, name: d}}}}]"),
            vec!["WEFT0206 .filters[0].type"],
        ),
        (
            format!("{BACKEND}, sessionPersistence: {{sessionName: a, absoluteTimeout: 1h, idleTimeout: 1h, type: Cookie, cookieConfig: {{lifetimeType: Session}}}}"),
            vec!["WEFT0206 .sessionPersistence"],
        ),
        (format!("{BACKEND}, matches: [{{headers: [{{type: Exact, name: a, value: b}}]}}]"), vec![]),
        (format!("{BACKEND}, matches: [{{headers: [{{type: RegularExpression, name: a, value: b}}]}}]"), vec![]),
        // A filter has the field of its type and no other.
        (
            format!("{BACKEND}, filters: [{{type: RequestHeaderModifier, requestHeaderModifier: {HEADERS}, responseHeaderModifier: {HEADERS}}}]"),
            vec!["WEFT0205 .filters[0].responseHeaderModifier"],
        ),
    ];
    cases.into()
}

fn check(kind: &str, cases: Vec<(String, Vec<&'static str>)>) {
    for (rule, expected) in cases {
        let expected: Vec<_> =
            expected.iter().map(|text| text.replacen(" .", " spec.rules[0].", 1)).collect();
        assert_eq!(said(kind, &format!("rules: [{{{rule}}}]")), expected, "{kind} {rule}");
    }
}

#[test]
fn fields_of_a_route_as_a_whole() {
    for kind in ["HTTPRoute", "GRPCRoute"] {
        let rules = format!("rules: [{{{BACKEND}}}]");
        assert_eq!(
            said(kind, &format!("hostnames: [a.test, '*.b.test'], {rules}")),
            Vec::<String>::new()
        );
        let gateways = said(kind, &format!("useDefaultGateways: All, {rules}"));
        assert_eq!(
            gateways,
            ["WEFT0209 spec.useDefaultGateways"],
            "taken, and said to have no effect"
        );
        check(kind, of_both());
    }
}

#[test]
fn fields_of_an_http_route() {
    let with = |text: &str| format!("{BACKEND}, {text}");
    let filter = |text: &str| format!("{BACKEND}, filters: [{{{text}}}]");
    check(
        "HTTPRoute",
        vec![
            (with("matches: [{path: {type: Exact, value: /a}, method: GET, queryParams: [{type: Exact, name: a, value: b}]}]"), vec![]),
            (with("matches: [{method: CONNECT}]"), vec!["WEFT0209 .matches[0].method"]),
            (with("timeouts: {request: 2s, backendRequest: 1s}"), vec![]),
            (
                "filters: [{type: RequestRedirect, requestRedirect: {scheme: https, hostname: a.test, port: 443, statusCode: 301, path: {type: ReplaceFullPath, replaceFullPath: /}}}]".to_owned(),
                vec![],
            ),
            (filter("type: URLRewrite, urlRewrite: {hostname: a.test, path: {type: ReplacePrefixMatch, replacePrefixMatch: /}}"), vec![]),
            (filter("type: CORS, cors: {allowOrigins: ['*'], allowMethods: [GET], maxAge: 5}"), vec!["WEFT0206 .filters[0].type"]),
            (
                filter("type: ExternalAuth, externalAuth: {protocol: HTTP, backendRef: {name: web, port: 80}, http: {path: /}}"),
                vec!["WEFT0206 .filters[0].type"],
            ),
        ],
    );
}

#[test]
fn fields_of_a_grpc_route() {
    let with = |text: &str| format!("{BACKEND}, {text}");
    check(
        "GRPCRoute",
        vec![
            (with("matches: [{method: {type: Exact, service: a.B, method: C}}]"), vec![]),
            (
                with(
                    "matches: [{method: {type: RegularExpression, service: 'a.*', method: 'C|D'}}]",
                ),
                vec![],
            ),
        ],
    );
}

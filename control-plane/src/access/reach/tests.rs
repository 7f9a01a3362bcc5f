//! Who can reach what, as a table.

use super::super::testing::{mesh, object, readers};
use super::*;

fn query(from: &str, to: &str, request: &str) -> ReachQuery {
    let some = |text: &str| (!text.is_empty()).then(|| text.to_owned());
    let request = request
        .split_once(' ')
        .map(|(method, path)| AskedRequest { method: method.to_owned(), path: path.to_owned() });
    ReachQuery { from: some(from), to: some(to), request }
}

/// `gateway product.shop:8080 allowed: why`.
fn lines(mesh: &Mesh, query: &ReachQuery) -> Vec<String> {
    let line = |row: &Row| {
        let from = row.from.as_deref().map_or("nobody", |from| from.rsplit('/').next().unwrap());
        let Judgement { verdict, why, .. } = &row.judgement;
        format!("{from} {}:{} {verdict:?}: {why}", row.to, row.port)
    };
    reached(mesh, query).unwrap().rows.iter().map(line).collect()
}

#[test]
fn every_caller_is_put_against_every_port() {
    let mesh = mesh(&readers());
    let wants = "no rule allows it; AccessPolicy/shop/readers#carts wants identity spiffe://cluster.local/ns/shop/sa/gateway";
    let depends = "depends on method, path; allowed where AccessPolicy/shop/readers#carts applies; else denied";
    let denied = |who: &str| {
        format!("{who} product.shop:8080 Denied: {wants}, method GET, path /carts or path /carts/*")
    };
    assert_eq!(
        lines(&mesh, &query("", "product.shop", "")),
        [
            denied("job"),
            denied("db"),
            format!("gateway product.shop:8080 Depends: {depends}"),
            denied("product"),
            denied("nobody"),
        ]
    );
    let all = reached(&mesh, &ReachQuery::default()).unwrap();
    // Four ports, for product is one, and five callers.
    assert_eq!((all.rows.len(), all.left_out), (4 * 5, 0));
    assert_eq!(all.not_enforced, ["old.shop"]);
    let product = all.rows.iter().find(|row| row.to == "product.shop").unwrap();
    assert_eq!(product.workloads, ["product-v1.shop", "product-v2.shop"]);
}

#[test]
fn one_question_has_one_answer() {
    let deny = "{action: DENY, rules: [{name: admin, to: [{paths: [{value: /carts/admin}]}]}]}";
    let mesh = mesh(&(readers() + &object("AccessPolicy", "closed", deny)));
    for (from, request, expected) in [
        ("shop/gateway", "GET /carts/7?x=1", "Allowed: allowed by AccessPolicy/shop/readers#carts"),
        ("shop/gateway", "GET /carts/admin", "Denied: denied by AccessPolicy/shop/closed#admin"),
        (
            "shop/gateway",
            "GET /carts/7;a",
            "Denied: refused with 400: rules judge the path, and it holds `;`",
        ),
        (
            "spiffe://cluster.local/ns/shop/sa/gateway",
            "POST /carts",
            "Denied: no rule allows it; AccessPolicy/shop/readers#carts wants method GET",
        ),
        // Whoever is not there yet can be asked about.
        (
            "shop/new",
            "GET /carts",
            "Denied: no rule allows it; AccessPolicy/shop/readers#carts wants identity spiffe://cluster.local/ns/shop/sa/gateway",
        ),
    ] {
        let found = lines(&mesh, &query(from, "product.shop:8080", request));
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].ends_with(expected), "{request}: {}", found[0]);
    }
}

#[test]
fn bytes_that_nobody_looks_into_are_judged_as_such() {
    let methods =
        "{selector: {matchLabels: {app: db}}, action: DENY, rules: [{to: [{methods: [DELETE]}]}]}";
    let mesh = mesh(&object("AccessPolicy", "closed", methods));
    let found = lines(&mesh, &query("shop/gateway", "db.shop", "GET /"));
    assert_eq!(found, ["gateway db.shop:5432 Denied: denied by AccessPolicy/shop/closed#0"]);
}

#[test]
fn whoever_has_no_identity_does_not_pass_a_strict_port() {
    let mesh = mesh(&object("InboundPolicy", "strict", "{mtls: STRICT}"));
    let found = reached(&mesh, &query("nobody", "db.shop:5432", "")).unwrap();
    let Judgement { verdict, rule, .. } = &found.rows[0].judgement;
    assert_eq!(
        (*verdict, rule.as_deref()),
        (super::super::judge::Verdict::Denied, Some("InboundPolicy/shop/strict"))
    );
    let found = lines(&mesh, &query("bank/job", "db.shop:5432", ""));
    assert_eq!(found, ["job db.shop:5432 Allowed: no rule is about it"]);
}

#[test]
fn ports_that_nobody_declared_are_told_where_other_rules_hold() {
    let only = "{selector: {matchLabels: {app: db}}, ports: [5432], action: ALLOW, rules: [{from: [{serviceAccounts: [gateway]}]}]}";
    let found =
        lines(&mesh(&object("AccessPolicy", "db", only)), &query("bank/job", "db.shop", ""));
    assert_eq!(found.len(), 2, "{found:?}");
    assert!(found[0].starts_with("job db.shop:0 Allowed"), "{found:?}");
    assert!(found[1].starts_with("job db.shop:5432 Denied"), "{found:?}");
}

#[test]
fn where_a_caller_connects_from_is_known_of_pods_only() {
    let own = "{selector: {matchLabels: {app: db}}, action: ALLOW, rules: [{from: [{cidrs: [127.0.0.0/24]}]}]}";
    let mut mesh = mesh(&object("AccessPolicy", "own", own));
    let asked = query("shop/gateway", "db.shop", "");
    assert!(lines(&mesh, &asked)[0].contains("Depends: depends on source"));
    let gateway = mesh.workloads.get_mut(&crate::model::Key::new("shop", "gateway")).unwrap();
    gateway.origin.kind = "Pod".to_owned();
    assert!(lines(&mesh, &asked)[0].contains("Allowed: allowed by AccessPolicy/shop/own#0"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let mesh = mesh("");
    for (query, expected) in [
        (query("gateway", "", ""), "write namespace/account"),
        (query("spiffe://x", "", ""), "names no caller"),
        (query("", "product", ""), "is not workload.namespace"),
        (query("", "product.shop:0", ""), "is not workload.namespace"),
        (query("", "product.shop:x", ""), "is not workload.namespace"),
        (
            query("", "prodcut.shop", ""),
            "there are db.shop, gateway.shop, job.bank, old.shop, product.shop",
        ),
        (query("", "", "get /"), "is no method"),
        (query("", "", "GET carts"), "is no path"),
    ] {
        let why = reached(&mesh, &query).unwrap_err();
        assert!(why.contains(expected), "{query:?}: {why}");
    }
}

//! What objects mean to each other: references, conflicts, precedence, and what is odd.

use crate::model::{Backend, Balancer, Key, Mesh, MtlsMode};
use crate::source::analyze;
use crate::source::testing::{SHOP, beside_shop, object, route};

fn key(name: &str) -> Key {
    Key::new("shop", name)
}

/// The object with a creation time.
fn aged(text: &str, created: &str) -> String {
    text.replacen("namespace: shop", &format!("namespace: shop, creationTimestamp: '{created}'"), 1)
}

fn all(text: &str) -> (Mesh, Vec<String>) {
    let (mesh, findings) = analyze(&[("f.yaml", text)]);
    (mesh, findings.iter().map(ToString::to_string).collect())
}

#[test]
fn a_backend_that_does_not_exist_costs_its_share_and_is_told_with_its_line() {
    let text = "apiVersion: gateway.networking.k8s.io/v1\nkind: HTTPRoute\nmetadata: {name: r, namespace: shop}\nspec:\n  \
                parentRefs: [{group: '', kind: Service, name: web, port: 80}]\n  rules:\n  - backendRefs:\n    \
                - {name: web, port: 80, weight: 9}\n    - {name: web-v9, port: 80}\n    - {name: web, port: 81}\n";
    let (mesh, findings) = analyze(&[("shop.yaml", SHOP), ("web.yaml", text)]);
    let lines: Vec<String> = findings.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "error WEFT0101 HTTPRoute shop/r  spec.rules[0].backendRefs[1].name: Service shop/web-v9 does not exist   web.yaml:9",
            "error WEFT0102 HTTPRoute shop/r  spec.rules[0].backendRefs[2].port: Service shop/web has no port 81; it has 80 (http), 5432 (tcp-db)   web.yaml:10",
        ]
    );
    let backends = &mesh.routes[0].rules[0].backends;
    assert_eq!(backends[0].backend, Backend::Service(key("web"), 80));
    assert_eq!(
        backends[1].backend,
        Backend::Invalid("Service shop/web-v9 does not exist".to_owned())
    );
    assert_eq!((backends[1].weight, backends[2].weight), (1, 1));
    assert_eq!(mesh.routes[0].origin.to_string(), "HTTPRoute/shop/r");
}

#[test]
fn a_service_elsewhere_of_the_same_name_is_suggested() {
    let text = route("r", "[{backendRefs: [{name: web, namespace: other, port: 80}]}]");
    let (_, findings) = analyze(&[("shop.yaml", SHOP), ("f.yaml", &text)]);
    assert!(
        findings[0].hint.starts_with("did you mean the one in namespace shop?"),
        "{findings:?}"
    );
}

#[test]
fn a_broken_reference_mends_itself_when_the_other_object_comes() {
    let text = route("r", "[{backendRefs: [{name: late, port: 80}]}]");
    assert_eq!(beside_shop(&text).1, ["WEFT0101 spec.rules[0].backendRefs[0].name"]);
    let late =
        object("Service", "late", "{selector: {app: web}, ports: [{port: 80, targetPort: 8080}]}");
    assert_eq!(beside_shop(&(text + &late)).1, Vec::<String>::new());
}

#[test]
fn routes_are_ordered_by_age_then_name() {
    let rules = "[{backendRefs: [{name: web, port: 80}], matches: [{path: {value: /PATH}}]}]";
    let one = |name: &str| route(name, &rules.replace("PATH", name));
    let text = aged(&one("a"), "2026-01-03T00:00:00Z")
        + &aged(&one("b"), "2026-01-01T00:00:00Z")
        + &aged(&one("d"), "2026-01-02T00:00:00Z")
        + &aged(&one("c"), "2026-01-02T00:00:00Z");
    let (mesh, findings) = beside_shop(&text);
    assert!(findings.is_empty(), "{findings:?}");
    let order: Vec<&str> = mesh.routes.iter().map(|route| route.key.name.as_str()).collect();
    assert_eq!(order, ["b", "c", "d", "a"]);
    assert_eq!(mesh.routes[0].created, 1_767_225_600);
}

#[test]
fn rules_without_traffic_and_rules_out_of_reach_are_told() {
    let backend = "backendRefs: [{name: web, port: 80}]";
    for (rules, expected) in [
        ("[{}]".to_owned(), vec!["WEFT0304 spec.rules[0]"]),
        (
            "[{backendRefs: [{name: web, port: 80, weight: 0}]}]".to_owned(),
            vec!["WEFT0304 spec.rules[0].backendRefs"],
        ),
        ("[{filters: [{type: RequestRedirect, requestRedirect: {}}]}]".to_owned(), vec![]),
        (format!("[{{{backend}}}, {{{backend}}}]"), vec!["WEFT0303 spec.rules[1]"]),
        (
            format!(
                "[{{{backend}, matches: [{{path: {{value: /a}}}}]}}, {{{backend}, matches: [{{path: {{value: /a/}}}}]}}]"
            ),
            vec!["WEFT0303 spec.rules[1]"],
        ),
        (
            format!(
                "[{{{backend}, matches: [{{path: {{value: /a}}}}]}}, {{{backend}, matches: [{{path: {{value: /a}}}}, {{path: {{value: /b}}}}]}}]"
            ),
            vec![],
        ),
        (
            format!(
                "[{{{backend}, matches: [{{method: GET}}]}}, {{{backend}, matches: [{{method: PUT}}]}}]"
            ),
            vec![],
        ),
    ] {
        let expected: Vec<String> = expected.into_iter().map(str::to_owned).collect();
        assert_eq!(beside_shop(&route("r", &rules)).1, expected, "{rules}");
    }
}

#[test]
fn a_rule_out_of_reach_behind_an_older_route_is_told_by_name() {
    let rules = "[{backendRefs: [{name: web, port: 80}]}]";
    let text = aged(&route("new", rules), "2026-01-02T00:00:00Z")
        + &aged(&route("old", rules), "2026-01-01T00:00:00Z");
    let (_, findings) = analyze(&[("shop.yaml", SHOP), ("f.yaml", &text)]);
    assert_eq!(findings.len(), 1);
    assert_eq!(findings[0].object, "HTTPRoute shop/new");
    assert_eq!(
        findings[0].message,
        "rule 0 of HTTPRoute shop/old matches the same requests before it"
    );
    let named = "{parentRefs: [{group: '', kind: Service, name: web, port: 80}], hostnames: [a.example], rules: ";
    let text = route("old", rules) + &object("HTTPRoute", "zzz", &format!("{named}{rules}}}"));
    assert_eq!(beside_shop(&text).1, Vec::<String>::new(), "another host is another place");
}

#[test]
fn of_two_traffic_policies_the_port_goes_before_the_service_and_the_older_before_the_younger() {
    let policy = |name: &str, section: &str, balancer: &str| {
        let target = format!("{{kind: Service, name: web{section}}}");
        object(
            "TrafficPolicy",
            name,
            &format!("{{targetRefs: [{target}], loadBalancer: {{policy: {balancer}}}}}"),
        )
    };
    let text = policy("all", "", "Random")
        + &policy("port", ", sectionName: http", "RoundRobin")
        + &aged(&policy("late", ", sectionName: 80", "LeastRequest"), "2026-01-01T00:00:00Z")
        + &policy("zzz", "", "LeastRequest");
    let (mesh, findings) = beside_shop(&text);
    assert_eq!(findings, ["WEFT0301 spec.targetRefs[0]", "WEFT0301 spec.targetRefs[0]"]);
    let balancer = |port| mesh.traffic_policy(&key("web"), port).unwrap().balancer.clone();
    assert_eq!((balancer(80), balancer(5432)), (Balancer::RoundRobin, Balancer::Random));
    let (_, findings) = all(&(SHOP.to_owned() + "---\n" + &text));
    assert!(findings[0].contains("TrafficPolicy shop/late"), "{findings:?}");
    assert!(
        findings[0].contains("TrafficPolicy shop/port is in force for port 80 of Service shop/web")
    );
    assert!(findings[1].contains("TrafficPolicy shop/all is in force for Service shop/web"));
}

#[test]
fn targets_that_do_not_exist_are_told_and_the_others_are_in_force() {
    let spec = "{targetRefs: [{kind: Service, name: web}, {kind: Service, name: nope}, \
                {kind: Service, name: web, sectionName: nope}, {kind: Service, name: web, sectionName: '80'}]}";
    let (mesh, findings) = beside_shop(&object("TrafficPolicy", "p", spec));
    assert_eq!(
        findings,
        ["WEFT0106 spec.targetRefs[1].name", "WEFT0106 spec.targetRefs[2].sectionName"]
    );
    let places: Vec<_> = mesh.traffic_policies.keys().cloned().collect();
    assert_eq!(places, [(key("web"), None), (key("web"), Some(80))]);
}

#[test]
fn inbound_policies_go_from_the_narrow_to_the_wide() {
    let policy = |name: &str, spec: &str| object("InboundPolicy", name, spec);
    let text = policy("a-all", "{mtls: PERMISSIVE}")
        + &policy("b-web", "{selector: {matchLabels: {app: web}}, mtls: STRICT}")
        + &policy("c-port", "{selector: {matchLabels: {app: web}}, ports: [5432], mtls: DISABLE}")
        + &policy("d-web", "{selector: {matchLabels: {app: web}}, mtls: DISABLE}")
        + &policy("e-none", "{selector: {matchLabels: {app: none}}, mtls: STRICT}")
        + &policy("f-port", "{ports: [9999], mtls: STRICT}");
    let (mesh, findings) = beside_shop(&text);
    let order: Vec<&str> = mesh.inbound_policies.iter().map(|p| p.origin.name.as_str()).collect();
    assert_eq!(order, ["c-port", "b-web", "d-web", "e-none", "f-port", "a-all"]);
    assert_eq!(findings, ["WEFT0301 spec", "WEFT0306 spec", "WEFT0306 spec"]);
    let mode =
        |name: &str, port| mesh.mtls_mode(&key(name), &mesh.workloads[&key(name)].labels, port);
    assert_eq!(mode("web-1", 8080), MtlsMode::Strict);
    assert_eq!(mode("web-1", 5432), MtlsMode::Disable);
    assert_eq!(mode("web-2", 8080), MtlsMode::Permissive);
}

#[test]
fn what_is_odd_between_services_and_workloads_is_told_and_stays() {
    let workload = |name: &str, address: &str, ports: &str| {
        let spec = format!("{{address: {address}, ports: [{ports}]}}");
        object("MeshWorkload", name, &spec).replacen(
            "namespace: shop",
            &format!("namespace: shop, labels: {{app: {name}}}"),
            1,
        )
    };
    let service = |app: &str, ports: &str| {
        object("Service", "s", &format!("{{selector: {{app: {app}}}, ports: [{ports}]}}"))
    };
    for (text, expected) in [
        (service("nobody", "{port: 80}"), vec!["WEFT0401 spec.selector"]),
        (workload("w", "127.0.0.9", "{port: 80}"), vec!["WEFT0403 metadata.labels"]),
        (
            service("web", "{port: 80, targetPort: other}"),
            vec!["WEFT0402 spec.ports[0].targetPort"],
        ),
        (service("web", "{port: 80, targetPort: 81}"), vec!["WEFT0402 spec.ports[0].targetPort"]),
        (
            service("web", "{port: 80, appProtocol: tcp, targetPort: 8080}"),
            vec!["WEFT0406 spec.ports[0].appProtocol"],
        ),
        (service("web", "{port: 80, targetPort: 8080}"), vec![]),
        (
            workload("zz", "127.0.0.2", "{port: 8080}"),
            vec!["WEFT0403 metadata.labels", "WEFT0404 spec.ports[0].port"],
        ),
        (
            object(
                "Service",
                "s",
                "{clusterIP: 10.0.0.1, selector: {app: web}, ports: [{port: 8080}]}",
            ) + &object(
                "Service",
                "t",
                "{clusterIP: 10.0.0.1, selector: {app: web}, ports: [{port: 8080}]}",
            ),
            vec!["WEFT0404 spec.clusterIP"],
        ),
    ] {
        let found = beside_shop(&text).1;
        assert_eq!(found, expected, "{text}");
    }
}

#[test]
fn a_service_whose_workloads_are_in_another_namespace_is_told_so() {
    let text = object("Service", "s", "{selector: {app: web}, ports: [{port: 1}]}")
        .replace("namespace: shop", "namespace: else");
    let (_, findings) = analyze(&[("shop.yaml", SHOP), ("f.yaml", &text)]);
    assert!(
        findings[0].message.contains("MeshWorkload shop/web-1 has, in another namespace"),
        "{findings:?}"
    );
}

#[test]
fn an_unmeshed_workload_need_not_declare_its_ports() {
    let text = object("MeshWorkload", "w", "{address: 127.0.0.9, meshed: false}").replacen(
        "namespace: shop",
        "namespace: shop, labels: {app: plain}",
        1,
    ) + &object("Service", "s", "{selector: {app: plain}, ports: [{port: 80}]}");
    assert_eq!(beside_shop(&text).1, Vec::<String>::new());
}

#[test]
fn a_route_to_a_service_elsewhere_is_its_namespaces_own_and_conflicts_with_no_producers() {
    let everything = "[{backendRefs: [{name: web, namespace: shop, port: 80}]}]";
    let consumer = |name: &str| {
        route(name, everything)
            .replace("namespace: shop}\nspec", "namespace: checkout}\nspec")
            .replace("name: web, port: 80}]", "name: web, namespace: shop, port: 80}]")
    };
    let grpc = route("p", everything).replace("HTTPRoute", "GRPCRoute");
    let (mesh, findings) = beside_shop(&(grpc + &consumer("c")));
    assert_eq!(findings, Vec::<String>::new());
    let keys: Vec<_> = mesh.routes.iter().map(|route| route.key.to_string()).collect();
    assert_eq!(keys, ["checkout/c", "shop/p"]);
    assert_eq!(mesh.routes[0].parents, [(key("web"), 80)]);
    // Two of one namespace meet as two of the producer's do.
    let (_, findings) = beside_shop(&(consumer("c") + &consumer("d")));
    assert_eq!(findings, ["WEFT0303 spec.rules[0]"]);
}

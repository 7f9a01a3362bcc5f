//! What a policy may ask for, and what is said of the rest.

use crate::model::{AccessLog, Mesh, RouteKind};
use crate::source::testing::{beside_shop, object, route};

fn policy(spec: &str) -> (Mesh, Vec<String>) {
    beside_shop(&object("TelemetryPolicy", "tell", spec))
}

#[test]
fn of_workloads() {
    let (mesh, findings) = policy(
        "{selector: {matchLabels: {app: web}}, tracing: {sampling: 0.5}, \
         accessLog: {successes: 0.1, fields: [time, status]}}",
    );
    assert_eq!(findings, [""; 0]);
    let [policy] = &mesh.telemetry_policies[..] else { panic!() };
    assert_eq!((policy.sampling, policy.namespace.as_str()), (Some(0.5), "shop"));
    let fields = vec!["time".to_owned(), "status".to_owned()];
    assert_eq!(policy.access_log, Some(AccessLog { successes: 0.1, fields }));
    let (mesh, findings) =
        policy_of_namespace("targetRefs: [{kind: Namespace, name: shop}], accessLog: {}");
    assert_eq!(findings, [""; 0]);
    assert_eq!(mesh.telemetry_policies[0].access_log, Some(AccessLog::default()));
    assert_eq!(mesh.telemetry_policies[0].sampling, None);
}

fn policy_of_namespace(spec: &str) -> (Mesh, Vec<String>) {
    policy(&format!("{{{spec}}}"))
}

#[test]
fn of_routes_and_of_one_rule() {
    let target = |more: &str| {
        format!(
            "{{targetRefs: [{{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r{more}}}], \
             tracing: {{sampling: 0}}}}"
        )
    };
    let to = "backendRefs: [{name: web, port: 80}]";
    let matched = "matches: [{path: {value: /read}}]";
    let beside = route("r", &format!("[{{name: read, {matched}, {to}}}, {{{to}}}]"));
    let with = |more| beside_shop(&(object("TelemetryPolicy", "tell", &target(more)) + &beside));
    let (mesh, findings) = with("");
    assert_eq!((findings, mesh.telemetry_policies.len()), (vec![], 0));
    let key = crate::model::Key::new("shop", "r");
    let share = |mesh: &Mesh, rule| {
        mesh.route_telemetry(RouteKind::Http, &key, rule).and_then(|policy| policy.sampling)
    };
    assert_eq!((share(&mesh, "read"), share(&mesh, "1")), (Some(0.0), Some(0.0)));
    let (mesh, findings) = with(", sectionName: read");
    assert_eq!(findings, [""; 0]);
    assert_eq!((share(&mesh, "read"), share(&mesh, "1")), (Some(0.0), None));
    assert_eq!(with(", sectionName: write").1, ["WEFT0106 spec.targetRefs[0].sectionName"]);
    assert_eq!(policy(&target("")).1, ["WEFT0106 spec.targetRefs[0].name"]);
}

#[test]
fn what_makes_no_sense_is_refused_at_its_field() {
    let route = "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}";
    for (spec, finding) in [
        ("{}", "WEFT0205 spec"),
        ("{tracing: {}}", "WEFT0205 spec.tracing"),
        ("{tracing: {sampling: 1.5}}", "WEFT0205 spec.tracing.sampling"),
        ("{accessLog: {successes: -1}}", "WEFT0205 spec.accessLog.successes"),
        ("{accessLog: {fields: [colour]}}", "WEFT0205 spec.accessLog.fields[0]"),
        ("{accessLog: {field: [time]}}", "WEFT0205 spec.accessLog.field"),
        (
            "{tracing: {sampling: 1}, targetRefs: [{kind: Service, name: web}]}",
            "WEFT0205 spec.targetRefs[0].kind",
        ),
        (
            "{tracing: {sampling: 1}, targetRefs: [{kind: HTTPRoute, name: r}]}",
            "WEFT0205 spec.targetRefs[0].kind",
        ),
        (
            "{tracing: {sampling: 1}, targetRefs: [{kind: Namespace, name: other}]}",
            "WEFT0205 spec.targetRefs[0].name",
        ),
        (
            "{tracing: {sampling: 1}, targetRefs: [{kind: Namespace, name: shop, sectionName: a}]}",
            "WEFT0205 spec.targetRefs[0].sectionName",
        ),
        (
            "{tracing: {sampling: 1}, selector: {matchExpressions: []}}",
            "WEFT0206 spec.selector.matchExpressions",
        ),
        (
            &format!(
                "{{tracing: {{sampling: 1}}, selector: {{matchLabels: {{a: b}}}}, targetRefs: [{route}]}}"
            ),
            "WEFT0205 spec.selector",
        ),
        (&format!("{{accessLog: {{}}, targetRefs: [{route}]}}"), "WEFT0205 spec.accessLog"),
    ] {
        let (mesh, findings) = policy(spec);
        assert_eq!(findings, [finding], "{spec}");
        assert!(mesh.telemetry_policies.is_empty() && mesh.route_telemetry.is_empty(), "{spec}");
    }
}

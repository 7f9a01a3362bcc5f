//! Which policy is in force, and what is said of the others.

use crate::model::{Key, Mesh};
use crate::source::testing::{beside_shop, object, route};

fn sampling(mesh: &Mesh, workload: &str) -> f64 {
    mesh.sampling(&mesh.workloads[&Key::new("shop", workload)])
}

#[test]
fn the_more_specific_wins_and_the_rest_is_the_meshs() {
    let all =
        object("TelemetryPolicy", "all", "{tracing: {sampling: 0.2}, accessLog: {successes: 1}}");
    let web = object(
        "TelemetryPolicy",
        "web",
        "{selector: {matchLabels: {app: web}}, tracing: {sampling: 0.7}}",
    );
    let (mesh, findings) = beside_shop(&(all + &web));
    assert_eq!(findings, [""; 0]);
    assert!((sampling(&mesh, "web-1") - 0.7).abs() < 1e-9);
    assert!((sampling(&mesh, "web-2") - 0.2).abs() < 1e-9);
    let log = |name| mesh.access_log(&mesh.workloads[&Key::new("shop", name)]);
    // Whole policies are compared, not their fields.
    assert_eq!(log("web-1"), None);
    assert!((log("web-2").unwrap().successes - 1.0).abs() < 1e-9);
    let (mesh, _) = beside_shop("");
    assert!((sampling(&mesh, "web-1") - 0.1).abs() < 1e-9);
}

#[test]
fn a_policy_that_is_in_force_nowhere_says_so() {
    let one = |name: &str, labels: &str| {
        let spec = format!("{{selector: {{matchLabels: {{{labels}}}}}, tracing: {{sampling: 0}}}}");
        object("TelemetryPolicy", name, &spec)
    };
    let (_, findings) = beside_shop(&one("nobody", "app: none"));
    assert_eq!(findings, ["WEFT0306 spec"]);
    let (mesh, findings) = beside_shop(&(one("a", "app: web") + &one("b", "app: web")));
    assert_eq!(findings, ["WEFT0301 spec"]);
    assert_eq!(mesh.telemetry_policies[0].origin.name, "a");
}

#[test]
fn of_two_for_one_route_the_first_by_name_is_in_force() {
    let one = |name: &str, share: &str| {
        let target = "{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}";
        let spec = format!("{{targetRefs: [{target}], tracing: {{sampling: {share}}}}}");
        object("TelemetryPolicy", name, &spec)
    };
    let (mesh, findings) = beside_shop(
        &(one("a", "1") + &one("b", "0") + &route("r", "[{backendRefs: [{name: web, port: 80}]}]")),
    );
    assert_eq!(findings, ["WEFT0301 spec.targetRefs[0]"]);
    let found: Vec<_> = mesh.route_telemetry.values().map(|policy| policy.sampling).collect();
    assert_eq!(found, [Some(1.0)]);
}

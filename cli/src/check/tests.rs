//! What is judged sound and what is not, from facts made up.

use serde_json::json;

use super::certificate::Certificate;
use super::gather::{Machine, MeshFacts, RunDirectory, Sidecar};
use super::*;
use crate::admin::{BrokenTraces, Finding, Proxy};
use crate::golden;
use crate::moment::Moment;

const NOW: i64 = 1_800_000_000;

fn machine() -> Machine {
    Machine {
        run_root: "/run/user/1000/weft".into(),
        directory: RunDirectory::Private,
        open_files: Some((20_000, 20_000)),
        clock: Moment::at(NOW),
        loopback: Ok(()),
        shop_port: None,
    }
}

fn proxy() -> Proxy {
    serde_json::from_value(json!({
        "workload": "order.shop", "connected": true, "leaf_not_after": NOW + 80_000,
        "resources": {"routes": {"sent": "1", "acked": "1", "rejected": null}}}))
    .unwrap()
}

fn mesh(proxy: Proxy) -> MeshFacts {
    MeshFacts {
        name: "demo".to_owned(),
        pid: 4711,
        ready: Ok(()),
        version: Some(crate::version::VERSION.to_owned()),
        sidecars: vec![Sidecar {
            workload: proxy.workload.clone(),
            ready: true,
            ..Sidecar::default()
        }],
        proxies: vec![proxy],
        findings: Vec::new(),
        broken_traces: Vec::new(),
        config_dir: "k8s/demo".into(),
        urls: vec![("http://127.0.0.1:8080".to_owned(), true)],
    }
}

/// The grades and errors of everything that is not a success.
fn complaints(categories: &[Category]) -> Vec<(Grade, String)> {
    let checks = categories.iter().flat_map(|category| &category.checks);
    checks
        .filter(|check| check.result != Grade::Success)
        .inspect(|check| assert_mendable(check))
        .map(|check| (check.result, check.error.clone().unwrap_or_default()))
        .collect()
}

/// A way to mend it, in words; of an error a command too, with nothing in it that has to be filled in first.
#[track_caller]
pub(super) fn assert_mendable(check: &Check) {
    assert!(check.hint.is_some(), "no way to mend it: {check:?}");
    assert!(check.result != Grade::Error || check.command.is_some(), "nothing to paste: {check:?}");
    let command = check.command.as_deref().unwrap_or_default();
    let is_gap = |word: &str| word.len() > 1 && word.chars().all(|c| c.is_ascii_uppercase());
    assert!(!command.split(' ').any(is_gap) && !command.contains('…'), "{command}");
}

/// Of a program on the PATH, and the current cluster.
pub(super) fn shell() -> Shell {
    Shell::new("weft", None, &crate::args::ClusterArgs::default())
}

fn of(mesh: &MeshFacts) -> Vec<Category> {
    planes::judge(Some(mesh), &shell(), Moment::at(NOW))
}

fn judged(mesh: &MeshFacts) -> Vec<(Grade, String)> {
    complaints(&of(mesh))
}

#[test]
fn a_sound_mesh_on_a_sound_machine_has_no_complaints() {
    assert_eq!(complaints(&[machine::judge(&machine())]), []);
    assert_eq!(judged(&mesh(proxy())), []);
}

#[test]
fn whoever_breaks_traces_is_named_once_with_all_its_versions() {
    let one = |name: &str, workload: &str| BrokenTraces {
        name: name.to_owned(),
        namespace: "shop".to_owned(),
        workload: workload.to_owned(),
    };
    let all = ["payment-v2.shop", "payment-v1.shop"].map(|workload| one("payment", workload));
    let broken_traces = [all.to_vec(), vec![one("order", "order.shop")]].concat();
    let words = judged(&MeshFacts { broken_traces, ..mesh(proxy()) });
    let said = |who: &str| {
        (Grade::Warning, format!("it receives traceparent and calls on without it ({who})"))
    };
    assert_eq!(words, [said("order.shop"), said("payment-v1.shop, payment-v2.shop")]);
}

#[test]
fn why_a_sidecar_is_not_ready_it_says_itself() {
    let refusal = "identity_denied: the identity spiffe://a.test/ns/shop/sa/order is denied: INC-1";
    let mut facts = mesh(proxy());
    (facts.sidecars[0].ready, facts.sidecars[0].refusal) = (false, refusal.to_owned());
    assert_eq!(judged(&facts), [(Grade::Error, format!("it says: {refusal}"))]);
    let shown = anstream::adapter::strip_str(&draw(&of(&facts))).to_string();
    assert!(shown.contains("take it off `denied` of the MeshConfig"), "{shown}");
}

#[test]
fn without_a_mesh_only_the_machine_is_checked() {
    let categories = planes::judge(None, &shell(), Moment::at(NOW));
    assert_eq!(complaints(&categories)[0].0, Grade::Warning);
}

#[test]
fn a_machine_that_will_not_do_says_what_to_do() {
    let few = Machine { open_files: Some((256, 1024)), ..machine() };
    assert_eq!(complaints(&[machine::judge(&few)])[0].0, Grade::Warning);
    let past = Machine { clock: Moment::at(0), ..machine() };
    assert_eq!(complaints(&[machine::judge(&past)])[0].0, Grade::Error);
    let open = Machine { directory: RunDirectory::Open, ..machine() };
    assert_eq!(complaints(&[machine::judge(&open)])[0].0, Grade::Error);
}

#[test]
fn a_sidecar_that_is_away_out_of_step_or_expired_is_found() {
    let away = Proxy { connected: false, ..proxy() };
    assert_eq!(judged(&mesh(away))[0].0, Grade::Error);

    let mut rejecting = proxy();
    rejecting.resources = serde_json::from_value(json!({
        "routes": {"sent": "2", "acked": "1", "rejected": {"version": "2", "reason": "no cluster x"}}}))
    .unwrap();
    assert_eq!(judged(&mesh(rejecting)), [(Grade::Error, "no cluster x".to_owned())]);

    let expired = Proxy { leaf_not_after: json!(NOW - 1), ..proxy() };
    assert!(judged(&mesh(expired))[0].1.contains("expired"));

    let short =
        Proxy { leaf_not_after: json!(NOW + 20), leaf_overdue_at: json!(NOW + 1), ..proxy() };
    assert_eq!(judged(&mesh(short)), [], "short lives are no reason for alarm");
    let overdue =
        Proxy { leaf_not_after: json!(NOW + 7200), leaf_overdue_at: json!(NOW), ..proxy() };
    let (grade, error) = judged(&mesh(overdue.clone())).remove(0);
    assert_eq!((grade, error.contains("overdue: 2h are left")), (Grade::Warning, true), "{error}");
    // What a sidecar says itself counts before what the control plane heard of it once.
    let mut renewed = mesh(overdue);
    renewed.sidecars[0].certificate = json!({"not_after": NOW + 9000, "overdue_at": NOW + 5000});
    assert_eq!(judged(&renewed), []);
    renewed.proxies[0].leaf_overdue_at = json!(NOW + 5000);
    renewed.sidecars[0].certificate = json!({"not_after": NOW + 90, "overdue_at": NOW - 5000});
    assert!(judged(&renewed)[0].1.contains("overdue: 90s are left"));

    let mut unknown = mesh(proxy());
    unknown.proxies.clear();
    assert!(judged(&unknown)[0].1.contains("not heard of it"));
}

#[test]
fn findings_about_the_configuration_count_by_severity() {
    let mut facts = mesh(proxy());
    let finding = |severity: &str| Finding { severity: severity.to_owned(), ..Finding::default() };
    facts.findings = vec![finding("info")];
    assert_eq!(judged(&facts), []);
    facts.findings.push(finding("warning"));
    assert_eq!(judged(&facts)[0].0, Grade::Warning);
    facts.findings.push(finding("error"));
    assert_eq!(judged(&facts)[0].0, Grade::Error);
    let categories = of(&facts);
    let found = categories.iter().find(|one| one.category_name == "configuration").unwrap();
    assert_eq!(found.checks[0].command.as_deref(), Some("weft analyze k8s/demo"));
}

/// Before anything is there; a mesh that is well; and one in which everything is wrong, on a machine where everything is.
#[test]
fn of_this_machine() {
    let none = [vec![machine::judge(&machine())], planes::judge(None, &shell(), Moment::at(NOW))];
    golden::plain("check", "no-mesh", &draw(&none.concat()));
    let sound = [vec![machine::judge(&machine())], of(&mesh(proxy()))].concat();
    golden::plain("check", "sound", &draw(&sound));
    golden::json("check", "sound", &shape(&sound));

    let odd = Machine {
        run_root: "/tmp/weft 1000".into(),
        directory: RunDirectory::Open,
        open_files: Some((1024, 524_288)),
        clock: Moment::at(0),
        loopback: Err("Cannot assign requested address (os error 99)".to_owned()),
        shop_port: Some(false),
    };
    let unsound = [vec![machine::judge(&odd)], of(&everything_wrong())].concat();
    golden::plain("check", "unsound", &draw(&unsound));
    golden::colored("check", "unsound", &draw(&unsound));
    golden::json("check", "unsound", &shape(&unsound));
    assert!(complaints(&unsound).len() > 12);
}

fn everything_wrong() -> MeshFacts {
    let refuses = json!({"routes": {"sent": 2, "acked": 1, "rejected": {"version": 2, "reason": "no cluster x"}}});
    let named = |name: &str| Proxy { workload: name.to_owned(), ..proxy() };
    let behind = json!({"routes": {"sent": 2, "acked": 1, "rejected": null}});
    MeshFacts {
        ready: Err(
            "nothing answers at /run/weft/demo/control-plane/admin.sock: Connection refused"
                .to_owned(),
        ),
        version: Some("0.0.9".to_owned()),
        proxies: vec![
            Proxy { connected: false, ..named("away.shop") },
            Proxy { stale: true, ..named("stale.shop") },
            Proxy { resources: serde_json::from_value(refuses).unwrap(), ..named("refuses.shop") },
            Proxy { resources: serde_json::from_value(behind).unwrap(), ..named("behind.shop") },
            Proxy { leaf_not_after: json!(NOW - 1), ..named("expired.shop") },
            Proxy {
                leaf_not_after: json!(NOW + 7200),
                leaf_overdue_at: json!(NOW),
                ..named("overdue.shop")
            },
        ],
        sidecars: vec![Sidecar { workload: "silent.shop".to_owned(), ..Sidecar::default() }],
        findings: vec![Finding {
            code: "WEFT0101".to_owned(),
            severity: "error".to_owned(),
            object: "HTTPRoute shop/product".to_owned(),
            file: "shop.yaml".to_owned(),
            line: 14,
            message: "Service shop/product-v3 does not exist".to_owned(),
            ..Finding::default()
        }],
        broken_traces: vec![BrokenTraces {
            name: "payment".to_owned(),
            namespace: "shop".to_owned(),
            workload: "payment-v1.shop".to_owned(),
        }],
        urls: vec![("http://127.0.0.1:8080".to_owned(), false)],
        config_dir: "/home/ada/my shop".into(),
        ..mesh(proxy())
    }
}

#[test]
fn the_json_has_the_form_that_linkerds_tools_know() {
    let value = serde_json::to_value(machine::judge(&machine())).unwrap();
    assert_eq!(value["categoryName"], "machine");
    assert_eq!(value["checks"][0]["result"], "success");
    assert!(value["checks"][0].get("error").is_none());
}

#[test]
fn of_many_pods_those_with_the_least_time_are_named() {
    let certificate = |number: i64| {
        let end = NOW + 1000 * (number - 1);
        let said = json!({"not_after": end, "overdue_at": NOW - 10 + number});
        Certificate::own(&format!("web-{number}.shop"), &said).unwrap()
    };
    let all: Vec<_> = (0..12).rev().map(certificate).collect();
    let checks = certificate::judge_all(&all, Moment::at(NOW), "weft trust status");
    let said: Vec<_> = checks.iter().map(|check| check.error.clone().unwrap()).collect();
    assert_eq!(said[0], "1 have expired and refuse to serve: web-0.shop");
    assert!(
        said[1].starts_with("that is overdue for 10: web-1.shop (0s left), web-2.shop"),
        "{}",
        said[1]
    );
    assert!(said[1].ends_with(" …") && !said[1].contains("web-6"), "{}", said[1]);
    assert_eq!(checks.len(), 2);
    assert!(certificate::judge_all(&all[..1], Moment::at(NOW), "").is_empty());
}

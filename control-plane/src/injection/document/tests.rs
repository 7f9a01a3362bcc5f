//! Documents in and out.

use proptest::prelude::*;
use serde_json::json;

use super::super::Injector;
use super::*;

fn settings() -> Settings {
    Settings::from_registry("weft.dev", Injector::CommandLine)
}

fn template() -> Value {
    json!({"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"name": "app"}]}})
}

fn workload(kind: &str) -> Value {
    let mut spec = json!({"template": template()});
    if kind == "CronJob" {
        spec = json!({"schedule": "* * * * *", "jobTemplate": {"spec": spec}});
    }
    let mut object =
        json!({"apiVersion": "x/v1", "kind": kind, "metadata": {"name": "web"}, "spec": spec});
    if kind == "Pod" {
        json_patch::merge(&mut object, &json!({"spec": template()["spec"]}));
        object["spec"].as_object_mut().unwrap().remove("template");
    }
    object
}

#[test]
fn every_kind_with_pods_is_injected_and_comes_back() {
    for (kind, place) in TEMPLATES {
        let before = workload(kind);
        let (after, reports) = inject_document(before.clone(), &settings());
        let object = format!("{}/web", kind.to_lowercase());
        let report = |change| vec![Report { object: object.clone(), change, warnings: Vec::new() }];
        assert_eq!(reports, report(Change::Injected), "{after:#}");
        let pod = place.iter().fold(&after, |value, key| &value[key]);
        assert_eq!(pod["spec"]["initContainers"][0]["name"], "weft-init", "{kind}");
        assert_eq!(pod["metadata"]["annotations"]["weft.dev/injected-by"], "weft-inject");
        assert_eq!(
            pod["metadata"]["labels"]["weft.dev/inject"], "enabled",
            "so that the webhook is asked"
        );
        let (again, reports) = inject_document(after.clone(), &settings());
        assert_eq!(again, after);
        let already = Skip::AlreadyInjected(Injector::CommandLine);
        assert_eq!(reports, report(Change::Skipped(already)));
        let (back, reports) = uninject_document(after);
        assert_eq!(back, before, "{kind}");
        assert_eq!(reports, report(Change::Uninjected));
        assert_eq!(uninject_document(back).1, report(Change::NotInjected));
    }
}

#[test]
fn lists_are_walked_and_the_rest_passes() {
    let service = json!({"kind": "Service", "metadata": {"name": "web"}});
    let list = json!({"apiVersion": "v1", "kind": "List", "items": [service, workload("Job"),
        {"kind": "PodList", "items": [{"metadata": {"generateName": "p-"}, "spec": {"hostNetwork": true, "containers": []}}]}]});
    let (after, reports) = inject_document(list.clone(), &settings());
    let changes: Vec<_> =
        reports.iter().map(|report| (&*report.object, report.change.clone())).collect();
    assert_eq!(
        changes,
        [
            ("service/web", Change::NoPods),
            ("job/web", Change::Injected),
            ("pod/p-", Change::Skipped(Skip::HostNetwork)),
        ]
    );
    assert_eq!(after["items"][0], list["items"][0]);
    assert_eq!(uninject_document(after).0, list);
    for nothing in
        [json!(null), json!([]), json!("text"), json!({"kind": 1}), json!({"kind": "List"})]
    {
        let (after, reports) = inject_document(nothing.clone(), &settings());
        assert_eq!((after, &reports[0].change), (nothing, &Change::NoPods));
    }
}

#[test]
fn what_cannot_be_injected_stays_whole_and_says_why() {
    let mut bad = workload("CronJob");
    bad["spec"]["jobTemplate"]["spec"]["template"]["metadata"]["annotations"] =
        json!({"weft.dev/access-log": "yes"});
    let mut broken = workload("Deployment");
    broken["spec"]["template"]["spec"]["containers"] = json!("none");
    // As YAML reads `args: [--verbose, yes]`.
    let mut word = workload("DaemonSet");
    word["spec"]["template"]["spec"]["containers"][0]["args"] = json!(["--verbose", true]);
    let mut empty = workload("Job");
    empty["spec"]["template"]["spec"] = json!(null);
    for (document, message) in [
        (
            bad,
            "spec.jobTemplate.spec.template.metadata.annotations[weft.dev/access-log]: \"yes\" is none of off, errors, all; \
             write it like \"errors\", or remove it",
        ),
        (
            broken,
            "spec.template.spec.containers: invalid type: string \"none\", expected a sequence",
        ),
        (
            word,
            "spec.template.spec.containers[0].args[1]: invalid type: boolean `true`, expected a string",
        ),
        (empty, "spec.template.spec: is missing"),
        (json!({"kind": "Job"}), "there is no spec.template"),
    ] {
        let (after, reports) = inject_document(document.clone(), &settings());
        assert_eq!(after, document);
        assert_eq!(reports[0].change, Change::Refused(message.to_owned()));
    }
}

#[test]
fn warnings_say_where_in_the_document() {
    let mut document = workload("Deployment");
    document["metadata"]["annotations"] = json!({"weft.dev/access-log": "all"});
    document["spec"]["template"]["spec"]["dnsPolicy"] = json!("Default");
    let (_, reports) = inject_document(document, &settings());
    assert_eq!(reports[0].change, Change::Injected);
    assert_eq!(
        reports[0].warnings,
        [
            "metadata.annotations[weft.dev/access-log]: has no effect here; write it in spec.template.metadata",
            "spec.template.spec.dnsPolicy: with Default the sidecar may not find the control plane, whose name is the cluster's",
        ]
    );
}

#[test]
fn the_service_is_named_after_the_workload_around_the_template() {
    let mut document = workload("Deployment");
    document["spec"]["template"]["metadata"] = json!(null);
    let (after, _) = inject_document(document, &settings());
    let env = after["spec"]["template"]["spec"]["initContainers"][1]["env"].as_array().unwrap();
    assert!(env.contains(&json!({"name": "WEFT_SERVICE_NAME", "value": "web"})), "{env:?}");
}

/// Null and nothing, an empty list and none: the API server makes no difference.
fn meaning(value: &Value) -> Value {
    match value {
        Value::Object(object) => {
            let fields = object.iter().map(|(key, value)| (key.clone(), meaning(value)));
            Value::Object(fields.filter(|(_, value)| !is_nothing(value)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(meaning).collect()),
        other => other.clone(),
    }
}

fn is_nothing(value: &Value) -> bool {
    value.is_null()
        || value.as_object().is_some_and(serde_json::Map::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
}

fn annotations() -> impl Strategy<Value = Value> {
    let name = prop_oneof![
        Just("kubectl.kubernetes.io/default-container"),
        Just("kubectl.kubernetes.io/default-logs-container"),
        Just("example.com/a~b"),
        Just("weft.dev/unknown"),
    ];
    prop_oneof![
        Just(json!(null)),
        proptest::collection::btree_map(name, "[a-z,]{0,4}", 0..4).prop_map(|map| json!(map)),
    ]
}

fn list(names: &'static [&'static str]) -> impl Strategy<Value = Value> {
    let items = proptest::sample::subsequence(names, 0..=names.len());
    let items = items.prop_map(|names| {
        let items = names.iter().map(|name| json!({"name": name, "futureField": [1]}));
        Value::Array(items.collect())
    });
    prop_oneof![Just(json!(null)), items]
}

proptest! {
    #[test]
    fn uninject_is_the_inverse_of_inject(
        annotations in annotations(),
        labels in proptest::sample::select(vec![json!(null), json!({}), json!({"weft.dev/inject": "enabled"}), json!({"a": "b"})]),
        init in list(&["a", "b"]),
        volumes in list(&["c", "d"]),
        (kind, place) in proptest::sample::select(&TEMPLATES[..]),
        metadata in any::<bool>(),
    ) {
        let mut before = workload(kind);
        let pod = place.iter().fold(&mut before, |value, key| &mut value[key]);
        if metadata {
            pod["metadata"]["annotations"] = annotations;
            pod["metadata"]["labels"] = labels;
        } else if !place.is_empty() {
            pod.as_object_mut().unwrap().remove("metadata");
        }
        pod["spec"]["initContainers"] = init;
        pod["spec"]["volumes"] = volumes;
        let (after, reports) = inject_document(before.clone(), &settings());
        prop_assert_eq!(&reports[0].change, &Change::Injected);
        prop_assert_ne!(&after, &before);
        prop_assert_eq!(meaning(&uninject_document(after).0), meaning(&before));
    }
}

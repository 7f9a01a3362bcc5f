//! Judges namespaces and pods: may they be injected, are they, and with which version? Pure.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{Namespace, Pod};
use weft_control_plane::injection::{self, Facts, Injector, Outcome, Settings};

use super::cluster::Answer;
use super::kubernetes::unanswered;
use super::{Category, Check, fix};
use crate::cluster::{has_ended, sidecar};
use crate::shell::Shell;

const INJECT: &str = "weft.dev/inject";
const LEVEL: &str = "pod-security.kubernetes.io/enforce";
/// Levels that forbid the init container, which writes the rules of interception: root, with NET_ADMIN.
const TOO_STRICT: [&str; 2] = ["baseline", "restricted"];
/// Where nothing is injected, whatever is labelled.
const NEVER: [&str; 4] = ["kube-system", "kube-public", "kube-node-lease", "weft-system"];
/// Bound: names in one line.
const SHOWN: usize = 5;

/// `version` is the control plane's.
pub(super) fn judge(
    namespaces: &Answer<Vec<Namespace>>,
    pods: &Answer<Vec<Pod>>,
    version: &str,
    shell: &Shell,
) -> Category {
    let category_name = "data-plane";
    let (namespaces, pods) = match (namespaces, pods) {
        (Ok(namespaces), Ok(pods)) => (namespaces, pods),
        (Err(error), _) | (_, Err(error)) => {
            let may = shell.kubectl("auth can-i list pods --all-namespaces");
            let checks = vec![unanswered("labelled namespaces are meshed", error, &may)];
            return Category { category_name, checks };
        }
    };
    let enabled: Vec<&Namespace> = namespaces
        .iter()
        .filter(|namespace| label(namespace.metadata.labels.as_ref(), INJECT) == Some("enabled"))
        .filter(|namespace| !NEVER.contains(&name(namespace)))
        .collect();
    let mut checks: Vec<Check> =
        enabled.iter().filter_map(|namespace| security(namespace, shell)).collect();
    checks.extend(namespaces.iter().filter_map(|namespace| unclear(namespace, shell)));
    checks.extend(unmeshed(&enabled, pods, shell));
    checks.extend(skew(pods, version, shell));
    if enabled.is_empty() && pods.iter().all(|pod| sidecar(pod).is_none()) {
        let label = shell.kubectl(&format!("label namespace default {INJECT}=enabled"));
        let mend = fix(
            "label one, this or another; pods that start there next have a sidecar",
            format!("{label}; {}", shell.restart(&["default"])),
        );
        checks.push(Check::warning("a namespace is meshed", "none has the label", mend));
    } else if checks.is_empty() {
        let count = pods.iter().filter(|pod| sidecar(pod).is_some() && !has_ended(pod)).count();
        checks.push(Check::good(format!(
            "every pod that should have a sidecar has one of {version} ({count})"
        )));
    }
    Category { category_name, checks }
}

fn name(namespace: &Namespace) -> &str {
    namespace.metadata.name.as_deref().unwrap_or_default()
}

fn label<'a>(labels: Option<&'a BTreeMap<String, String>>, key: &str) -> Option<&'a str> {
    labels?.get(key).map(String::as_str)
}

fn security(namespace: &Namespace, shell: &Shell) -> Option<Check> {
    let level = label(namespace.metadata.labels.as_ref(), LEVEL)?;
    TOO_STRICT.contains(&level).then(|| {
        let name = name(namespace);
        Check::bad(
            format!("namespace {name} allows the sidecar's init container"),
            format!("its Pod Security level is {level}, which forbids CAP_NET_ADMIN and root: no pod can start"),
            fix(
                "allow it there",
                shell.kubectl(&format!("label namespace {name} {LEVEL}=privileged --overwrite")),
            ),
        )
    })
}

/// A label that nobody understands: the webhook is not asked about the pods, so nobody else says so.
fn unclear(namespace: &Namespace, shell: &Shell) -> Option<Check> {
    let value = label(namespace.metadata.labels.as_ref(), INJECT)?;
    (!["enabled", "disabled"].contains(&value)).then(|| {
        let name = name(namespace);
        Check::warning(
            format!("namespace {name} says whether it is meshed"),
            format!("its label {INJECT} is {value:?}, neither enabled nor disabled: its pods get no sidecar"),
            fix(
                "say it in a word that is known, enabled or disabled",
                shell.kubectl(&format!("label namespace {name} {INJECT}=enabled --overwrite")),
            ),
        )
    })
}

/// Pods that started before their namespace was labelled, or while the webhook was not there.
fn unmeshed(enabled: &[&Namespace], pods: &[Pod], shell: &Shell) -> Vec<Check> {
    let mut counts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| should_be_meshed(pod, enabled) && sidecar(pod).is_none()) {
        let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
        counts.entry(namespace).or_default().push(pod.metadata.name.as_deref().unwrap_or_default());
    }
    let check = |(namespace, pods): (&str, Vec<&str>)| {
        Check::warning(
            format!("the pods of namespace {namespace} are meshed"),
            format!("{} without a sidecar: {}", pods.len(), few(&pods)),
            fix("start them anew", shell.restart(&[namespace])),
        )
    };
    counts.into_iter().map(check).collect()
}

/// As the API server asks, and as the injector would decide if the pod were made now.
fn should_be_meshed(pod: &Pod, enabled: &[&Namespace]) -> bool {
    let namespace = pod.metadata.namespace.as_deref().unwrap_or_default();
    if has_ended(pod) || pod.metadata.deletion_timestamp.is_some() || NEVER.contains(&namespace) {
        return false;
    }
    let asked = match label(pod.metadata.labels.as_ref(), INJECT) {
        Some(own) => own == "enabled",
        None => enabled.iter().any(|labelled| name(labelled) == namespace),
    };
    let settings = Settings::from_registry("weft.dev", Injector::Webhook);
    let decided = asked.then(|| injection::inject(pod, &settings, &Facts::default()));
    decided.is_some_and(|decided| {
        !decided.is_ok_and(|decision| matches!(decision.outcome, Outcome::Skipped(_)))
    })
}

/// Sidecars of another version than the control plane's.
fn skew(pods: &[Pod], version: &str, shell: &Shell) -> Vec<Check> {
    let mut counts: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for pod in pods.iter().filter(|pod| !has_ended(pod)) {
        let Some(other) = sidecar(pod).filter(|other| *other != version) else { continue };
        let namespaces = counts.entry(other).or_default();
        namespaces.push(pod.metadata.namespace.as_deref().unwrap_or_default());
    }
    let check = |(other, mut namespaces): (&str, Vec<&str>)| {
        let count = namespaces.len();
        namespaces.sort_unstable();
        namespaces.dedup();
        Check::warning(
            format!("sidecars are of the control plane's version ({version})"),
            format!("{count} of {other}, in {}", few(&namespaces)),
            fix("start their pods anew", shell.restart(&namespaces[..namespaces.len().min(SHOWN)])),
        )
    };
    counts.into_iter().map(check).collect()
}

fn few(names: &[&str]) -> String {
    let shown = names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{shown} …") } else { shown }
}

//! Judges a cluster: the API server, Weft's parts in it, and the pods (`meshed`). Pure.

#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::certificate::{self, Certificate};
use super::cluster::{Answer, Away, Cluster, Deployment, gateway_api};
use super::{Category, Check, Grade, fix, meshed, traces};
use crate::moment::Moment;
use crate::shell::Shell;
use crate::version::VERSION;

/// The first with sidecars that end with their pods' work.
const LEAST: (u32, u32) = (1, 29);
const GATEWAY_API: &str = "apply --server-side -f \
    https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.3/standard-install.yaml";
const CONTROL_PLANE: &str = "deployment/weft-control-plane";

/// One category a part. Where nobody has asked for the cluster (`asked`), that there is no Weft in it is no error.
pub(super) fn judge(cluster: &Cluster, shell: &Shell, asked: bool, now: Moment) -> Vec<Category> {
    let mut api = vec![answers(&cluster.version, shell, asked)];
    let there = is_installed(cluster);
    if api[0].result == Grade::Success && !there {
        api.push(not_there(shell, asked));
        api.push(gateway_api_is_there(&cluster.definitions, shell));
        api.extend(rights(&cluster.rights, shell));
    }
    let mut categories = vec![Category { category_name: "kubernetes", checks: api }];
    if cluster.version.is_err() || !there {
        return categories;
    }
    categories.push(definitions(&cluster.definitions, shell));
    let mut control_plane = control_plane(&cluster.deployment, shell, asked);
    control_plane.checks.extend(ca(cluster, shell));
    categories.push(control_plane);
    categories.push(webhook(cluster, shell));
    let version = cluster.deployment.as_ref().ok().and_then(Option::as_ref);
    let version = version.map_or(VERSION, |found| found.version.as_str());
    let mut meshed = meshed::judge(&cluster.namespaces, &cluster.pods, version, shell);
    meshed.checks.extend(certificates(cluster, shell, now));
    categories.push(meshed);
    if cluster.proxies.is_ok() {
        categories.push(traces::judge(&cluster.broken_traces));
    }
    categories
}

/// Of pods whose sidecars are connected. Without a control plane that answers nothing is known of them, and that is told
/// elsewhere.
fn certificates(cluster: &Cluster, shell: &Shell, now: Moment) -> Vec<Check> {
    let runs = matches!(&cluster.deployment, Ok(Some(found)) if found.available > 0);
    match &cluster.proxies {
        Ok(proxies) => {
            let all: Vec<_> = proxies.iter().filter_map(Certificate::heard_of).collect();
            certificate::judge_all(&all, now, &logs(shell))
        }
        Err(error) if runs => {
            let may = "auth can-i create pods/exec -n weft-system";
            let description = "the certificates of the sidecars are renewed in time";
            vec![unanswered(description, error, &shell.kubectl(may))]
        }
        Err(_) => Vec::new(),
    }
}

/// A check whose question was not answered. `may` is what to type to see whether it may be asked.
pub(super) fn unanswered(description: impl Into<String>, error: &str, may: &str) -> Check {
    let words = "may your account read it? if not, have somebody look who may";
    Check::warning(description, format!("it cannot be told: {error}"), fix(words, may))
}

fn logs(shell: &Shell) -> String {
    shell.kubectl(&format!("-n weft-system logs {CONTROL_PLANE} --all-containers"))
}

fn answers(version: &Result<(u32, u32), Away>, shell: &Shell, asked: bool) -> Check {
    let description = "the API server answers";
    let (error, mend) = match version {
        Ok(found) if *found < LEAST => {
            let error =
                format!("it is version {}.{}, which has no native sidecars", found.0, found.1);
            let words =
                format!("upgrade the cluster to {}.{} or later; its versions", LEAST.0, LEAST.1);
            return Check::bad(description, error, fix(words, shell.kubectl("version")));
        }
        Ok((major, minor)) => {
            return Check::good(format!("{description} (version {major}.{minor})"));
        }
        Err(Away::Unknown(error)) => {
            let words = "name a kubeconfig with --kubeconfig or KUBECONFIG, or one of its contexts with --context";
            (error, fix(words, shell.kubectl("config get-contexts")))
        }
        Err(Away::Silent(error)) => {
            let words = "is it up, and can it be reached from here? else choose another cluster with --context";
            (error, fix(words, shell.kubectl("cluster-info")))
        }
        Err(Away::Refused(error)) => {
            let words =
                "have your credentials expired, or are they of another cluster? log in again";
            (error, fix(words, shell.kubectl("auth whoami")))
        }
    };
    let check = Check::bad(description, error.as_str(), mend);
    if asked { check } else { Check { result: Grade::Warning, ..check } }
}

/// Any part of Weft counts: one that is missing beside others is an error of its own.
fn is_installed(cluster: &Cluster) -> bool {
    let deployed = !matches!(cluster.deployment, Ok(None));
    let hooked = !matches!(cluster.bundles, Ok(None));
    let defined = |found: &Vec<CustomResourceDefinition>| {
        found.iter().any(|definition| definition.spec.group == weft_control_plane::crd::GROUP)
    };
    deployed || hooked || cluster.definitions.as_ref().is_ok_and(defined)
}

fn not_there(shell: &Shell, asked: bool) -> Check {
    let mend = fix("install it", shell.install());
    let check = Check::bad("Weft is installed", "nothing of it is there", mend);
    if asked { check } else { Check { result: Grade::Warning, ..check } }
}

/// Before it is installed: may whoever asks do it?
fn rights(missing: &Answer<Vec<String>>, shell: &Shell) -> Option<Check> {
    let description = "your account may install it";
    match missing {
        Ok(missing) if missing.is_empty() => Some(Check::good(description)),
        Ok(missing) => {
            let words =
                "have somebody install it who may do anything in the cluster; what you may do";
            let mend = fix(words, shell.kubectl("auth can-i --list"));
            Some(Check::warning(description, format!("it may not {}", missing.join(", ")), mend))
        }
        // Who cannot even ask is told so when he does it.
        Err(_) => None,
    }
}

fn definitions(found: &Answer<Vec<CustomResourceDefinition>>, shell: &Shell) -> Category {
    let description = "Weft's own kinds are defined as this weft knows them";
    let own = match found {
        Ok(found) => own_kinds(description, found, shell),
        Err(error) => {
            let may = "auth can-i get customresourcedefinitions";
            unanswered(description, error, &shell.kubectl(may))
        }
    };
    let mut checks = vec![own];
    if found.is_ok() {
        checks.push(gateway_api_is_there(found, shell));
    }
    Category { category_name: "definitions", checks }
}

fn own_kinds(description: &str, found: &[CustomResourceDefinition], shell: &Shell) -> Check {
    let mut odd = Vec::new();
    for expected in weft_control_plane::crd::all() {
        let name = expected.metadata.name.clone().unwrap_or_default();
        let there = found.iter().find(|there| there.metadata.name == expected.metadata.name);
        match there {
            None => odd.push(format!("{name} is missing")),
            Some(there) if !is_established(there) => {
                odd.push(format!("{name} is not in force yet"))
            }
            Some(there) if !is_same(there, &expected) => {
                odd.push(format!("{name} is of another version"))
            }
            Some(_) => {}
        }
    }
    if odd.is_empty() {
        return Check::good(description);
    }
    Check::bad(description, odd.join(", "), fix("apply them again", shell.install()))
}

fn gateway_api_is_there(found: &Answer<Vec<CustomResourceDefinition>>, shell: &Shell) -> Check {
    let description = "the Gateway API is there, for routes";
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            let may = "auth can-i get customresourcedefinitions";
            return unanswered(description, error, &shell.kubectl(may));
        }
    };
    match gateway_api(found) {
        Some(release) if release.is_empty() => Check::good(description),
        Some(release) => Check::good(format!("{description} ({release})")),
        None => Check::warning(
            description,
            "its definitions are not installed: traffic goes by Service alone",
            fix("install them, if you want routes", shell.kubectl(GATEWAY_API)),
        ),
    }
}

fn is_established(definition: &CustomResourceDefinition) -> bool {
    let conditions = definition.status.as_ref().and_then(|status| status.conditions.as_ref());
    conditions.is_some_and(|conditions| {
        conditions
            .iter()
            .any(|condition| condition.type_ == "Established" && condition.status == "True")
    })
}

fn is_same(there: &CustomResourceDefinition, expected: &CustomResourceDefinition) -> bool {
    let schemas = |definition: &CustomResourceDefinition| -> Vec<_> {
        let versions = definition.spec.versions.iter();
        versions.map(|version| (version.name.clone(), version.schema.clone())).collect()
    };
    schemas(there) == schemas(expected)
}

fn control_plane(found: &Answer<Option<Deployment>>, shell: &Shell, asked: bool) -> Category {
    let description = "the control plane is ready";
    let mut checks = Vec::new();
    match found {
        // Of whatever else is well nobody can say that the mesh is.
        Err(error) => {
            let may = shell.kubectl("auth can-i get deployments -n weft-system");
            let check = unanswered(description, error, &may);
            let result = if asked { Grade::Error } else { check.result };
            checks.push(Check { result, ..check });
        }
        Ok(None) => {
            let mend = fix("apply it again", shell.install());
            checks.push(Check::bad(description, "its Deployment is missing", mend));
        }
        Ok(Some(found)) => {
            checks.push(available(description, found, shell));
            let version = &found.version;
            let description = format!("its version is that of this weft ({VERSION})");
            checks.push(if version == VERSION {
                Check::good(description)
            } else {
                let mend = fix("upgrade it, or use a weft of its version", shell.install());
                Check::warning(description, format!("it is {version}"), mend)
            });
        }
    }
    Category { category_name: "control-plane", checks }
}

fn available(description: &str, found: &Deployment, shell: &Shell) -> Check {
    let Deployment { wanted, available, .. } = found;
    let (count, error) = (
        format!("{available} of {wanted}"),
        format!("{available} of {wanted} replicas are available"),
    );
    if available >= wanted && *wanted > 0 {
        Check::good(format!("{description} ({count})"))
    } else if *wanted == 0 {
        let mend = fix(
            "it is scaled to nothing; meshed pods go on with what they have",
            shell.kubectl(&format!("-n weft-system scale {CONTROL_PLANE} --replicas=1")),
        );
        Check::bad(description, error, mend)
    } else if *available > 0 {
        Check::warning(description, error, fix("look at their logs", logs(shell)))
    } else {
        let mend = fix(
            "what keeps its pods from starting? meshed pods go on with what they have",
            shell.kubectl("-n weft-system describe pods"),
        );
        Check::bad(description, error, mend)
    }
}

/// A control plane that runs has made its CA. Who may read no Secrets is told nothing of it.
fn ca(cluster: &Cluster, shell: &Shell) -> Option<Check> {
    let runs = matches!(&cluster.deployment, Ok(Some(found)) if found.available > 0);
    let is_lost = runs && cluster.ca == Ok(false);
    is_lost.then(|| {
        Check::bad(
            "the mesh's CA is kept",
            "the Secret weft-ca is missing: the control plane goes on with what it has in memory, and makes another CA when it \
             starts anew; then calls fail until every sidecar has heard of it",
            fix(
                "put a copy of the Secret back; without one, restart the control plane when calls may fail for a minute or two",
                restart(shell),
            ),
        )
    })
}

fn restart(shell: &Shell) -> String {
    shell.kubectl(&format!("-n weft-system rollout restart {CONTROL_PLANE}"))
}

fn webhook(cluster: &Cluster, shell: &Shell) -> Category {
    let mut checks = vec![trusts(cluster, shell)];
    if checks[0].result != Grade::Error {
        checks.push(trial(&cluster.trial, shell));
    }
    Category { category_name: "webhook", checks }
}

fn trusts(cluster: &Cluster, shell: &Shell) -> Check {
    let description = "the webhook trusts the control plane's certificate";
    let anew = || fix("have the control plane write it again", restart(shell));
    match (&cluster.bundles, &cluster.authority) {
        (Err(error), _) => {
            let may = "auth can-i get mutatingwebhookconfigurations";
            unanswered(description, error, &shell.kubectl(may))
        }
        (Ok(None), _) => Check::bad(
            description,
            "the webhook weft-injector is missing",
            fix("apply it again", shell.install()),
        ),
        (Ok(Some(bundles)), _) if bundles.iter().any(|bundle| bundle.trim().is_empty()) => {
            Check::bad(
                description,
                "its caBundle is empty: the control plane has not filled it in",
                fix(
                    "wait until the control plane is ready; it fills it in then",
                    shell.kubectl(&format!("-n weft-system rollout status {CONTROL_PLANE}")),
                ),
            )
        }
        (Ok(Some(bundles)), Ok(Some(authority))) => {
            let trusts = |bundle: &String| bundle.contains(authority.trim());
            if bundles.iter().all(trusts) {
                return Check::good(description);
            }
            let error = "its caBundle is not the authority of the Secret weft-webhook";
            Check::bad(description, error, anew())
        }
        (Ok(Some(_)), Ok(None)) => {
            Check::bad(description, "the Secret weft-webhook is missing", anew())
        }
        // Who may read no Secrets is told by the trial all the same.
        (Ok(Some(_)), Err(_)) => Check::good("the webhook has a caBundle"),
    }
}

fn trial(found: &Answer<bool>, shell: &Shell) -> Check {
    let description = "a pod that asks for a sidecar is given one (dry run)";
    match found {
        Ok(true) => Check::good(description),
        Ok(false) => Check::bad(
            description,
            "it was let through without one",
            fix(
                "is another webhook in the way?",
                shell.kubectl("get mutatingwebhookconfigurations"),
            ),
        ),
        Err(error) if error.contains("PodSecurity") => Check::warning(
            description,
            format!("it cannot be tried: {error}"),
            "nothing to do: namespace default does not allow it",
        ),
        Err(error) if error.contains("forbidden") => Check::warning(
            description,
            format!("it cannot be tried: {error}"),
            fix(
                "have somebody check who may make pods there",
                shell.kubectl("auth can-i create pods -n default"),
            ),
        ),
        Err(error) => Check::bad(
            description,
            error.as_str(),
            fix(
                "can the API server reach pods of weft-system on port 15017? see firewalls and NetworkPolicies",
                shell.kubectl("-n weft-system get pods,services,networkpolicies -o wide"),
            ),
        ),
    }
}

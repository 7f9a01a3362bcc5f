//! Judges a cluster: the API server, Weft's parts in it, and the pods (`meshed`). Pure.

#[cfg(test)]
mod tests;

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;

use super::certificate::{self, Certificate};
use super::cluster::{Answer, Cluster, Deployment, gateway_api};
use super::{Category, Check, Grade, meshed, traces};
use crate::moment::Moment;
use crate::version::VERSION;

/// The first with sidecars that end with their pods' work.
const LEAST: (u32, u32) = (1, 29);
const INSTALL: &str = "weft install | kubectl apply --server-side -f -";
const GATEWAY_API: &str = "kubectl apply --server-side -f \
    https://github.com/kubernetes-sigs/gateway-api/releases/download/v1.6.3/standard-install.yaml";

/// One category a part. Where nobody has asked for the cluster (`asked`), that there is no Weft in it is no error.
pub(super) fn judge(cluster: &Cluster, asked: bool, now: Moment) -> Vec<Category> {
    let mut api = vec![reachable(&cluster.version, asked)];
    let there = is_installed(cluster);
    if api[0].result == Grade::Success && !there {
        api.push(not_there(asked));
    }
    let mut categories = vec![Category { category_name: "kubernetes", checks: api }];
    if cluster.version.is_err() || !there {
        return categories;
    }
    categories.push(definitions(&cluster.definitions));
    let mut control_plane = control_plane(&cluster.deployment);
    control_plane.checks.extend(ca(cluster));
    categories.push(control_plane);
    categories.push(webhook(cluster));
    let version = cluster.deployment.as_ref().ok().and_then(Option::as_ref);
    let version = version.map_or(VERSION, |found| found.version.as_str());
    let mut meshed = meshed::judge(&cluster.namespaces, &cluster.pods, version);
    meshed.checks.extend(certificates(cluster, now));
    categories.push(meshed);
    if cluster.proxies.is_ok() {
        categories.push(traces::judge(&cluster.broken_traces));
    }
    categories
}

/// Of pods whose sidecars are connected. Without a control plane that answers nothing is known of them, and that is told
/// elsewhere.
fn certificates(cluster: &Cluster, now: Moment) -> Vec<Check> {
    let runs = matches!(&cluster.deployment, Ok(Some(found)) if found.available > 0);
    match &cluster.proxies {
        Ok(proxies) => {
            let all: Vec<_> = proxies.iter().filter_map(Certificate::heard_of).collect();
            certificate::judge_all(&all, now)
        }
        Err(error) if runs => {
            vec![unanswered("the certificates of the sidecars are renewed in time", error)]
        }
        Err(_) => Vec::new(),
    }
}

/// A check whose question was not answered.
pub(super) fn unanswered(description: impl Into<String>, error: &str) -> Check {
    let hint = "may your account read it? ask: kubectl auth can-i --list";
    Check::warning(description, format!("it cannot be told: {error}"), hint)
}

fn reachable(version: &Answer<(u32, u32)>, asked: bool) -> Check {
    let description = "the API server answers";
    match version {
        Err(error) => {
            let hint = "does kubectl version answer? else choose another cluster with --context";
            let check = Check::bad(description, error.as_str(), hint);
            if asked { check } else { Check { result: Grade::Warning, ..check } }
        }
        Ok(found) if *found < LEAST => Check::bad(
            description,
            format!("it is version {}.{}, which has no native sidecars", found.0, found.1),
            format!("upgrade the cluster to {}.{} or later", LEAST.0, LEAST.1),
        ),
        Ok((major, minor)) => Check::good(format!("{description} (version {major}.{minor})")),
    }
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

fn not_there(asked: bool) -> Check {
    let check = Check::bad("Weft is installed", "nothing of it is there", INSTALL);
    if asked { check } else { Check { result: Grade::Warning, ..check } }
}

fn definitions(found: &Answer<Vec<CustomResourceDefinition>>) -> Category {
    let category_name = "definitions";
    let description = "Weft's own kinds are defined as this weft knows them";
    let found = match found {
        Ok(found) => found,
        Err(error) => {
            return Category { category_name, checks: vec![unanswered(description, error)] };
        }
    };
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
    let own = if odd.is_empty() {
        Check::good(description)
    } else {
        Check::bad(description, odd.join(", "), INSTALL)
    };
    let description = "the Gateway API is there, for routes";
    let routes = match gateway_api(found) {
        Some(release) if release.is_empty() => Check::good(description),
        Some(release) => Check::good(format!("{description} ({release})")),
        None => Check::warning(
            description,
            "its definitions are not installed: traffic goes by Service alone",
            GATEWAY_API,
        ),
    };
    Category { category_name, checks: vec![own, routes] }
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

fn control_plane(found: &Answer<Option<Deployment>>) -> Category {
    let description = "the control plane is ready";
    let logs = "look at its log: kubectl -n weft-system logs deployment/weft-control-plane";
    let mut checks = Vec::new();
    match found {
        Err(error) => checks.push(unanswered(description, error)),
        Ok(None) => checks.push(Check::bad(description, "its Deployment is missing", INSTALL)),
        Ok(Some(Deployment { wanted, available, version })) => {
            let count = format!("{available} of {wanted}");
            checks.push(if available >= wanted && *wanted > 0 {
                Check::good(format!("{description} ({count})"))
            } else if *available > 0 {
                Check::warning(description, format!("{count} replicas are available"), logs)
            } else {
                let hint = format!("{logs}; meshed pods go on with what they have");
                Check::bad(description, format!("{count} replicas are available"), hint)
            });
            let description = format!("its version is that of this weft ({VERSION})");
            checks.push(if version == VERSION {
                Check::good(description)
            } else {
                Check::warning(
                    description,
                    format!("it is {version}"),
                    format!("upgrade it: {INSTALL}"),
                )
            });
        }
    }
    Category { category_name: "control-plane", checks }
}

/// A control plane that runs has made its CA. Who may read no Secrets is told nothing of it.
fn ca(cluster: &Cluster) -> Option<Check> {
    let runs = matches!(&cluster.deployment, Ok(Some(found)) if found.available > 0);
    let is_lost = runs && cluster.ca == Ok(false);
    is_lost.then(|| {
        Check::bad(
            "the mesh's CA is kept",
            "the Secret weft-ca is missing: the control plane goes on with what it has in memory, and makes another CA when it \
             starts anew; then calls fail until every sidecar has heard of it",
            "put a copy of the Secret back; without one, restart the control plane when calls may fail for a minute or two",
        )
    })
}

fn webhook(cluster: &Cluster) -> Category {
    let restart = "kubectl -n weft-system rollout restart deployment/weft-control-plane";
    let mut checks = Vec::new();
    let description = "the webhook trusts the control plane's certificate";
    checks.push(match (&cluster.bundles, &cluster.authority) {
        (Err(error), _) => unanswered(description, error),
        (Ok(None), _) => Check::bad(description, "the webhook weft-injector is missing", INSTALL),
        (Ok(Some(bundles)), _) if bundles.iter().any(|bundle| bundle.trim().is_empty()) => {
            Check::bad(
                description,
                "its caBundle is empty: the control plane has not filled it in",
                "wait until the control plane is ready; it fills it in then",
            )
        }
        (Ok(Some(bundles)), Ok(Some(authority))) => {
            let trusts = |bundle: &String| bundle.contains(authority.trim());
            if bundles.iter().all(trusts) {
                Check::good(description)
            } else {
                Check::bad(
                    description,
                    "its caBundle is not the authority of the Secret weft-webhook",
                    restart,
                )
            }
        }
        (Ok(Some(_)), Ok(None)) => {
            Check::bad(description, "the Secret weft-webhook is missing", restart)
        }
        // Who may read no Secrets is told by the trial all the same.
        (Ok(Some(_)), Err(_)) => Check::good("the webhook has a caBundle"),
    });
    if checks[0].result != Grade::Error {
        checks.push(trial(&cluster.trial));
    }
    Category { category_name: "webhook", checks }
}

fn trial(found: &Answer<bool>) -> Check {
    let description = "a pod that asks for a sidecar is given one (dry run)";
    match found {
        Ok(true) => Check::good(description),
        Ok(false) => Check::bad(
            description,
            "it was let through without one",
            "is another webhook in the way? see: kubectl get mutatingwebhookconfigurations",
        ),
        Err(error) if error.contains("PodSecurity") || error.contains("forbidden") => {
            let hint = "nothing to do: namespace default does not allow it";
            Check::warning(description, format!("it cannot be tried: {error}"), hint)
        }
        Err(error) => Check::bad(
            description,
            error.as_str(),
            "can the API server reach pods of weft-system on port 15017? see firewalls and NetworkPolicies",
        ),
    }
}

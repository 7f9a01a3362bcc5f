//! Judges the running mesh: control plane, sidecars, certificates, configuration. Pure.

use super::certificate::{self, Certificate};
use super::gather::{MeshFacts, Sidecar};
use super::{Category, Check, traces};
use crate::admin::Proxy;
use crate::analyze;
use crate::moment::Moment;
use crate::version::VERSION;

/// One category a plane, or one that says that no mesh runs.
pub(super) fn judge(mesh: Option<&MeshFacts>, weft: &str, now: Moment) -> Vec<Category> {
    let Some(mesh) = mesh else {
        let none = Check::warning(
            "a mesh runs here",
            "none does, so only the machine was checked",
            format!("start one: {weft} demo"),
        );
        return vec![Category { category_name: "mesh", checks: vec![none] }];
    };
    vec![
        control_plane(mesh),
        sidecars(mesh, now),
        configuration(mesh, weft),
        traces::judge(&mesh.broken_traces),
    ]
}

fn control_plane(mesh: &MeshFacts) -> Category {
    let description = format!("the control plane of mesh `{}` is ready", mesh.name);
    let mut checks = vec![match &mesh.ready {
        Ok(()) => Check::good(description),
        Err(error) => Check::bad(
            description,
            error.as_str(),
            "look at the output of the process that runs the mesh; sidecars go on with what they have",
        ),
    }];
    if let Some(version) = &mesh.version {
        let description = format!("its version is that of this weft ({VERSION})");
        checks.push(if version == VERSION {
            Check::good(description)
        } else {
            Check::warning(description, format!("it is {version}"), "start the mesh again")
        });
    }
    for (url, answers) in &mesh.urls {
        let description = format!("{url} answers");
        checks.push(if *answers {
            Check::good(description)
        } else {
            let hint = "look at the sidecar in front of it: is it ready below?";
            Check::bad(description, "nothing accepts connections there", hint)
        });
    }
    Category { category_name: "control-plane", checks }
}

fn sidecars(mesh: &MeshFacts, now: Moment) -> Category {
    let mut checks = Vec::new();
    for Sidecar { workload, ready, .. } in &mesh.sidecars {
        if !ready {
            checks.push(Check::bad(
                format!("sidecar {workload} is ready"),
                "it does not say so on its admin socket",
                "look at the output of the process that started it",
            ));
        }
        if !mesh.proxies.iter().any(|proxy| proxy.workload == *workload) {
            checks.push(Check::bad(
                format!("sidecar {workload} is connected"),
                "the control plane has not heard of it",
                "is its control plane this one? see its bootstrap.json",
            ));
        }
    }
    for proxy in &mesh.proxies {
        checks.extend(complaints(proxy));
    }
    checks.extend(certificates(mesh).iter().filter_map(|one| certificate::judge(one, now)));
    if checks.is_empty() {
        let count = mesh.proxies.len();
        checks.push(if count == 0 {
            let hint = "put a sidecar beside a program: weft run --workload NAME.NS -- CMD";
            Check::warning("sidecars run", "there is none", hint)
        } else {
            Check::good(format!("all {count} are connected, in step and certified"))
        });
    }
    Category { category_name: "sidecars", checks }
}

/// What is wrong with one sidecar.
fn complaints(proxy: &Proxy) -> Vec<Check> {
    let name = &proxy.workload;
    let mut checks = Vec::new();
    if !proxy.connected {
        checks.push(Check::bad(
            format!("sidecar {name} is connected"),
            "its connection to the control plane is gone",
            "if it still runs it connects again by itself; if not, start it again",
        ));
    } else if proxy.stale {
        checks.push(Check::warning(
            format!("sidecar {name} is up to date"),
            "it runs on its last good configuration",
            "nothing to do if the control plane has just started",
        ));
    }
    for (kind, rejection) in proxy.rejections() {
        checks.push(Check::bad(
            format!("sidecar {name} accepts its {kind}"),
            rejection.reason.as_str(),
            "mend the object it names; until then the last good version is in force",
        ));
    }
    if proxy.connected && !proxy.is_synced() && proxy.rejections().next().is_none() {
        checks.push(Check::warning(
            format!("sidecar {name} is in step"),
            "it has not yet answered the last change",
            "ask again in a second; if it stays so, look at its log",
        ));
    }
    checks
}

/// Of every sidecar: what it says itself, else what the control plane heard of it last.
fn certificates(mesh: &MeshFacts) -> Vec<Certificate> {
    let heard = mesh.proxies.iter().filter_map(Certificate::heard_of);
    let mut all: Vec<Certificate> = heard.collect();
    for Sidecar { workload, certificate, .. } in &mesh.sidecars {
        if let Some(own) = Certificate::own(workload, certificate) {
            all.retain(|other| other.workload != own.workload);
            all.push(own);
        }
    }
    all
}

fn configuration(mesh: &MeshFacts, weft: &str) -> Category {
    let complaints: Vec<_> =
        mesh.findings.iter().filter(|finding| finding.is_complaint()).cloned().collect();
    let description = "every object is in force";
    let check = if complaints.is_empty() {
        Check::good(description)
    } else {
        let hint = format!("see them: {weft} analyze {}", mesh.config_dir.display());
        let error =
            format!("{}, the first: {}", analyze::count(&complaints), first(&complaints[0]));
        if complaints.iter().any(|finding| finding.severity == "error") {
            Check::bad(description, error, hint)
        } else {
            Check::warning(description, error, hint)
        }
    };
    Category { category_name: "configuration", checks: vec![check] }
}

fn first(finding: &crate::admin::Finding) -> String {
    format!("{} {} {}: {}", finding.code, finding.object, finding.file, finding.message)
}

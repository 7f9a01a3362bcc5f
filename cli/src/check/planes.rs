//! Judges the running mesh: control plane, sidecars, certificates, configuration. Pure.

use super::certificate::{self, Certificate};
use super::gather::{MeshFacts, Sidecar};
use super::{Category, Check, fix, traces};
use crate::admin::Proxy;
use crate::analyze;
use crate::environment::shell_quoted;
use crate::moment::Moment;
use crate::output::clean;
use crate::shell::Shell;
use crate::version::VERSION;

/// One category a plane, or one that says that no mesh runs.
pub(super) fn judge(mesh: Option<&MeshFacts>, shell: &Shell, now: Moment) -> Vec<Category> {
    let Some(mesh) = mesh else {
        let none = Check::warning(
            "a mesh runs here",
            "none does, so only the machine was checked",
            fix("start one", shell.weft("demo")),
        );
        return vec![Category { category_name: "mesh", checks: vec![none] }];
    };
    vec![
        control_plane(mesh, shell),
        sidecars(mesh, shell, now),
        configuration(mesh, shell),
        traces::judge(&mesh.broken_traces),
    ]
}

fn control_plane(mesh: &MeshFacts, shell: &Shell) -> Category {
    let description = format!("the control plane of mesh `{}` is ready", mesh.name);
    let mut checks = vec![match &mesh.ready {
        Ok(()) => Check::good(description),
        Err(error) => {
            let words = "look at the output of the process that runs the mesh, and whether the control plane is among its children; \
                         sidecars go on with what they have";
            let children = format!("ps -o pid,etime,args --ppid {}", mesh.pid);
            Check::bad(description, error.as_str(), fix(words, children))
        }
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
            let mend = fix("is the sidecar in front of it connected?", shell.weft("proxy-status"));
            Check::bad(description, "nothing accepts connections there", mend)
        });
    }
    Category { category_name: "control-plane", checks }
}

fn sidecars(mesh: &MeshFacts, shell: &Shell, now: Moment) -> Category {
    let mut checks = Vec::new();
    for Sidecar { workload, ready, refusal, .. } in &mesh.sidecars {
        if !ready {
            checks.push(not_ready(workload, refusal));
        }
        if !mesh.proxies.iter().any(|proxy| proxy.workload == *workload) {
            checks.push(Check::bad(
                format!("sidecar {workload} is connected"),
                "the control plane has not heard of it",
                fix(
                    "is its control plane this one? its bootstrap.json says; these are connected",
                    shell.weft("proxy-status"),
                ),
            ));
        }
    }
    for proxy in &mesh.proxies {
        checks.extend(complaints(proxy, shell));
    }
    let more = shell.weft("trust status");
    checks.extend(certificates(mesh).iter().filter_map(|one| certificate::judge(one, now, &more)));
    if checks.is_empty() {
        let count = mesh.proxies.len();
        checks.push(if count == 0 {
            let run = shell.weft("run --workload web.default -- python3 -m http.server");
            Check::warning("sidecars run", "there is none", fix("put one beside a program", run))
        } else {
            Check::good(format!("all {count} are connected, in step and certified"))
        });
    }
    Category { category_name: "sidecars", checks }
}

/// What a sidecar says of itself counts for more than that nobody hears of it.
fn not_ready(workload: &str, refusal: &str) -> Check {
    let description = format!("sidecar {workload} is ready");
    let process = format!("pgrep -af {}", shell_quoted(&format!("proxies/{workload}")));
    if refusal.is_empty() {
        let words = "does it run? look at the output of the process that started it";
        return Check::bad(
            description,
            "it does not say so on its admin socket",
            fix(words, process),
        );
    }
    let words = match refusal.starts_with("identity_denied") {
        true => "stop it, or take it off `denied` of the MeshConfig",
        false => "look at the output of the process that started it",
    };
    Check::bad(description, format!("it says: {}", clean(refusal)), fix(words, process))
}

/// What is wrong with one sidecar.
fn complaints(proxy: &Proxy, shell: &Shell) -> Vec<Check> {
    let name = &proxy.workload;
    let mut checks = Vec::new();
    if !proxy.connected {
        checks.push(Check::bad(
            format!("sidecar {name} is connected"),
            "its connection to the control plane is gone",
            fix(
                "if it still runs it connects again by itself; if not, start it again",
                format!("pgrep -af {}", shell_quoted(&format!("proxies/{name}"))),
            ),
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
            fix(
                "mend the object it names; until then the last good version is in force",
                shell.weft("analyze"),
            ),
        ));
    }
    if proxy.connected && !proxy.is_synced() && proxy.rejections().next().is_none() {
        checks.push(Check::warning(
            format!("sidecar {name} is in step"),
            "it has not yet answered the last change",
            fix(
                "ask again in a second; if it stays so, look at its log",
                shell.weft("proxy-status"),
            ),
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

fn configuration(mesh: &MeshFacts, shell: &Shell) -> Category {
    let complaints: Vec<_> =
        mesh.findings.iter().filter(|finding| finding.is_complaint()).cloned().collect();
    let description = "every object is in force";
    let check = if complaints.is_empty() {
        Check::good(description)
    } else {
        let directory = shell_quoted(&mesh.config_dir.to_string_lossy());
        let mend = fix("see them", shell.weft(&format!("analyze {directory}")));
        let error =
            format!("{}, the first: {}", analyze::count(&complaints), first(&complaints[0]));
        if complaints.iter().any(|finding| finding.severity == "error") {
            Check::bad(description, error, mend)
        } else {
            Check::warning(description, error, mend)
        }
    };
    Category { category_name: "configuration", checks: vec![check] }
}

fn first(finding: &crate::admin::Finding) -> String {
    let place = match finding.line {
        0 => finding.file.clone(),
        line => format!("{}:{line}", finding.file),
    };
    let words = format!("{} {} {place}: {}", finding.code, finding.object, finding.message);
    clean(&words).into_owned()
}

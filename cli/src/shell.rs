//! Commands that mend something, as they can be pasted: this program as it was typed, and kubectl at the cluster that was looked
//! at, which need not be the current one. Used by `check` and `uninstall`; pure.

use crate::args::ClusterArgs;
use crate::environment::shell_quoted;

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct Shell {
    /// `weft`, `target/release/weft --mesh two`.
    weft: String,
    /// `kubectl`, `kubectl --context staging`.
    kubectl: String,
}

impl Shell {
    /// `weft` is how this program was typed, the rest its flags.
    pub(crate) fn new(weft: &str, mesh: Option<&str>, cluster: &ClusterArgs) -> Self {
        let flag = |name: &str, value: String| format!(" {name} {}", shell_quoted(&value));
        let mesh = mesh.map(|mesh| flag("--mesh", mesh.to_owned())).unwrap_or_default();
        let file = cluster.kubeconfig.as_ref().map(|file| file.to_string_lossy().into_owned());
        let file = file.map(|file| flag("--kubeconfig", file)).unwrap_or_default();
        let context = cluster.context.clone();
        let context = context.map(|context| flag("--context", context)).unwrap_or_default();
        Self { weft: format!("{weft}{mesh}"), kubectl: format!("kubectl{file}{context}") }
    }

    /// This program with these arguments.
    pub(crate) fn weft(&self, arguments: &str) -> String {
        format!("{} {arguments}", self.weft)
    }

    /// kubectl with these.
    pub(crate) fn kubectl(&self, arguments: &str) -> String {
        format!("{} {arguments}", self.kubectl)
    }

    /// What installs Weft, or upgrades it.
    pub(crate) fn install(&self) -> String {
        format!("{} | {}", self.weft("install"), self.kubectl("apply --server-side -f -"))
    }

    /// What starts anew whatever runs in these namespaces.
    pub(crate) fn restart(&self, namespaces: &[&str]) -> String {
        let one = |namespace: &&str| {
            let kinds = "rollout restart deployment,statefulset,daemonset";
            self.kubectl(&format!("-n {} {kinds}", shell_quoted(namespace)))
        };
        namespaces.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

#[cfg(test)]
mod tests;

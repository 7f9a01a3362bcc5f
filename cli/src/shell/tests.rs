//! Commands that can be pasted.

use super::*;

#[test]
fn commands_mean_the_cluster_that_was_looked_at() {
    let current = Shell::new("weft", None, &ClusterArgs::default());
    assert_eq!(current.install(), "weft install | kubectl apply --server-side -f -");
    let staging = ClusterArgs {
        context: Some("stag'ing".to_owned()),
        kubeconfig: Some("/home/ada/my config".into()),
    };
    let shell = Shell::new("target/debug/weft", Some("two"), &staging);
    assert_eq!(shell.weft("demo"), "target/debug/weft --mesh two demo");
    let kubectl = r"kubectl --kubeconfig '/home/ada/my config' --context 'stag'\''ing'";
    assert_eq!(shell.kubectl("version"), format!("{kubectl} version"));
    let restart = "rollout restart deployment,statefulset,daemonset";
    assert_eq!(
        shell.restart(&["a", "b"]),
        format!("{kubectl} -n a {restart}; {kubectl} -n b {restart}")
    );
}

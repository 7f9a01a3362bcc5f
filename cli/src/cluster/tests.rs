//! What is said of a cluster that gives no answer.

use std::io;

use super::*;

fn refused(message: &str) -> kube::Error {
    let status = kube::core::Status {
        message: message.to_owned(),
        reason: "Unauthorized".to_owned(),
        code: 401,
        ..kube::core::Status::default()
    };
    kube::Error::Api(Box::new(status))
}

#[test]
fn the_api_servers_own_words_stand_alone() {
    let words = |message| Unanswered::from(refused(message)).to_string();
    assert_eq!(words("pods is forbidden"), "pods is forbidden");
    assert_eq!(words(""), "Unauthorized (HTTP 401)");
    let error = anyhow::Error::from(Unanswered::from(refused("no"))).context("cannot list pods");
    assert_eq!(format!("{error:#}"), "cannot list pods: no");
    assert!(Unanswered::from(refused("no")).is_refusal);
}

#[test]
fn every_cause_is_told_once() {
    #[derive(Debug, thiserror::Error)]
    #[error("client error (Connect)")]
    struct Connect(#[source] io::Error);

    let refused = io::Error::from_raw_os_error(nix::libc::ECONNREFUSED);
    let error = Unanswered::from(kube::Error::Service(Box::new(Connect(refused))));
    assert_eq!(error.to_string(), "client error (Connect): Connection refused (os error 111)");
    assert!(!error.is_refusal);
}

#[tokio::test]
async fn a_kubeconfig_that_is_of_no_use_says_why() {
    let directory = tempfile::tempdir().unwrap();
    let file = |name: &str, text: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    };
    let config = "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
        clusters: [{name: c, cluster: {server: 'https://127.0.0.1:1'}}]\n\
        contexts: [{name: a, context: {cluster: c, user: u}}]\n\
        users: [{name: u, user: {exec: {apiVersion: client.authentication.k8s.io/v1, command: no-such-login, interactiveMode: Never}}}]\n";
    let login = file("login", config);
    let asked = async |kubeconfig: &std::path::Path, context: Option<&str>| {
        let context = context.map(str::to_owned);
        connect(&ClusterArgs { context, kubeconfig: Some(kubeconfig.to_owned()) }).await
    };
    let told = async |kubeconfig: &std::path::Path, context: Option<&str>| {
        let error = asked(kubeconfig, context).await.err().unwrap();
        let is_refusal = error.downcast_ref::<Unanswered>().is_some_and(|error| error.is_refusal);
        (format!("{error:#}"), is_refusal)
    };
    let (words, is_refusal) = told(&login, None).await;
    let cause = "No such file or directory (os error 2)";
    assert_eq!((words.matches(cause).count(), is_refusal), (1, true), "{words}");
    let (words, is_refusal) = told(&directory.path().join("none"), None).await;
    assert_eq!((words.matches(cause).count(), is_refusal), (1, false), "{words}");
    let (words, is_refusal) = told(&login, Some("nobody")).await;
    assert_eq!((words.contains("nobody"), is_refusal), (true, false), "{words}");
    let (words, _) = told(&file("broken", "a: ["), None).await;
    assert!(words.contains("unclosed bracket"), "{words}");
}

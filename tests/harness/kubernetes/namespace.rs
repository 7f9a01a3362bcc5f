//! A namespace of one test in the cluster that all tests share.

use std::ops::Deref;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::Api;
use crate::harness::tool;

/// A namespace. It goes with the value, and all that is in it.
#[derive(Debug)]
pub(crate) struct Namespace {
    api: Api,
    name: String,
}

impl Namespace {
    pub(super) async fn create(api: &Api, purpose: &str, labels: &[(&str, &str)]) -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("{purpose}-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let labels: String =
            labels.iter().map(|(key, value)| format!("{key}: {value}, ")).collect();
        let manifest = format!(
            "{{apiVersion: v1, kind: Namespace, metadata: {{name: {name}, labels: {{{labels}}}}}}}"
        );
        api.apply(&manifest).await;
        let this = Self { api: api.clone(), name };
        // Pods cannot be created before it.
        this.api
            .wait(&this.name, "serviceaccount/default", "create", Duration::from_secs(30))
            .await;
        this
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Applies manifests; what names no namespace is in this one.
    pub(crate) async fn apply(&self, manifests: &str) {
        let file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file can be made");
        std::fs::write(file.path(), manifests).expect("it can be written");
        let path = file.path().to_string_lossy();
        self.api.kubectl(&["apply", "--server-side", "-n", &self.name, "-f", &path]).await;
    }

    /// Waits until a pod is ready.
    pub(crate) async fn ready(&self, pod: &str) {
        let pod = format!("pod/{pod}");
        self.api.wait(&self.name, &pod, "condition=Ready", Duration::from_secs(60)).await;
    }

    /// What a shell command in a container writes.
    pub(crate) async fn shell(
        &self,
        pod: &str,
        container: &str,
        command: &str,
    ) -> anyhow::Result<String> {
        self.api.exec(&self.name, pod, container, &["sh", "-c", command]).await
    }

    /// What a container has written.
    pub(crate) async fn logs(&self, pod: &str, container: &str) -> String {
        self.api.kubectl(&["logs", "-n", &self.name, pod, "-c", container]).await
    }
}

impl Deref for Namespace {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Nobody waits for its end: names are not used twice.
        let _ = Command::new(tool("kubeall"))
            .args(["kubectl", "delete", "namespace", "--wait=false", &self.name])
            .arg("--kubeconfig")
            .arg(self.api.kubeconfig())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
    }
}

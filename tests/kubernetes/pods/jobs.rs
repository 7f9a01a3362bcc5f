//! What runs to its end: an application's own init containers, Jobs and bare pods.

use anyhow::ensure;

use super::{DEADLINE, MESHED, PATH, SERVER, STRICT, ask, images};
use crate::harness::kubernetes::{Cluster, Namespace};

/// Calls the server from an init container, and again from the container itself.
const JOB: &str = "
apiVersion: batch/v1
kind: Job
metadata: {name: calls}
spec:
  backoffLimit: 0
  template:
    spec:
      restartPolicy: Never
      initContainers:
      - {name: first, image: 'BUSYBOX', command: [sh, -c, 'ASK']}
      containers:
      - {name: then, image: 'BUSYBOX', command: [sh, -c, 'ASK']}
";

/// What a Job with this name, label and command is; its pod is tried once.
fn job(name: &str, inject: &str, command: &str) -> String {
    format!(
        "---
apiVersion: batch/v1
kind: Job
metadata: {{name: {name}}}
spec:
  backoffLimit: 0
  template:
    metadata: {{labels: {{weft.dev/inject: {inject}}}}}
    spec:
      restartPolicy: Never
      containers: [{{name: then, image: 'BUSYBOX', command: [sh, -c, '{command}']}}]
"
    )
}

const CRON_JOB: &str = "---
apiVersion: batch/v1
kind: CronJob
metadata: {name: nightly}
spec:
  schedule: '0 0 1 1 *'
  jobTemplate:
    spec:
      template:
        spec:
          restartPolicy: OnFailure
          containers: [{name: then, image: 'BUSYBOX', command: [sh, -c, 'ASK']}]
";

async fn ended(namespace: &Namespace, job: &str, how: &str) {
    let until = format!("condition={how}");
    namespace.wait(namespace.name(), &format!("job/{job}"), &until, DEADLINE).await;
}

/// The pod of a Job: its phase, and how its container and its sidecar ended.
async fn pod_of(namespace: &Namespace, job: &str) -> (String, i64, Option<i64>) {
    let name = namespace.name();
    let path = format!("/api/v1/namespaces/{name}/pods?labelSelector=job-name%3D{job}");
    let found = namespace.get(&path).await.unwrap();
    let status = &found["items"][0]["status"];
    let code = |list: &str, container: &str| {
        let mut statuses = status[list].as_array().into_iter().flatten();
        let status = statuses.find(|status| status["name"] == container)?;
        status["state"]["terminated"]["exitCode"].as_i64()
    };
    let phase = status["phase"].as_str().unwrap_or_default().to_owned();
    (phase, code("containerStatuses", "then").unwrap(), code("initContainerStatuses", "weft-proxy"))
}

#[tokio::test]
async fn init_containers_are_meshed_and_jobs_end() {
    let Some(cluster) = Cluster::installed("jobs").await else { return };
    let namespace = cluster.labelled("jobs", &MESHED).await;
    namespace.apply(&images(&[SERVER, STRICT].join("---"))).await;
    namespace.rolled_out(namespace.name(), "deployment/server", DEADLINE).await;
    // A Job asks once: the Service must have its pods, which another controller says than that they are ready.
    let name = namespace.name();
    let path = format!(
        "/apis/discovery.k8s.io/v1/namespaces/{name}/endpointslices?labelSelector=kubernetes.io/service-name%3Dserver"
    );
    namespace
        .eventually("the Service has both", name, DEADLINE, async || {
            let slices = namespace.get(&path).await?;
            let ready = slices.to_string().matches("\"ready\":true").count();
            ensure!(ready == 2, "{slices}");
            Ok(())
        })
        .await;
    let outside = job("outside", "disabled", "ASK");
    let failing = job("failing", "enabled", "exit 7");
    let server = namespace.service(namespace.name(), "server").await;
    let ask = ask(format!("{server} 8080"), PATH, "Ada");
    let jobs = images(&[JOB, &failing, &outside, CRON_JOB].concat());
    namespace.apply(&jobs.replace("ASK", &ask)).await;
    let create = ["create", "job", "-n", namespace.name(), "at-once", "--from=cronjob/nightly"];
    namespace.kubectl(&create).await;
    for job in ["calls", "at-once"] {
        ended(&namespace, job, "Complete").await;
        let (phase, code, sidecar) = pod_of(&namespace, job).await;
        assert_eq!((phase.as_str(), code, sidecar), ("Succeeded", 0, Some(0)), "{job}");
    }
    let logs = ["logs", "-n", namespace.name(), "job/calls", "-c", "first"];
    let told = namespace.kubectl(&logs).await;
    assert!(told.contains("Ada"), "{told}");
    ended(&namespace, "failing", "Failed").await;
    let (phase, code, sidecar) = pod_of(&namespace, "failing").await;
    assert_eq!((phase.as_str(), code, sidecar), ("Failed", 7, Some(0)));
    // Without a sidecar nothing is had: it was the mesh that let the others in.
    ended(&namespace, "outside", "Failed").await;
    let (phase, code, sidecar) = pod_of(&namespace, "outside").await;
    assert_eq!((phase.as_str(), code, sidecar), ("Failed", 1, None));
}

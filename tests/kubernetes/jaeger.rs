//! Jaeger as `k8s/jaeger.yaml` installs it takes spans over OTLP, and the tests can read them back.

use std::path::Path;
use std::time::Duration;

use anyhow::ensure;
use http::Method;
use serde_json::json;

use crate::harness::kubernetes::{Cluster, Jaeger};
use crate::harness::{eventually, http1, request};

#[tokio::test]
async fn jaeger_gives_back_what_it_was_sent() {
    let Some(cluster) = Cluster::get("Jaeger").await else { return };
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("k8s/jaeger.yaml");
    cluster.apply_file(&manifest).await;
    cluster.rolled_out("jaeger", "deployment/jaeger", Duration::from_secs(60)).await;
    let service = cluster.service("jaeger", "jaeger").await;
    let id = "5b8efff798038103d269b633813fc60c";
    let span = json!({"traceId": id, "spanId": "eee19b7ec3c1b174", "name": "GET /", "kind": 2,
        "startTimeUnixNano": "1700000000000000000", "endTimeUnixNano": "1700000000001000000"});
    let resource =
        json!({"attributes": [{"key": "service.name", "value": {"stringValue": "echo"}}]});
    let spans =
        json!({"resourceSpans": [{"resource": resource, "scopeSpans": [{"spans": [span]}]}]});
    let headers = [("content-type", "application/json")];
    // That its Service has it another controller says, a little later.
    eventually("it takes spans", Duration::from_secs(60), async || {
        let asked = request(Method::POST, "/v1/traces", &headers, &spans.to_string());
        let answer = http1((service, 4318).into(), asked).await?;
        ensure!(answer.status == 200, "{answer:?}");
        Ok(())
    })
    .await;
    let jaeger = Jaeger::at((service, 16686).into());
    let trace = jaeger.whole_trace(id, 1).await;
    assert_eq!(trace["spans"][0]["operationName"], "GET /");
    eventually("the service has a name", Duration::from_secs(60), async || {
        let services = jaeger.services().await?;
        ensure!(services.contains(&"echo".to_owned()), "{services:?}");
        Ok(())
    })
    .await;
}

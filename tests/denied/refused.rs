//! What the control plane refuses whom the deny list names: certificates, configuration, a hearing.

use std::time::Duration;

use anyhow::ensure;
use tonic::{Code, Status};
use weft_certs::Leaf;
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::names::{DENY_LIST, type_url};
use weft_proto::telemetry::telemetry_client::TelemetryClient;
use weft_proto::telemetry::{ReportAck, ReportRequest};

use super::{DEADLINE, HOUR, deny, serial, succeeds};
use crate::harness::{Mesh, control_channel, eventually, issue, join_token, within};

#[track_caller]
fn assert_denied<T: std::fmt::Debug>(answer: Result<T, Status>) {
    let status = answer.expect_err("it must be refused");
    assert_eq!(status.code(), Code::PermissionDenied, "{status:?}");
    assert!(status.message().starts_with("denied: "), "{status:?}");
    assert!(status.message().ends_with("key leaked"), "{status:?}");
}

#[tokio::test]
async fn a_denied_identity_gets_no_certificate_and_a_denied_one_does_not_renew_itself() {
    let mesh = Mesh::builder().absent_caller("web").absent_caller("job").start().await;
    let (web, job) = (mesh.id("web"), mesh.id("job"));
    let [leaf_of_web, leaf_of_job] = ["web", "job"].map(|account| mesh.leaf(account, HOUR));
    let tokens = [join_token(&mesh, "web.shop").await, join_token(&mesh, "job.shop").await];
    deny(&mesh, &["shop/web"], &[&leaf_of_job.serial().to_string()]);
    eventually("it is refused", DEADLINE, async || {
        ensure!(issue(&mesh, &web, None, Some(&leaf_of_web)).await.is_err(), "not yet");
        Ok(())
    })
    .await;
    assert_denied(issue(&mesh, &web, None, Some(&leaf_of_web)).await);
    assert_denied(issue(&mesh, &web, Some(&tokens[0]), None).await);
    assert_denied(issue(&mesh, &job, None, Some(&leaf_of_job)).await);
    issue(&mesh, &job, Some(&tokens[1]), None).await.expect("a token buys another one");
    issue(&mesh, &job, None, Some(&mesh.leaf("job", HOUR))).await.expect("so does another one");
    deny(&mesh, &[], &[]);
    eventually("both are served again", DEADLINE, async || {
        issue(&mesh, &web, None, Some(&leaf_of_web)).await?;
        issue(&mesh, &job, None, Some(&leaf_of_job)).await?;
        Ok(())
    })
    .await;
    issue(&mesh, &web, Some(&tokens[0]), None).await.expect("a denial spends no token");
}

type Responses = tonic::Streaming<weft_proto::envoy::discovery::DeltaDiscoveryResponse>;

async fn subscribe(mesh: &Mesh, leaf: &Leaf, node: &str) -> Result<Responses, Status> {
    let request = DeltaDiscoveryRequest {
        node: Some(Node { id: node.to_owned(), ..Node::default() }),
        type_url: type_url::DENY_LIST.to_owned(),
        resource_names_subscribe: vec![DENY_LIST.to_owned()],
        ..DeltaDiscoveryRequest::default()
    };
    let channel = control_channel(mesh.control_plane(), Some(leaf)).await.unwrap();
    let requests = tokio_stream::StreamExt::chain(
        tokio_stream::once(request),
        tokio_stream::pending::<DeltaDiscoveryRequest>(),
    );
    let mut client = AggregatedDiscoveryServiceClient::new(channel);
    let mut stream = client.delta_aggregated_resources(requests).await?.into_inner();
    stream.message().await?.ok_or_else(|| Status::cancelled("the stream ended"))?;
    Ok(stream)
}

async fn report(mesh: &Mesh, leaf: &Leaf) -> Result<tonic::Streaming<ReportAck>, Status> {
    let report = ReportRequest { workload: "web.shop".to_owned(), ..ReportRequest::default() };
    let reports = tokio_stream::StreamExt::chain(
        tokio_stream::once(report),
        tokio_stream::pending::<ReportRequest>(),
    );
    let channel = control_channel(mesh.control_plane(), Some(leaf)).await.unwrap();
    let mut acks = TelemetryClient::new(channel).report(reports).await?.into_inner();
    acks.message().await?.ok_or_else(|| Status::cancelled("the stream ended"))?;
    Ok(acks)
}

#[tokio::test]
async fn the_streams_of_whom_it_names_end_and_do_not_open_again() {
    let mesh = Mesh::builder().absent_caller("web").start().await;
    let [stolen, other] = [mesh.leaf("web", HOUR), mesh.leaf("web", HOUR)];
    let mut configuration = subscribe(&mesh, &stolen, "web.shop").await.unwrap();
    let mut reports = report(&mesh, &stolen).await.unwrap();
    let mut kept = report(&mesh, &other).await.unwrap();
    let since = deny(&mesh, &[], &[&stolen.serial().to_string()]);
    let ended = within("the end of xDS", DEADLINE, configuration.message()).await;
    eprintln!("xDS of a denied certificate: ended {:.0?} after the change", since.elapsed());
    assert_denied(ended);
    assert_denied(within("the end of the reports", DEADLINE, reports.message()).await);
    assert_denied(subscribe(&mesh, &stolen, "web.shop").await);
    assert_denied(report(&mesh, &stolen).await);
    subscribe(&mesh, &other, "web.shop").await.unwrap();

    deny(&mesh, &["shop/web"], &[]);
    assert_denied(within("the end of the other's", DEADLINE, kept.message()).await);
    eventually("it gets no configuration either", DEADLINE, async || {
        let subscribed = Box::pin(subscribe(&mesh, &other, "web.shop"));
        ensure!(subscribed.await.is_err(), "not yet");
        Ok(())
    })
    .await;
    assert_denied(subscribe(&mesh, &other, "web.shop").await);
}

/// A pod has a token that the kubelet keeps fresh, so that it needs nobody to have another certificate.
#[tokio::test]
async fn a_sidecar_with_a_token_replaces_a_denied_certificate_by_itself() {
    let mesh = Mesh::builder().service("product", &["v1"]).absent_caller("job").start().await;
    let bootstrap = mesh.control_plane().join("job.shop").await.unwrap();
    let job = mesh.start_sidecar_in_pod("job", bootstrap).unwrap();
    job.ready().await;
    let entry = mesh.entry("job", "product");
    succeeds(entry).await;
    std::fs::write(job.mounted("token"), join_token(&mesh, "job.shop").await).unwrap();
    let denied = serial(&mesh, "job").await.unwrap();
    let since = deny(&mesh, &[], &[&denied]);
    eventually("it has another certificate", DEADLINE, async || {
        let now = serial(&mesh, "job").await?;
        ensure!(now != denied, "still the denied one");
        Ok(())
    })
    .await;
    succeeds(entry).await;
    let took: Duration = since.elapsed();
    eprintln!("a sidecar with a token: another certificate in force {took:.0?} after the change");
}

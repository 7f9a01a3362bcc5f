//! Who gets which certificate, and who may ask the control plane for what: proofs, not claims.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::ensure;
use http::Method;
use tonic::{Code, Status};
use weft_certs::Leaf;
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;

use crate::harness::{Builder, Mesh, control_channel, eventually, issue, join_token};

const HOUR: Duration = Duration::from_secs(3600);
const CLUSTERS: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";

/// `web` and `job` are known to the mesh; the test takes the place of both.
fn known() -> Builder {
    Mesh::builder().absent_caller("web").absent_caller("job")
}

fn assert_refused<T: std::fmt::Debug>(answer: Result<T, Status>, code: Code) {
    let status = answer.expect_err("it must be refused");
    assert_eq!(status.code(), code, "{status:?}");
}

#[tokio::test]
async fn a_certificate_is_issued_in_the_proven_name_only() {
    let mesh = known().start().await;
    let (web, job) = (mesh.id("web"), mesh.id("job"));
    let token_of_web = join_token(&mesh, "web.shop").await;
    assert_refused(issue(&mesh, &job, Some(&token_of_web), None).await, Code::PermissionDenied);

    let leaf_of_web = mesh.leaf("web", HOUR);
    assert_refused(issue(&mesh, &job, None, Some(&leaf_of_web)).await, Code::PermissionDenied);
    let control_plane = mesh.control_plane().id();
    let greedy = issue(&mesh, &control_plane, None, Some(&leaf_of_web)).await;
    assert_refused(greedy, Code::PermissionDenied);

    let renewed = issue(&mesh, &web, None, Some(&leaf_of_web)).await.unwrap();
    assert!(!renewed.chain.is_empty() && !renewed.trust_bundle.is_empty());
}

#[tokio::test]
async fn a_join_token_works_once_and_only_a_real_one() {
    let mesh = known().start().await;
    let web = mesh.id("web");
    let token_of_web = join_token(&mesh, "web.shop").await;
    issue(&mesh, &web, Some(&token_of_web), None).await.unwrap();
    assert_refused(issue(&mesh, &web, Some(&token_of_web), None).await, Code::Unauthenticated);
    assert_refused(issue(&mesh, &web, Some("invented"), None).await, Code::Unauthenticated);
    assert_refused(issue(&mesh, &web, None, None).await, Code::Unauthenticated);
}

#[tokio::test]
async fn a_join_token_is_spent_by_the_attempt_to_take_another_name() {
    let mesh = known().start().await;
    let stolen = join_token(&mesh, "web.shop").await;
    assert_refused(
        issue(&mesh, &mesh.id("job"), Some(&stolen), None).await,
        Code::PermissionDenied,
    );
    assert_refused(issue(&mesh, &mesh.id("web"), Some(&stolen), None).await, Code::Unauthenticated);
}

#[tokio::test]
async fn nobody_joins_as_a_workload_that_is_not_there() {
    let mesh = known().start().await;
    let admin = mesh.control_plane().admin();
    let body = r#"{"workload":"ghost.shop"}"#;
    let answer = admin.ask(Method::POST, "/v1/join-tokens", body).await.unwrap();
    assert_eq!(answer.status, 404);
    let text = String::from_utf8_lossy(&answer.body);
    assert!(text.contains("web.shop") && text.contains("job.shop"), "it names who is: {text}");
}

/// Opens an ADS stream as `node`, and waits for the first response.
async fn subscribe(mesh: &Mesh, leaf: Option<&Leaf>, node: &str) -> Result<(), Status> {
    let request = DeltaDiscoveryRequest {
        node: Some(Node { id: node.to_owned(), ..Node::default() }),
        type_url: CLUSTERS.to_owned(),
        ..DeltaDiscoveryRequest::default()
    };
    let channel = control_channel(mesh.control_plane(), leaf)
        .await
        .map_err(|error| Status::unauthenticated(error.to_string()))?;
    let mut client = AggregatedDiscoveryServiceClient::new(channel);
    // The stream stays open on this side, so that it is the other that ends it.
    let requests = tokio_stream::StreamExt::chain(
        tokio_stream::once(request),
        tokio_stream::pending::<DeltaDiscoveryRequest>(),
    );
    let mut stream = client.delta_aggregated_resources(requests).await?.into_inner();
    stream.message().await?.ok_or_else(|| Status::cancelled("the stream ended"))?;
    Ok(())
}

#[tokio::test]
async fn configuration_is_for_those_who_prove_whose_it_is() {
    let mesh = known().start().await;
    let web = mesh.leaf("web", HOUR);
    subscribe(&mesh, Some(&web), "web.shop").await.unwrap();
    assert_refused(subscribe(&mesh, Some(&web), "job.shop").await, Code::PermissionDenied);
    assert_refused(subscribe(&mesh, Some(&web), "ghost.shop").await, Code::PermissionDenied);
    assert_refused(subscribe(&mesh, None, "web.shop").await, Code::Unauthenticated);
}

#[tokio::test]
async fn an_expired_certificate_renews_itself_and_does_nothing_else() {
    let mesh = known().start().await;
    let (minute, web) = (Duration::from_secs(60), mesh.id("web"));
    let then = SystemTime::now() - 2 * minute;
    let expired = mesh.control_plane().authority().leaf_for(&web, minute, then).unwrap();
    assert_refused(subscribe(&mesh, Some(&expired), "web.shop").await, Code::Unauthenticated);
    let other = issue(&mesh, &mesh.id("job"), None, Some(&expired)).await;
    assert_refused(other, Code::PermissionDenied);
    issue(&mesh, &web, None, Some(&expired)).await.unwrap();
}

#[tokio::test]
async fn keys_tokens_and_sockets_are_for_their_owner_only() {
    let mesh = Mesh::builder().service("product", &["v1"]).start().await;
    let control_plane = mesh.control_plane().admin().socket().parent().unwrap().to_owned();
    let sidecar = mesh.proxy("product-v1").state_dir().to_owned();
    eventually("all files are there", Duration::from_secs(10), async || {
        let mut checked = 0;
        for directory in [&control_plane, &control_plane.join("ca"), &sidecar] {
            assert_private(directory);
            for entry in std::fs::read_dir(directory)?.flatten() {
                assert_private(&entry.path());
                checked += 1;
            }
        }
        ensure!(checked >= 8, "{checked} files are fewer than there must be");
        Ok(())
    })
    .await;
}

#[track_caller]
fn assert_private(path: &Path) {
    // One that is written anew has another name until it is whole.
    let Ok(metadata) = std::fs::symlink_metadata(path) else { return };
    let mode = metadata.permissions().mode() & 0o777;
    assert_eq!(mode & 0o077, 0, "{} is open to others: {mode:03o}", path.display());
}

//! The bytes on the wire are what a gRPC client decodes, and they are the resources' own.

use std::future::poll_fn;

use super::*;
use crate::translate::{ResourceType, Version};
use crate::xds::subscription::Update;
use tokio::sync::Semaphore;

fn resource(name: &str, size: usize) -> Arc<Resource> {
    Arc::new(Resource::new(ResourceType::Cluster, name, Version(7), &vec![b'x'; size]))
}

fn outgoing(resources: Vec<Arc<Resource>>, removed: &[&str]) -> Outgoing {
    let removed = removed.iter().map(|&name| name.into()).collect();
    let mut update = Update::default();
    (update.resources, update.removed) = (resources, removed);
    Outgoing { kind: ResourceType::Cluster, nonce: 3, generation: 5, update }
}

fn pieces(outgoing: Outgoing) -> Vec<Bytes> {
    let mut pieces = Pieces::new(outgoing);
    std::iter::from_fn(|| pieces.next()).collect()
}

/// Takes the gRPC frame off one message.
fn message(bytes: &[u8]) -> DeltaDiscoveryResponse {
    assert_eq!(bytes[0], 0, "not compressed");
    let length = u32::from_be_bytes(bytes[1..5].try_into().unwrap());
    assert_eq!(length as usize, bytes.len() - 5);
    DeltaDiscoveryResponse::decode(&bytes[5..]).unwrap()
}

#[test]
fn a_response_is_one_grpc_message() {
    let sizes = [10, 0, 40_000, 5, 16_000, 300, 16_384, 1];
    let resources: Vec<_> =
        sizes.iter().enumerate().map(|(index, size)| resource(&index.to_string(), *size)).collect();
    let response = message(&pieces(outgoing(resources, &["gone", "too"])).concat());
    assert_eq!(response.type_url, ResourceType::Cluster.type_url());
    assert_eq!((response.nonce.as_str(), response.system_version_info.as_str()), ("3", "5"));
    assert_eq!(response.removed_resources, ["gone", "too"]);
    let got: Vec<_> =
        response.resources.iter().map(|r| r.resource.as_ref().unwrap().value.len()).collect();
    assert_eq!(got, sizes);
    let names: Vec<_> = response.resources.iter().map(|r| r.name.clone()).collect();
    assert_eq!(names, ["0", "1", "2", "3", "4", "5", "6", "7"]);
}

#[test]
fn an_empty_response_is_a_message_too() {
    let response = message(&pieces(outgoing(vec![], &[])).concat());
    assert_eq!(response.nonce, "3");
    assert!(response.resources.is_empty() && response.removed_resources.is_empty());
}

#[test]
fn small_resources_are_gathered_into_frames_and_large_ones_are_not_copied() {
    let many = (0..1000).map(|index| resource(&index.to_string(), 300)).collect();
    let frames = pieces(outgoing(many, &[]));
    assert!(frames.iter().all(|frame| frame.len() <= FRAME));
    let total: usize = frames.iter().map(Bytes::len).sum();
    assert!(frames.len() < total / FRAME * 11 / 10 + 2, "{} frames", frames.len());

    let large = resource("large", 100_000);
    let frames = pieces(outgoing(vec![resource("a", 10), large.clone(), resource("b", 10)], &[]));
    assert!(frames.iter().any(|frame| frame.as_ptr() == large.entry().as_ptr()));
}

#[tokio::test]
async fn the_status_comes_last_as_trailers() {
    let (responses, queue) = mpsc::channel(1);
    let (ended, status) = oneshot::channel();
    let permits = Arc::new(Semaphore::new(1));
    let permit = permits.clone().try_acquire_owned().unwrap();
    let mut body = ResponseBody::new(queue, status, permit);
    responses.send(outgoing(vec![resource("a", 1)], &[])).await.unwrap();
    ended.send(Status::unavailable("gone fishing")).unwrap();
    drop(responses);

    let mut next = async || poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    let data = next().await.unwrap().unwrap().into_data().unwrap();
    assert_eq!(message(&data).resources.len(), 1);
    let trailers = next().await.unwrap().unwrap().into_trailers().unwrap();
    let status = Status::from_header_map(&trailers).unwrap();
    assert_eq!((status.code(), status.message()), (tonic::Code::Unavailable, "gone fishing"));
    assert!(next().await.is_none());
    // The stream is counted until the last of it is gone.
    assert_eq!(permits.available_permits(), 0);
    drop(body);
    assert_eq!(permits.available_permits(), 1);
}

#[tokio::test]
async fn a_task_that_dies_is_an_internal_error() {
    let (responses, queue) = mpsc::channel(1);
    let (ended, status) = oneshot::channel();
    let permit = Arc::new(Semaphore::new(1)).try_acquire_owned().unwrap();
    let mut body = ResponseBody::new(queue, status, permit);
    drop((responses, ended));
    let frame = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await;
    let trailers = frame.unwrap().unwrap().into_trailers().unwrap();
    assert_eq!(Status::from_header_map(&trailers).unwrap().code(), tonic::Code::Internal);
}

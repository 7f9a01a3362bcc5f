//! One delta ADS stream: sends what the subscription owes, hands responses on. Opened and driven by
//! `xds::Client`; when it ends, for whatever reason, it is dropped and another one opened.
//!
//! A response may hold thousands of resources, and one that is decoded is several times as large as its bytes. So a
//! response leaves them as they are, where they are: whoever takes it decodes one after the other.

use std::time::Duration;

use bytes::Bytes;
use http::uri::PathAndQuery;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::client::Grpc;
use tonic::transport::Channel;
use tonic::{IntoStreamingRequest, Status, Streaming};
use tonic_prost::ProstCodec;
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;

use super::Kind;
use super::subscription::Subscription;

/// Bound: one response. A response may hold every resource of a type.
const MAX_RESPONSE: usize = 32 << 20;
/// Bound: requests on their way. The first ones, at most one of each kind, must fit: a server may answer
/// with headers only after it has read them.
const MAX_REQUESTS: usize = 2 * Kind::ALL.len();
/// Limit on the server's first sign.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

const METHOD: &str =
    "/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources";

/// `envoy.service.discovery.v3.DeltaDiscoveryResponse`, the fields that are looked at.
#[derive(Clone, PartialEq, prost::Message)]
pub(super) struct Response {
    /// What the server calls the state that all of it is from.
    #[prost(string, tag = "1")]
    pub(super) system_version_info: String,
    /// Each a `Resource`.
    #[prost(bytes = "bytes", repeated, tag = "2")]
    pub(super) resources: Vec<Bytes>,
    #[prost(string, tag = "4")]
    pub(super) type_url: String,
    #[prost(string, tag = "5")]
    pub(super) nonce: String,
    #[prost(string, repeated, tag = "6")]
    pub(super) removed: Vec<String>,
}

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<Response>,
}

impl Stream {
    /// Opens it and says what is wanted.
    pub(super) async fn open(
        channel: Channel,
        subscription: &mut Subscription,
    ) -> Result<Self, Status> {
        let (requests, outgoing) = mpsc::channel(MAX_REQUESTS);
        while let Ok(permit) = requests.try_reserve() {
            let Some(request) = subscription.next_request() else { break };
            permit.send(request);
        }
        let opened = tokio::time::timeout(OPEN_TIMEOUT, call(channel, outgoing))
            .await
            .map_err(|_| Status::deadline_exceeded("the stream did not open within 10 s"))??;
        Ok(Self { requests, responses: opened })
    }

    /// The next response, sending what is owed meanwhile. Cancel: safe, nothing is lost.
    pub(super) async fn next(
        &mut self,
        subscription: &mut Subscription,
    ) -> Result<Response, Status> {
        let ended = || Status::unavailable("the control plane ended the stream");
        loop {
            let (owed, backlogged) = (subscription.has_request(), subscription.is_backlogged());
            tokio::select! {
                // Order: answers go out before more is read, so that what is owed stays bounded.
                biased;
                permit = self.requests.reserve(), if owed => {
                    let permit = permit.map_err(|_| ended())?;
                    if let Some(request) = subscription.next_request() {
                        permit.send(request);
                    }
                }
                response = self.responses.message(), if !backlogged => {
                    return response?.ok_or_else(ended);
                }
            }
        }
    }
}

async fn call(
    channel: Channel,
    requests: mpsc::Receiver<DeltaDiscoveryRequest>,
) -> Result<Streaming<Response>, Status> {
    let mut client = Grpc::new(channel)
        .max_decoding_message_size(MAX_RESPONSE)
        .max_encoding_message_size(MAX_RESPONSE);
    client.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
    let requests = ReceiverStream::new(requests).into_streaming_request();
    let codec = ProstCodec::<DeltaDiscoveryRequest, Response>::default();
    let opened = client.streaming(requests, PathAndQuery::from_static(METHOD), codec).await?;
    Ok(opened.into_inner())
}

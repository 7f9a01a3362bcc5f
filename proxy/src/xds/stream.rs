//! One delta ADS stream: sends what the subscription owes, hands responses on. Opened and driven by
//! `xds::Client`; when it ends, for whatever reason, it is dropped and another one opened.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Status, Streaming};
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};

use super::Kind;
use super::subscription::Subscription;

/// Bound: one response, decoded. A response may hold every resource of a type.
const MAX_RESPONSE: usize = 32 << 20;
/// Bound: requests on their way. The first ones, at most one of each kind, must fit: a server may answer
/// with headers only after it has read them.
const MAX_REQUESTS: usize = 2 * Kind::ALL.len();
/// Limit on the server's first sign.
const OPEN_TIMEOUT: Duration = Duration::from_secs(10);

/// An open stream.
#[derive(Debug)]
pub(super) struct Stream {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
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
        let mut client = AggregatedDiscoveryServiceClient::new(channel)
            .max_decoding_message_size(MAX_RESPONSE)
            .max_encoding_message_size(MAX_RESPONSE);
        let opening = client.delta_aggregated_resources(ReceiverStream::new(outgoing));
        let opened = tokio::time::timeout(OPEN_TIMEOUT, opening)
            .await
            .map_err(|_| Status::deadline_exceeded("the stream did not open within 10 s"))??;
        Ok(Self { requests, responses: opened.into_inner() })
    }

    /// The next response, sending what is owed meanwhile. Cancel: safe, nothing is lost.
    pub(super) async fn next(
        &mut self,
        subscription: &mut Subscription,
    ) -> Result<DeltaDiscoveryResponse, Status> {
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

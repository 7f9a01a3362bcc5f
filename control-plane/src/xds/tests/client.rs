//! The other end for tests: a server around a cache, and a client that speaks delta ADS by hand.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Request;
use hyper_util::rt::TokioIo;
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;
use tokio_stream::wrappers::ReceiverStream;
use tonic::body::Body;
use tonic::server::NamedService;
use tonic::transport::Endpoint;
use tonic::{Status, Streaming};
use tower::Service;
use weft_certs::{Serial, SpiffeId};
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse};
use weft_proto::google;

use super::super::{Applied, Cache, Limits, Registry, Server};
use crate::model::Mesh;
use crate::peer::AuthenticatedPeer;
use crate::translate::fixture::BUNDLE;
use crate::translate::{ResourceType, translate};

/// How long anything may take before a test gives up. Nothing waits for it when all is well.
const DEADLINE: Duration = Duration::from_secs(20);

/// A server and what feeds it.
pub(super) struct World {
    pub(super) cache: Arc<Cache>,
    pub(super) registry: Arc<Registry>,
    pub(super) stop: watch::Sender<bool>,
    server: Server,
}

impl World {
    /// Serves this mesh.
    pub(super) fn of(mesh: &Mesh) -> Self {
        let world = Self::empty(Limits::default());
        world.publish(mesh);
        world
    }

    /// Serves nothing yet.
    pub(super) fn empty(limits: Limits) -> Self {
        let (cache, registry) = (Cache::new(), Registry::new());
        let (stop, stopping) = watch::channel(false);
        let server = Server::new(cache.clone(), registry.clone(), limits, stopping);
        Self { cache, registry, stop, server }
    }

    pub(super) fn publish(&self, mesh: &Mesh) -> Applied {
        let set = translate(mesh, BUNDLE);
        set.check().unwrap();
        self.cache.apply(&set)
    }

    /// An ADS client on a connection that TLS proved to be of this service account of `shop`.
    pub(super) async fn stub(
        &self,
        account: &str,
    ) -> AggregatedDiscoveryServiceClient<tonic::transport::Channel> {
        let id = SpiffeId::parse(&format!("spiffe://demo.local/ns/shop/sa/{account}")).unwrap();
        self.stub_as(Some(AuthenticatedPeer { id, serial: Serial::new(&[1]), expired: false }))
            .await
    }

    pub(super) async fn stub_as(
        &self,
        peer: Option<AuthenticatedPeer>,
    ) -> AggregatedDiscoveryServiceClient<tonic::transport::Channel> {
        let (client, server) = tokio::io::duplex(64 * 1024);
        let service = As { server: self.server.clone(), peer };
        let incoming = tokio_stream::once(Ok::<_, std::io::Error>(server));
        let serving = tonic::transport::Server::builder().add_service(service);
        tokio::spawn(serving.serve_with_incoming(incoming));
        let mut client = Some(TokioIo::new(client));
        let connector = tower::service_fn(move |_| {
            std::future::ready(client.take().ok_or_else(|| std::io::Error::other("used up")))
        });
        // The protocol's default, so that a client that does not read is soon sent no more.
        let endpoint =
            Endpoint::from_static("http://control-plane").initial_stream_window_size(65_535);
        let channel = endpoint.connect_with_connector(connector).await.unwrap();
        AggregatedDiscoveryServiceClient::new(channel)
    }

    /// A delta stream of the proxy of a workload.
    pub(super) async fn connect(&self, workload: &str, account: &str) -> Client {
        Client::open(self.stub(account).await, &format!("{workload}.shop")).await.unwrap()
    }
}

/// Stands in for the listener that terminates TLS.
#[derive(Clone)]
struct As {
    server: Server,
    peer: Option<AuthenticatedPeer>,
}

impl NamedService for As {
    const NAME: &'static str = Server::NAME;
}

impl Service<Request<Body>> for As {
    type Response = http::Response<Body>;
    type Error = Infallible;
    type Future = <Server as Service<Request<Body>>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.server.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        if let Some(peer) = &self.peer {
            request.extensions_mut().insert(peer.clone());
        }
        self.server.call(request)
    }
}

/// One delta stream.
pub(super) struct Client {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    responses: Streaming<DeltaDiscoveryResponse>,
    node: Option<Node>,
    barriers: usize,
}

impl Client {
    pub(super) async fn open(
        mut stub: AggregatedDiscoveryServiceClient<tonic::transport::Channel>,
        node: &str,
    ) -> Result<Self, Status> {
        let (requests, queue) = mpsc::channel(16);
        let stream = ReceiverStream::new(queue);
        let responses = stub.delta_aggregated_resources(stream).await?.into_inner();
        let node = Node {
            id: node.to_owned(),
            user_agent_name: "weft-proxy".to_owned(),
            ..Default::default()
        };
        Ok(Self { requests, responses, node: Some(node), barriers: 0 })
    }

    pub(super) async fn send(&mut self, request: DeltaDiscoveryRequest) {
        let request = DeltaDiscoveryRequest { node: self.node.take(), ..request };
        self.requests.send(request).await.unwrap();
    }

    /// Subscribes; no names mean everything in the first request of clusters or listeners.
    pub(super) async fn subscribe(&mut self, kind: ResourceType, names: &[&str]) {
        self.send(DeltaDiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names_subscribe: names.iter().map(|&name| name.to_owned()).collect(),
            ..Default::default()
        })
        .await;
    }

    /// Subscribes as a client that comes back with these versions.
    pub(super) async fn resume(
        &mut self,
        kind: ResourceType,
        names: &[&str],
        has: &[(String, String)],
    ) {
        self.send(DeltaDiscoveryRequest {
            type_url: kind.type_url().to_owned(),
            resource_names_subscribe: names.iter().map(|&name| name.to_owned()).collect(),
            initial_resource_versions: has.iter().cloned().collect(),
            ..Default::default()
        })
        .await;
    }

    /// The next response, or the status that ends the stream.
    pub(super) async fn receive(&mut self) -> Result<DeltaDiscoveryResponse, Status> {
        let next = timeout(DEADLINE, self.responses.message()).await;
        let next = next.expect("the server said nothing");
        next?.ok_or_else(|| Status::ok(""))
    }

    /// The status that ends the stream within that time.
    pub(super) async fn end_in(&mut self, limit: Duration) -> Status {
        let end = timeout(limit, self.responses.message()).await.expect("the stream goes on");
        end.expect_err("the stream ends without a response")
    }

    /// The next response, which must be of this kind; not acknowledged.
    pub(super) async fn hear(&mut self, kind: ResourceType) -> DeltaDiscoveryResponse {
        let response = self.receive().await.unwrap();
        assert_eq!(response.type_url, kind.type_url(), "{response:?}");
        response
    }

    /// The next response, which must be of this kind; acknowledged.
    pub(super) async fn take(&mut self, kind: ResourceType) -> DeltaDiscoveryResponse {
        let response = self.hear(kind).await;
        self.ack(&response).await;
        response
    }

    pub(super) async fn ack(&mut self, response: &DeltaDiscoveryResponse) {
        self.send(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            ..Default::default()
        })
        .await;
    }

    pub(super) async fn nack(&mut self, response: &DeltaDiscoveryResponse, reason: &str) {
        let error = google::Status { code: 3, message: reason.to_owned(), details: vec![] };
        self.send(DeltaDiscoveryRequest {
            type_url: response.type_url.clone(),
            response_nonce: response.nonce.clone(),
            error_detail: Some(error),
            ..Default::default()
        })
        .await;
    }

    /// Asserts that the server has nothing to say, without waiting for silence: whatever it had to say
    /// would come before the answer to this question.
    pub(super) async fn expect_silence(&mut self) {
        self.barriers += 1;
        let name = format!("no-such-secret-{}", self.barriers);
        self.subscribe(ResourceType::Secret, &[&name]).await;
        let answer = self.take(ResourceType::Secret).await;
        assert_eq!(answer.removed_resources, [name]);
        assert!(answer.resources.is_empty());
    }
}

/// Names of a response's resources, sorted.
pub(super) fn names(response: &DeltaDiscoveryResponse) -> Vec<&str> {
    let mut names: Vec<_> = response.resources.iter().map(|r| r.name.as_str()).collect();
    names.sort_unstable();
    names
}

/// Names and versions of a response's resources.
pub(super) fn versions(response: &DeltaDiscoveryResponse) -> Vec<(String, String)> {
    response.resources.iter().map(|r| (r.name.clone(), r.version.clone())).collect()
}

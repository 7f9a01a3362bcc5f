//! A proxy as far as the control plane sees one: it proves who it is, subscribes, acknowledges, and remembers what it
//! was told.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use prost::Message;
use tokio::sync::mpsc;
use tokio::time::{Instant, timeout_at};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Status, Streaming};
use weft_certs::{Authority, Leaf, PrivateKey, SpiffeId, csr};
use weft_proto::envoy::core::Node;
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::envoy::discovery::{DeltaDiscoveryRequest, DeltaDiscoveryResponse, Resource};
use weft_proto::envoy::endpoint::{ClusterLoadAssignment, lb_endpoint::HostIdentifier};
use weft_proto::identity::IssueRequest;
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::names::type_url;
use weft_proto::telemetry::telemetry_client::TelemetryClient;
use weft_proto::telemetry::{ProxyState, ReportRequest};

use super::scene::{Replica, SOON, id};
use crate::harness::{trusting_channel, within};

/// Type URL and name.
type Held = BTreeMap<(String, String), Resource>;

/// Asks `replica` for a certificate in the name of `wanted`, with a token, a certificate, or nothing. The roots come with
/// it.
pub(super) async fn issue(
    replica: &Replica,
    authority: &Authority,
    wanted: &SpiffeId,
    (token, leaf): (Option<&str>, Option<&Leaf>),
) -> Result<(Leaf, Vec<Vec<u8>>), Status> {
    let key = PrivateKey::generate().expect("there is randomness");
    let csr = csr::create(&key, wanted).expect("it is a request");
    let mut request = Request::new(IssueRequest { csr });
    if let Some(token) = token {
        let bearer = format!("Bearer {token}").parse().expect("a token is a value");
        request.metadata_mut().insert("authorization", bearer);
    }
    let channel = channel(replica, authority, leaf).await;
    let answer = IdentityClient::new(channel).issue(request).await?.into_inner();
    let chain = answer.chain.into_iter().map(Into::into).collect();
    Ok((Leaf::new(chain, key).expect("it is a certificate for our key"), answer.trust_bundle))
}

/// The sidecar of pod `pod` of `account` tells `replica` of itself; its stream ends with what is returned.
pub(super) async fn report(
    replica: &Replica,
    authority: &Authority,
    (pod, account): (&str, &str),
) -> Result<impl Sized> {
    let day = std::time::Duration::from_secs(24 * 3600);
    let leaf = authority.leaf_for(&id(account), day, std::time::SystemTime::now())?;
    let channel = Box::pin(channel(replica, authority, Some(&leaf))).await;
    let (reports, received) = mpsc::channel(1);
    let said = ProxyState { leaf_not_after: 4_000_000_000, ..ProxyState::default() };
    let report = ReportRequest {
        workload: format!("{pod}.shop"),
        proxy: Some(said),
        ..ReportRequest::default()
    };
    reports.send(report).await?;
    let mut acks =
        TelemetryClient::new(channel).report(ReceiverStream::new(received)).await?.into_inner();
    acks.message().await?.context("it is acknowledged")?;
    Ok((reports, acks))
}

async fn channel(
    replica: &Replica,
    authority: &Authority,
    leaf: Option<&Leaf>,
) -> tonic::transport::Channel {
    let server = "spiffe://cluster.local/ns/weft-system/sa/weft-control-plane";
    let server = server.parse().expect("it is one");
    let connected = trusting_channel(replica.address(), (authority.bundle(), &server), leaf).await;
    connected.expect("it is there and proves who it is")
}

/// A stream to one control plane.
pub(super) struct Proxy {
    requests: mpsc::Sender<DeltaDiscoveryRequest>,
    answers: Streaming<DeltaDiscoveryResponse>,
    /// What it has.
    held: Held,
    /// What was told on this stream: names of changed resources, and with `-` of removed ones.
    pub(super) told: Vec<String>,
}

impl Proxy {
    /// Connects as the proxy of pod `pod` of `account` and subscribes to endpoints. `held` is what it still has.
    ///
    /// # Errors
    /// It is not let in.
    pub(super) async fn connect(
        replica: &Replica,
        authority: &Authority,
        (pod, account): (&str, &str),
        names: &[&str],
        held: Held,
    ) -> Result<Self, Status> {
        let day = std::time::Duration::from_secs(24 * 3600);
        let leaf = authority.leaf_for(&id(account), day, std::time::SystemTime::now());
        let leaf = leaf.map_err(|error| Status::internal(error.to_string()))?;
        let channel = Box::pin(channel(replica, authority, Some(&leaf))).await;
        let (requests, received) = mpsc::channel(16);
        let mut first = subscription(type_url::ENDPOINT, names);
        first.node = Some(Node { id: format!("{pod}.shop"), ..Node::default() });
        let endpoints = held.iter().filter(|((kind, _), _)| kind == type_url::ENDPOINT);
        let versions = endpoints.map(|((_, name), has)| (name.clone(), has.version.clone()));
        first.initial_resource_versions = versions.collect();
        requests.send(first).await.map_err(|error| Status::internal(error.to_string()))?;
        let mut client = AggregatedDiscoveryServiceClient::new(channel);
        let answers = client.delta_aggregated_resources(ReceiverStream::new(received)).await?;
        Ok(Self { requests, answers: answers.into_inner(), held, told: Vec::new() })
    }

    /// Subscribes to more.
    pub(super) async fn subscribe(&self, kind: &str, names: &[&str]) {
        self.requests.send(subscription(kind, names)).await.expect("the stream is open");
    }

    /// Takes in the first answer: then it is let in.
    pub(super) async fn let_in(mut self) -> Result<Self> {
        let answer = self.answers.message().await?.context("the stream ended")?;
        self.take(answer).await;
        Ok(self)
    }

    /// Why the stream ends.
    pub(super) async fn is_cut(&mut self) -> Status {
        loop {
            let answer = within("it ends", SOON, self.answers.message()).await;
            match answer {
                Ok(Some(answer)) => self.take(answer).await,
                Ok(None) => return Status::ok("it ended well"),
                Err(status) => return status,
            }
        }
    }

    /// What it has; it goes away.
    pub(super) fn into_held(self) -> Held {
        self.held
    }

    /// Takes in what comes until `probe` finds what it looks for.
    ///
    /// # Panics
    /// That does not come in time.
    pub(super) async fn until<T>(&mut self, what: &str, probe: impl Fn(&Self) -> Result<T>) -> T {
        let end = Instant::now() + SOON;
        loop {
            let error = match probe(self) {
                Ok(found) => return found,
                Err(error) => error,
            };
            match timeout_at(end, self.answers.message()).await {
                Ok(Ok(Some(answer))) => self.take(answer).await,
                Ok(ended) => panic!("{what}: the stream ended: {ended:?}; {error:#}"),
                Err(_elapsed) => panic!("{what}: {error:#}; told: {:?}", self.told),
            }
        }
    }

    async fn take(&mut self, answer: DeltaDiscoveryResponse) {
        let DeltaDiscoveryResponse { type_url, resources, removed_resources, nonce, .. } = answer;
        for resource in resources {
            self.told.push(resource.name.clone());
            self.held.insert((type_url.clone(), resource.name.clone()), resource);
        }
        for name in removed_resources {
            self.told.push(format!("-{name}"));
            self.held.remove(&(type_url.clone(), name));
        }
        let ack = DeltaDiscoveryRequest { type_url, response_nonce: nonce, ..Default::default() };
        self.requests.send(ack).await.expect("the stream is open");
    }

    /// A resource that it has.
    pub(super) fn resource<M: Message + Default>(&self, kind: &str, name: &str) -> Result<M> {
        let held = self.held.get(&(kind.to_owned(), name.to_owned()));
        let held = held.and_then(|held| held.resource.as_ref());
        let held = held.with_context(|| format!("there is no {name}"))?;
        Ok(M::decode(&*held.value)?)
    }

    /// Where the endpoints of a Service port are, `-` before those that take no new requests: `10.1.0.5:8080`.
    pub(super) fn endpoints(&self, name: &str) -> Result<Vec<String>> {
        let found: ClusterLoadAssignment = self.resource(type_url::ENDPOINT, name)?;
        let endpoints = found.endpoints.iter().flat_map(|group| &group.lb_endpoints);
        let mut places: Vec<_> = endpoints.filter_map(place).collect();
        places.sort();
        Ok(places)
    }
}

fn place(endpoint: &weft_proto::envoy::endpoint::LbEndpoint) -> Option<String> {
    use weft_proto::envoy::core::socket_address::PortSpecifier;
    use weft_proto::envoy::core::{HealthStatus, address::Address};
    let HostIdentifier::Endpoint(at) = endpoint.host_identifier.as_ref()? else { return None };
    let Address::SocketAddress(at) = at.address.as_ref()?.address.as_ref()? else { return None };
    let PortSpecifier::PortValue(port) = at.port_specifier.as_ref()? else { return None };
    let leaving = endpoint.health_status() == HealthStatus::Draining;
    Some(format!("{}{}:{port}", if leaving { "-" } else { "" }, at.address))
}

fn subscription(kind: &str, names: &[&str]) -> DeltaDiscoveryRequest {
    DeltaDiscoveryRequest {
        type_url: kind.to_owned(),
        resource_names_subscribe: names.iter().map(|&name| name.to_owned()).collect(),
        ..DeltaDiscoveryRequest::default()
    }
}

//! Somebody between one proxy and the control plane who spoils resources on their way: both ends are the real ones,
//! only the fault is made. It takes the CA's key to stand there.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::Result;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::service::TowerToHyperService;
use rustls::ServerConfig;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_stream::{Stream, StreamExt};
use tonic::service::Routes;
use tonic::transport::Channel;
use tonic::{Request, Response, Status, Streaming};
use weft_certs::tls::{self, ClientAuth};
use weft_proto::envoy::discovery::aggregated_discovery_service_client::AggregatedDiscoveryServiceClient;
use weft_proto::envoy::discovery::aggregated_discovery_service_server::{
    AggregatedDiscoveryService, AggregatedDiscoveryServiceServer,
};
use weft_proto::envoy::discovery::{
    DeltaDiscoveryRequest, DeltaDiscoveryResponse, DiscoveryRequest, DiscoveryResponse, Resource,
};
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::identity::identity_server::{Identity, IdentityServer};
use weft_proto::identity::{IssueRequest, IssueResponse};
use weft_proto::telemetry::telemetry_client::TelemetryClient;
use weft_proto::telemetry::telemetry_server::{Telemetry, TelemetryServer};
use weft_proto::telemetry::{ReportAck, ReportRequest, TapControl, TapEvents};

use super::Mesh;
use super::control_channel::control_channel;

type Spoil = Arc<dyn Fn(&mut Resource) + Send + Sync>;
type SpoilCertificate = Arc<dyn Fn(IssueResponse) -> Result<IssueResponse, Status> + Send + Sync>;
type Replies<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// Running, between one proxy and the control plane. Ends with the value.
pub(crate) struct Meddler {
    spoil: Arc<Mutex<Option<Spoil>>>,
    certificates: Arc<Mutex<Option<SpoilCertificate>>>,
    server: AbortHandle,
}

impl Meddler {
    /// Listens at `address` for the proxy of service account `account`.
    pub(crate) async fn start(mesh: &Mesh, account: &str, address: SocketAddr) -> Result<Self> {
        let control_plane = mesh.control_plane();
        let (authority, now) = (control_plane.authority(), SystemTime::now());
        let server = authority.leaf_for(&control_plane.id(), DAY, now)?;
        let config =
            tls::server_config(&server, authority.bundle(), ClientAuth::Optional, &[b"h2"])?;
        let client = authority.leaf_for(&mesh.id(account), DAY, now)?;
        let (spoil, certificates) = (Arc::new(Mutex::new(None)), Arc::default());
        let relay = Relay {
            upstream: control_channel(control_plane, Some(&client)).await?,
            spoil: Arc::clone(&spoil),
            certificates: Arc::clone(&certificates),
        };
        let routes = Routes::new(AggregatedDiscoveryServiceServer::new(relay.clone()))
            .add_service(TelemetryServer::new(relay.clone()))
            .add_service(IdentityServer::new(relay));
        let listener = TcpListener::bind(address).await?;
        let server = tokio::spawn(serve(listener, Arc::new(config), routes)).abort_handle();
        Ok(Self { spoil, certificates, server })
    }

    /// From now on every resource on its way to the proxy goes through `spoil`.
    pub(crate) fn spoil(&self, spoil: impl Fn(&mut Resource) + Send + Sync + 'static) {
        *self.spoil.lock().unwrap_or_else(PoisonError::into_inner) = Some(Arc::new(spoil));
    }

    /// From now on this is answered in place of every certificate that is issued.
    pub(crate) fn spoil_certificates(
        &self,
        spoil: impl Fn(IssueResponse) -> Result<IssueResponse, Status> + Send + Sync + 'static,
    ) {
        let mut certificates = self.certificates.lock().unwrap_or_else(PoisonError::into_inner);
        *certificates = Some(Arc::new(spoil));
    }

    /// From now on everything passes as it is.
    pub(crate) fn behave(&self) {
        *self.certificates.lock().unwrap_or_else(PoisonError::into_inner) = None;
        *self.spoil.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

impl Drop for Meddler {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn serve(listener: TcpListener, config: Arc<ServerConfig>, routes: Routes) {
    while let Ok((stream, _)) = listener.accept().await {
        tokio::spawn(connection(stream, TlsAcceptor::from(Arc::clone(&config)), routes.clone()));
    }
}

async fn connection(stream: TcpStream, acceptor: TlsAcceptor, routes: Routes) {
    let Ok(stream) = acceptor.accept(stream).await else { return };
    // A proxy that goes away is its own affair.
    let _ = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(routes))
        .await;
}

#[derive(Clone)]
struct Relay {
    upstream: Channel,
    spoil: Arc<Mutex<Option<Spoil>>>,
    certificates: Arc<Mutex<Option<SpoilCertificate>>>,
}

#[tonic::async_trait]
impl Telemetry for Relay {
    type ReportStream = Replies<ReportAck>;

    async fn report(
        &self,
        requests: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let requests = requests.into_inner().map_while(Result::ok);
        let replies = TelemetryClient::new(self.upstream.clone()).report(requests).await?;
        Ok(Response::new(Box::pin(replies.into_inner())))
    }

    type TapStream = Replies<TapControl>;

    async fn tap(
        &self,
        events: Request<Streaming<TapEvents>>,
    ) -> Result<Response<Self::TapStream>, Status> {
        let events = events.into_inner().map_while(Result::ok);
        let control = TelemetryClient::new(self.upstream.clone()).tap(events).await?;
        Ok(Response::new(Box::pin(control.into_inner())))
    }
}

#[tonic::async_trait]
impl AggregatedDiscoveryService for Relay {
    type StreamAggregatedResourcesStream = Replies<DiscoveryResponse>;
    type DeltaAggregatedResourcesStream = Replies<DeltaDiscoveryResponse>;

    async fn stream_aggregated_resources(
        &self,
        _: Request<Streaming<DiscoveryRequest>>,
    ) -> Result<Response<Self::StreamAggregatedResourcesStream>, Status> {
        Err(Status::unimplemented("delta only"))
    }

    async fn delta_aggregated_resources(
        &self,
        requests: Request<Streaming<DeltaDiscoveryRequest>>,
    ) -> Result<Response<Self::DeltaAggregatedResourcesStream>, Status> {
        let requests = requests.into_inner().map_while(Result::ok);
        let mut upstream = AggregatedDiscoveryServiceClient::new(self.upstream.clone());
        let replies = upstream.delta_aggregated_resources(requests).await?.into_inner();
        let spoil = Arc::clone(&self.spoil);
        let replies = replies.map(move |reply| {
            let mut reply = reply?;
            let spoil = spoil.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(spoil) = spoil {
                reply.resources.iter_mut().for_each(|resource| spoil(resource));
            }
            Ok(reply)
        });
        Ok(Response::new(Box::pin(replies)))
    }
}

#[tonic::async_trait]
impl Identity for Relay {
    async fn issue(
        &self,
        request: Request<IssueRequest>,
    ) -> Result<Response<IssueResponse>, Status> {
        let issued = IdentityClient::new(self.upstream.clone()).issue(request).await?;
        let spoil = self.certificates.lock().unwrap_or_else(PoisonError::into_inner).clone();
        match spoil {
            Some(spoil) => spoil(issued.into_inner()).map(Response::new),
            None => Ok(issued),
        }
    }
}

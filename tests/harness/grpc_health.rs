//! A real server of `grpc.health.v1`, tonic's own, in an application's place.

use std::net::SocketAddr;

use anyhow::Result;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic_health::ServingStatus;
use tonic_health::server::{HealthReporter, health_reporter};

/// A running server. Ends with the value.
pub(crate) struct GrpcHealth {
    reporter: HealthReporter,
    server: AbortHandle,
}

impl GrpcHealth {
    /// Listens at `address` and knows no service but itself.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let (reporter, service) = health_reporter();
        let server = tonic::transport::Server::builder()
            .add_service(service)
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { server.await.is_ok() }).abort_handle();
        Ok(Self { reporter, server })
    }

    /// From now on it says so of this service.
    pub(crate) async fn says(&self, service: &str, serves: bool) {
        let status = if serves { ServingStatus::Serving } else { ServingStatus::NotServing };
        self.reporter.set_service_status(service, status).await;
    }

    /// From now on it knows nothing of this service.
    pub(crate) async fn forgets(&mut self, service: &str) {
        self.reporter.clear_service_status(service).await;
    }
}

impl Drop for GrpcHealth {
    fn drop(&mut self) {
        self.server.abort();
    }
}

//! `/live`, `/ready` and `/metrics` over plain HTTP, for the kubelet and for Prometheus. Nothing else of the admin
//! socket is to be had here, and nothing that is a secret.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::net::TcpListener;

use super::{View, handlers};

/// The port, bound and not served yet.
#[derive(Debug)]
pub(crate) struct Health {
    listener: TcpListener,
    view: Arc<View>,
}

impl Health {
    /// Binds the port.
    ///
    /// # Errors
    /// If the address is taken.
    pub(crate) async fn bind(address: SocketAddr, view: Arc<View>) -> Result<Self> {
        let bound = TcpListener::bind(address).await;
        let listener = bound.with_context(|| format!("cannot listen on {address} for health"))?;
        Ok(Self { listener, view })
    }

    /// Serves for ever.
    pub(crate) async fn run(self) {
        if let Err(error) = axum::serve(self.listener, handlers::health(self.view)).await {
            tracing::error!(%error, "the health port failed");
        }
    }
}

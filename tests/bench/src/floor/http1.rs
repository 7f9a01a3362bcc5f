//! The floor's HTTP/1.1 side: a stack of idle connections, one request at a time on each.

use std::sync::{Arc, Mutex, PoisonError};

use http::{Request, Response, StatusCode, header};
use hyper::body::Incoming;
use hyper::client::conn::http1::{Builder, SendRequest};
use hyper_util::rt::TokioIo;

use super::{
    Floor,
    body::{Body, Lease},
    empty,
};

/// Our end of an upstream connection.
pub(super) type Sender = SendRequest<Incoming>;

/// Idle connections, the warmest on top. Bound: never more than the load generator has connections.
#[derive(Default)]
pub(super) struct Pool {
    idle: Mutex<Vec<Sender>>,
}

impl Pool {
    fn take(&self) -> Option<Sender> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    /// Keeps a connection for the next request, if it still lives.
    pub(super) fn put(&self, sender: Sender) {
        if !sender.is_closed() {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(sender);
        }
    }
}

impl Floor {
    /// Forwards over an idle connection, else over a new one.
    pub(super) async fn send_http1(
        self: &Arc<Self>,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, hyper::Error> {
        request.headers_mut().remove(header::CONNECTION);
        let mut sender = loop {
            let Some(mut idle) = self.http1.take() else {
                let Ok(transport) = self.connect().await else {
                    return Ok(empty(StatusCode::SERVICE_UNAVAILABLE));
                };
                let (sender, connection) =
                    Builder::new().handshake(TokioIo::new(transport)).await?;
                tokio::spawn(connection);
                break sender;
            };
            if idle.ready().await.is_ok() {
                break idle;
            }
        };
        let mut response = sender.send_request(request).await?;
        response.headers_mut().remove(header::CONNECTION);
        let lease = Lease { sender: Some(sender), floor: Arc::clone(self) };
        Ok(response.map(|body| Body::Http1 { body, _lease: lease }))
    }
}

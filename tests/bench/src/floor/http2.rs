//! The floor's HTTP/2 side: one upstream connection that all requests share.

use http::{Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use hyper::client::conn::http2::{Builder, SendRequest};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::sync::Mutex;

use super::{Floor, body::Body, empty};

/// The connection, once there is one.
#[derive(Default)]
pub(super) struct Shared {
    sender: Mutex<Option<SendRequest<Incoming>>>,
}

impl Floor {
    /// Forwards over the shared connection, which is made by the first request and after its end.
    pub(super) async fn send_http2(
        &self,
        mut request: Request<Incoming>,
    ) -> Result<Response<Body>, hyper::Error> {
        *request.version_mut() = Version::HTTP_2;
        request.headers_mut().remove(header::CONNECTION);
        // Order: the lock is held while connecting, so that the first requests share one connection.
        let mut shared = self.http2.sender.lock().await;
        let mut sender = match shared.as_ref().filter(|sender| !sender.is_closed()) {
            Some(sender) => sender.clone(),
            None => {
                let Ok(transport) = self.connect().await else {
                    return Ok(empty(StatusCode::SERVICE_UNAVAILABLE));
                };
                let mut client = Builder::new(TokioExecutor::new());
                client.timer(TokioTimer::new());
                client.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 24);
                let (sender, connection) = client.handshake(TokioIo::new(transport)).await?;
                tokio::spawn(connection);
                shared.insert(sender).clone()
            }
        };
        drop(shared);
        Ok(sender.send_request(request).await?.map(Body::Http2))
    }
}

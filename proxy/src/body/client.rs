//! A request's body as its client sends it. `outbound` and `inbound` make one of each request; it goes where the
//! request goes. It must never hold a request up, nor keep what nobody reads.
//!
//! An answer may be ready before the body has come: no route, no endpoint, not allowed. What is then still on its way
//! would meet a stream that HTTP/2's server has reset. h2 knows the last 50 of these and counts what comes for older
//! ones as the client's mistakes, 100 of which end the connection: 150 refusals in a second, and all other requests
//! of a blameless client would fail with them. So a body that is let go before its end is read on for a moment, and
//! its stream ends as it should.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use hyper::body::Incoming;
use tokio::runtime::Handle;

/// Bounds of what is read on: a client that sends more, or slower, has its stream reset (`NO_ERROR`, RFC 9113 §8.1).
/// The streams that wait for it are among those that a connection may have at once.
const MAX_BYTES: usize = 64 * 1024;
const MOMENT: Duration = Duration::from_secs(1);

/// The body of a request that came over a listener.
#[derive(Debug)]
pub struct ClientBody {
    /// Something until the value is dropped.
    body: Option<Incoming>,
    version: Version,
    /// Bytes that have passed, where somebody wants to know.
    count: Option<Arc<AtomicU64>>,
}

impl ClientBody {
    /// The request with its body as one of these.
    #[must_use]
    pub fn of(request: Request<Incoming>) -> Request<Self> {
        let version = request.version();
        request.map(|body| Self { body: Some(body), version, count: None })
    }

    /// Counts the bytes that pass from now on.
    #[must_use]
    pub fn counted(&mut self) -> Arc<AtomicU64> {
        Arc::clone(self.count.get_or_insert_default())
    }
}

impl HttpBody for ClientBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { body, count, .. } = self.get_mut();
        let Some(body) = body else { return Poll::Ready(None) };
        let frame = Pin::new(body).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(frame))), Some(count)) = (&frame, count) {
            count.fetch_add(frame.data_ref().map_or(0, Bytes::len) as u64, Relaxed);
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

impl Drop for ClientBody {
    fn drop(&mut self) {
        // HTTP/1 has one request at a time: hyper reads what is left, or ends the connection.
        if self.version != Version::HTTP_2 || self.is_end_stream() {
            return;
        }
        // Outside of a runtime (it is going down) nobody waits for the stream either.
        if let (Some(body), Ok(runtime)) = (self.body.take(), Handle::try_current()) {
            runtime.spawn(tokio::time::timeout(MOMENT, read_on(body)));
        }
    }
}

/// Until its end, its bound, or its client's failure.
async fn read_on(mut body: Incoming) {
    let mut left = MAX_BYTES;
    while let Some(Ok(frame)) = std::future::poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await
    {
        match left.checked_sub(frame.data_ref().map_or(0, Bytes::len)) {
            Some(rest) => left = rest,
            None => return,
        }
    }
}

//! The floor's response body: the upstream's, untouched. For HTTP/1.1 it also holds the connection it comes
//! from and gives it back to the pool at its end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::{Floor, http1::Sender};

/// Body of a response to the client.
pub(super) enum Body {
    /// Of a response that the floor made.
    Empty,
    /// From a shared HTTP/2 connection.
    Http2(Incoming),
    /// From an HTTP/1.1 connection that is ours until the body is dropped.
    Http1 { body: Incoming, _lease: Lease },
}

/// An HTTP/1.1 connection on loan; given back on drop.
pub(super) struct Lease {
    pub(super) sender: Option<Sender>,
    pub(super) floor: Arc<Floor>,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(sender) = self.sender.take() {
            self.floor.http1.put(sender);
        }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Empty => Poll::Ready(None),
            Self::Http2(body) | Self::Http1 { body, .. } => Pin::new(body).poll_frame(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http2(body) | Self::Http1 { body, .. } => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http2(body) | Self::Http1 { body, .. } => body.size_hint(),
        }
    }
}

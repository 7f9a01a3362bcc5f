//! The response side of a stream on the wire: gRPC messages made of the resources' own bytes.
//!
//! tonic would encode every response into a buffer of its own and keep the largest one for as long as the
//! stream lives, a megabyte a proxy in a large mesh. Here a message is its few own fields followed by the
//! shared entries of the resources, handed to HTTP/2 in pieces. A proxy that does not read holds pointers,
//! no copies.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{BufMut as _, Bytes, BytesMut};
use http::HeaderMap;
use hyper::body::{Body, Frame};
use prost::Message as _;
use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tonic::Status;
use weft_proto::envoy::discovery::DeltaDiscoveryResponse;

use super::session::Outgoing;
use crate::translate::Resource;

/// Bound: what is copied at a time. Small resources are gathered into frames of this size, the default
/// of HTTP/2; one that fills a frame alone is not copied at all.
const FRAME: usize = 16 * 1024;

/// Body of a response stream. Ends with the status that the stream's task left, as gRPC trailers.
#[derive(Debug)]
pub(crate) struct ResponseBody {
    queue: mpsc::Receiver<Outgoing>,
    status: Option<oneshot::Receiver<Status>>,
    message: Option<Pieces>,
    /// Bound: a stream counts until its client has let go of it.
    _permit: OwnedSemaphorePermit,
}

impl ResponseBody {
    /// Sends what comes out of `queue`, then `status`.
    pub(crate) fn new(
        queue: mpsc::Receiver<Outgoing>,
        status: oneshot::Receiver<Status>,
        permit: OwnedSemaphorePermit,
    ) -> Self {
        Self { queue, status: Some(status), message: None, _permit: permit }
    }
}

impl Body for ResponseBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let this = &mut *self;
        loop {
            if let Some(piece) = this.message.as_mut().and_then(Pieces::next) {
                return Poll::Ready(Some(Ok(Frame::data(piece))));
            }
            this.message = None;
            if let Some(outgoing) = ready!(this.queue.poll_recv(cx)) {
                this.message = Some(Pieces::new(outgoing));
                continue;
            }
            let Some(status) = &mut this.status else { return Poll::Ready(None) };
            let status = ready!(Pin::new(status).poll(cx))
                .unwrap_or_else(|_| Status::internal("the stream ended without a reason"));
            this.status = None;
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(match status.add_header(&mut trailers) {
                Ok(()) => Ok(Frame::trailers(trailers)),
                Err(status) => Err(status),
            }));
        }
    }
}

/// One message, on its way out.
#[derive(Debug)]
struct Pieces {
    head: Option<Bytes>,
    resources: std::vec::IntoIter<Arc<Resource>>,
    next: Option<Bytes>,
}

impl Pieces {
    fn new(outgoing: Outgoing) -> Self {
        let Outgoing { kind, nonce, generation, update } = outgoing;
        let own = DeltaDiscoveryResponse {
            system_version_info: generation.to_string(),
            type_url: kind.type_url().to_owned(),
            nonce: nonce.to_string(),
            removed_resources: update.removed.iter().map(|name| name.to_string()).collect(),
            ..Default::default()
        };
        let entries: usize = update.resources.iter().map(|resource| resource.entry_len()).sum();
        let length = own.encoded_len() + entries;
        let mut head = BytesMut::with_capacity(5 + own.encoded_len());
        head.put_u8(0); // Not compressed.
        // Cannot truncate: a session's budget and one resource stay far below 4 GiB.
        head.put_u32(u32::try_from(length).unwrap_or(u32::MAX));
        head.put_slice(&own.encode_to_vec());
        Self { head: Some(head.freeze()), resources: update.resources.into_iter(), next: None }
    }

    fn next(&mut self) -> Option<Bytes> {
        let first = self.take()?;
        let Some(mut second) = self.take() else { return Some(first) };
        if first.len() + second.len() > FRAME {
            self.next = Some(second);
            return Some(first);
        }
        let mut frame = BytesMut::with_capacity(FRAME);
        frame.put_slice(&first);
        while frame.len() + second.len() <= FRAME {
            frame.put_slice(&second);
            match self.take() {
                Some(entry) => second = entry,
                None => return Some(frame.freeze()),
            }
        }
        self.next = Some(second);
        Some(frame.freeze())
    }

    fn take(&mut self) -> Option<Bytes> {
        let next = self.next.take().or_else(|| self.head.take());
        next.or_else(|| self.resources.next().map(|resource| resource.entry()))
    }
}

#[cfg(test)]
mod tests;

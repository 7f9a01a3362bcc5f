//! The body of a response from the other side, of either version. `record` wraps it; hyper's server drives it.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use hyper::body::Incoming;

use super::http1::{Receiving, Switched};
use super::pool::Stream;
use crate::body::BodyError;

/// A body that is received. Its end gives the connection back; dropped before, it breaks the exchange off.
#[derive(Debug, Default)]
pub enum ResponseBody {
    /// Nothing.
    #[default]
    Empty,
    /// On a connection of its own.
    Http1(Box<Receiving>),
    /// On a shared one, of which it counts as a stream.
    Http2(Incoming, Stream),
}

impl ResponseBody {
    /// A stream's body, or nothing if the head was all.
    pub(super) fn http2(body: Incoming, stream: Stream) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Http2(body, stream) }
    }

    /// The connection below a response with status 101.
    pub(crate) fn into_switched(self) -> Option<Switched> {
        match self {
            Self::Http1(body) => body.into_switched(),
            Self::Empty | Self::Http2(..) => None,
        }
    }

    /// As [`http_body::Body::poll_frame`].
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self {
            Self::Empty => Poll::Ready(None),
            Self::Http1(body) => body.poll_frame(context),
            Self::Http2(body, _) => Pin::new(body)
                .poll_frame(context)
                .map(|frame| frame.map(|frame| frame.map_err(Into::into))),
        }
    }

    /// As [`http_body::Body::is_end_stream`].
    pub(crate) fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Http1(body) => body.is_end_stream(),
            Self::Http2(body, _) => body.is_end_stream(),
        }
    }

    /// As [`http_body::Body::size_hint`].
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Http1(body) => body.size_hint(),
            Self::Http2(body, _) => body.size_hint(),
        }
    }
}

//! The one body type of the request path. `outbound` and `inbound` build it; hyper drives it. Bytes pass
//! through as they come: nothing here copies or collects.

mod client;
pub(crate) mod progress;
mod tee;

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Body as HttpBody, Frame, SizeHint};

use crate::canonical::is_forbidden_trailer;
use crate::record::Tracked;
use crate::retry::ReplayBody;

pub use client::ClientBody;
pub use tee::{Copied, Tee};

/// Failure in the middle of a body; hyper breaks the message off, so that no truncated body looks whole.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// A request or response body.
#[derive(Debug)]
pub enum Body {
    /// Nothing.
    Empty,
    /// One piece.
    Full(Bytes),
    /// Straight from the client's connection.
    Client(ClientBody),
    /// A request body that may be sent again.
    Replay(ReplayBody),
    /// The copy of a request body that another reads.
    Copied(Copied),
    /// A response body whose end finishes the request's record.
    Tracked(Box<Tracked>),
}

impl Body {
    /// A request body as it was received.
    #[must_use]
    pub fn received(body: ClientBody) -> Self {
        if body.is_end_stream() { Self::Empty } else { Self::Client(body) }
    }
}

/// A frame of a request as it came in. A trailer that none may be fails the request: its body has gone on already,
/// but an end that is no end reaches nobody as a request.
///
/// # Errors
/// The client's connection failed, its framing is wrong, or a trailer is forbidden.
pub(crate) fn received(
    frame: Result<Frame<Bytes>, hyper::Error>,
) -> Result<Frame<Bytes>, BodyError> {
    let frame = frame?;
    let trailers = frame.trailers_ref();
    match trailers.and_then(|map| map.keys().find(|name| is_forbidden_trailer(name.as_str()))) {
        Some(name) => Err(format!("the trailer `{name}` is forbidden").into()),
        None => Ok(frame),
    }
}

impl HttpBody for Body {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Empty => Poll::Ready(None),
            body @ Self::Full(_) => match std::mem::replace(body, Self::Empty) {
                Self::Full(mut bytes) => {
                    let given = bytes.len() as u64;
                    if let Some(tail) = progress::tail(&mut bytes, given) {
                        *body = Self::Full(tail);
                    }
                    progress::gave(bytes.len());
                    Poll::Ready(Some(Ok(Frame::data(bytes))))
                }
                _ => Poll::Ready(None),
            },
            Self::Client(body) => Pin::new(body).poll_frame(cx).map(|frame| frame.map(received)),
            Self::Replay(body) => body.poll_frame(cx),
            Self::Copied(body) => body.poll_frame(cx),
            Self::Tracked(body) => body.poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Full(bytes) => bytes.is_empty(),
            Self::Client(body) => body.is_end_stream(),
            Self::Replay(body) => body.is_end_stream(),
            Self::Copied(body) => body.is_end_stream(),
            Self::Tracked(body) => body.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Full(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Self::Client(body) => body.size_hint(),
            Self::Replay(body) => body.size_hint(),
            Self::Copied(body) => body.size_hint(),
            Self::Tracked(body) => body.size_hint(),
        }
    }
}

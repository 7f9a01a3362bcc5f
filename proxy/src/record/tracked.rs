//! A response body on its way to the client, which closes the record of its request at its end.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio::time::{Instant, Sleep};

use super::{Record, grpc_status};
use crate::body::{BodyError, progress};
use crate::canonical;
use crate::cluster::InFlight;
use crate::error::Token;
use crate::response;
use crate::upstream::ResponseBody;

/// A response body on its way to the client.
#[derive(Debug)]
pub struct Tracked {
    body: ResponseBody,
    _in_flight: InFlight,
    record: Option<Record>,
    deadline: Option<Pin<Box<Sleep>>>,
    /// Is the end by a deadline said as gRPC says it?
    grpc: bool,
    given: u64,
    /// See [`Self::cut`].
    tail: Option<Bytes>,
}

impl Tracked {
    /// The body of a response, with the record of its request. `grpc`: its end by the deadline is said as gRPC says it.
    pub(super) fn new(
        body: ResponseBody,
        in_flight: InFlight,
        record: Record,
        deadline: Option<Instant>,
        grpc: bool,
    ) -> Self {
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let record = Some(record);
        Self { body, _in_flight: in_flight, record, deadline, grpc, given: 0, tail: None }
    }

    /// As [`http_body::Body::poll_frame`].
    pub(crate) fn poll_frame(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if let Some(tail) = self.tail.take() {
            return self.give(Frame::data(tail));
        }
        let frame = match self.body.poll_frame(cx) {
            Poll::Pending => {
                progress::empty();
                return self.poll_deadline(cx);
            }
            Poll::Ready(frame) => frame,
        };
        match frame {
            Some(Ok(mut frame)) => {
                self.note(&mut frame);
                let frame = self.cut(frame);
                self.give(frame)
            }
            Some(Err(error)) => {
                self.end(Some(Token::ResponseIncomplete));
                Poll::Ready(Some(Err(error)))
            }
            None => {
                self.end(None);
                Poll::Ready(None)
            }
        }
    }

    fn give(&mut self, frame: Frame<Bytes>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        progress::gave(frame.data_ref().map_or(0, Bytes::len));
        if self.is_end_stream() {
            self.end(None);
        }
        Poll::Ready(Some(Ok(frame)))
    }

    /// See [`progress::tail`].
    fn cut(&mut self, frame: Frame<Bytes>) -> Frame<Bytes> {
        if !frame.is_data() {
            return frame;
        }
        let mut data = frame.into_data().unwrap_or_default();
        self.given += data.len() as u64;
        let may_be_last = self.body.is_end_stream() || self.body.size_hint().exact().is_none();
        if may_be_last {
            self.tail = progress::tail(&mut data, self.given);
        }
        Frame::data(data)
    }

    /// As [`http_body::Body::is_end_stream`].
    pub(crate) fn is_end_stream(&self) -> bool {
        self.tail.is_none() && self.body.is_end_stream()
    }

    /// As [`http_body::Body::size_hint`].
    pub(crate) fn size_hint(&self) -> SizeHint {
        let (hint, held) = (self.body.size_hint(), self.tail.as_ref().map_or(0, Bytes::len));
        hint.exact().map_or(hint, |rest| SizeHint::with_exact(rest + held as u64))
    }

    fn poll_deadline(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let over =
            self.deadline.as_mut().is_some_and(|deadline| deadline.as_mut().poll(cx).is_ready());
        if !over {
            return Poll::Pending;
        }
        self.end(Some(Token::ResponseTimeout));
        if self.grpc {
            return Poll::Ready(Some(Ok(Frame::trailers(response::too_late()))));
        }
        Poll::Ready(Some(Err("the request's time is over".into())))
    }

    /// Trailers that none may be are left out (RFC 9110 §6.5.1).
    fn note(&mut self, frame: &mut Frame<Bytes>) {
        let Some(record) = &mut self.record else { return };
        if let Some(data) = frame.data_ref() {
            record.response_bytes += data.len() as u64;
        } else if let Some(trailers) = frame.trailers_mut() {
            record.grpc_status = grpc_status(trailers).or(record.grpc_status);
            canonical::remove_forbidden_trailers(trailers);
        }
    }

    /// Lets the exchange go and closes the record.
    fn end(&mut self, error: Option<Token>) {
        self.body = ResponseBody::Empty;
        if let Some(mut record) = self.record.take() {
            record.error = error;
            record.close();
        }
    }
}

impl Drop for Tracked {
    /// hyper drops a body that says it has ended without asking for the end.
    fn drop(&mut self) {
        if self.record.is_some() && self.is_end_stream() {
            self.end(None);
        }
    }
}

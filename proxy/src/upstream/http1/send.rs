//! A request on its way out: the head, then the body as it comes. Called by `exchange` (until there is a response
//! head) and by `receive` (while the response's body comes): a request may be longer than its response.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, Bytes, BytesMut};
use http::request;
use http_body::{Body as _, Frame};
use tokio::io::AsyncWrite as _;

use super::encode::{self, CRLF, Framing};
use super::expect::{self, Held};
use crate::body::{Body, BodyError};
use crate::io::Io;

/// Why a request cannot be written to its end.
#[derive(Debug)]
pub(super) enum Stopped {
    /// The connection.
    Io(io::Error),
    /// The request's own body.
    Body(BodyError),
}

/// What is still to be written. In this order: `head`, `data`, `tail`, then what `body` yields next.
#[derive(Debug)]
pub(super) struct Sending {
    head: BytesMut,
    data: Bytes,
    tail: &'static [u8],
    framing: Framing,
    body: Option<Body>,
    /// The body waits for the server's word.
    held: Option<Held>,
    /// The request's head, until a byte has left: it can then be sent elsewhere.
    unsent: Option<Box<request::Parts>>,
    is_done: bool,
}

impl Sending {
    pub(super) fn new(parts: request::Parts, body: Body) -> Self {
        let mut head = BytesMut::new();
        let framing = encode::head(&parts, &body, &mut head);
        let body = (framing != Framing::Empty).then_some(body);
        let held = body.as_ref().and_then(|_| expect::held(&parts.headers));
        let unsent = Some(Box::new(parts));
        Self { head, data: Bytes::new(), tail: &[], framing, body, held, unsent, is_done: false }
    }

    /// The server wants the body (RFC 9110 §15.2.1).
    pub(super) fn go_on(&mut self) {
        self.held = None;
    }

    /// The server has not asked for the body, and not a byte of it has been read.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some()
    }

    /// All of it has left.
    pub(super) fn is_done(&self) -> bool {
        self.is_done
    }

    /// Not a byte has left.
    pub(super) fn is_untouched(&self) -> bool {
        self.unsent.is_some()
    }

    /// The request, if not a byte of it has left.
    pub(super) fn take_unsent(&mut self) -> Option<http::Request<Body>> {
        // Order: a body that has begun to be read cannot be given back.
        let intact = self.data.is_empty() && self.tail.is_empty();
        let parts = self.unsent.take().filter(|_| intact)?;
        Some(http::Request::from_parts(*parts, self.body.take().unwrap_or(Body::Empty)))
    }

    /// Writes until everything has left, or either side has to be waited for.
    pub(super) fn poll(
        &mut self,
        io: &mut Io,
        context: &mut Context<'_>,
    ) -> Poll<Result<(), Stopped>> {
        loop {
            // Order: what the body has ready goes out together with what is before it.
            let is_waiting =
                self.data.is_empty() && !self.poll_body(context).map_err(Stopped::Body)?;
            while self.remaining() > 0 {
                ready!(self.poll_write(io, context)).map_err(Stopped::Io)?;
            }
            if self.body.is_none() {
                ready!(Pin::new(&mut *io).poll_flush(context)).map_err(Stopped::Io)?;
                self.is_done = true;
                return Poll::Ready(Ok(()));
            }
            if is_waiting {
                ready!(Pin::new(&mut *io).poll_flush(context)).map_err(Stopped::Io)?;
                return Poll::Pending;
            }
        }
    }

    fn remaining(&self) -> usize {
        self.head.len() + self.data.len() + self.tail.len()
    }

    fn poll_write(&mut self, io: &mut Io, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let slices = [IoSlice::new(&self.head), IoSlice::new(&self.data), IoSlice::new(self.tail)];
        let mut count = ready!(Pin::new(io).poll_write_vectored(context, &slices))?;
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.unsent = None;
        let of_head = self.head.len().min(count);
        self.head.advance(of_head);
        count -= of_head;
        let of_data = self.data.len().min(count);
        self.data.advance(of_data);
        self.tail = &self.tail[count - of_data..];
        Poll::Ready(Ok(()))
    }

    /// Takes one frame from the body. False: there is none yet.
    fn poll_body(&mut self, context: &mut Context<'_>) -> Result<bool, BodyError> {
        let Some(body) = &mut self.body else { return Ok(true) };
        if let Some(held) = &mut self.held {
            if held.poll(context).is_pending() {
                return Ok(false);
            }
            self.held = None;
        }
        match Pin::new(&mut *body).poll_frame(context) {
            Poll::Pending => return Ok(false),
            Poll::Ready(Some(Ok(frame))) => {
                let has_ended = body.is_end_stream();
                self.push(frame)?;
                if has_ended {
                    self.end(None)?;
                }
            }
            Poll::Ready(Some(Err(error))) => return Err(error),
            Poll::Ready(None) => self.end(None)?,
        }
        Ok(true)
    }

    fn push(&mut self, frame: Frame<Bytes>) -> Result<(), BodyError> {
        match frame.into_data() {
            Ok(data) if data.is_empty() => {}
            Ok(data) => {
                if let Framing::Length(left) = &mut self.framing {
                    *left = left
                        .checked_sub(data.len() as u64)
                        .ok_or("the body is longer than it said")?;
                } else {
                    self.head.extend_from_slice(self.tail);
                    encode::chunk_size(data.len(), &mut self.head);
                    self.tail = CRLF;
                }
                self.data = data;
            }
            Err(frame) => {
                if let Ok(trailers) = frame.into_trailers() {
                    self.end(Some(&trailers))?;
                }
            }
        }
        Ok(())
    }

    fn end(&mut self, trailers: Option<&http::HeaderMap>) -> Result<(), BodyError> {
        if self.body.take().is_none() {
            return Ok(());
        }
        match self.framing {
            Framing::Length(1..) => Err("the body is shorter than it said".into()),
            Framing::Length(0) | Framing::Empty => Ok(()),
            Framing::Chunked if self.data.is_empty() => {
                self.head.extend_from_slice(std::mem::take(&mut self.tail));
                encode::last_chunk(trailers, &mut self.head);
                Ok(())
            }
            Framing::Chunked => {
                // Behind the data that is not yet written; trailers never come together with data.
                self.tail = b"\r\n0\r\n\r\n";
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests;

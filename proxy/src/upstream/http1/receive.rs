//! The body of a response, from its head to its end, and what becomes of the connection then. hyper's server drives
//! it as the response that we give to the client; back-pressure is that it is not polled.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Bytes, BytesMut};
use http_body::{Frame, SizeHint};

use super::Malformed;
use super::chunked::Piece;
use super::connection::{Connection, Switched};
use super::head::Coding;
use super::send::Sending;
use crate::body::BodyError;
use crate::cluster::Endpoint;

/// Where a connection goes when it is free.
#[derive(Debug)]
pub(super) struct Return {
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) worker: usize,
}

/// A body that is being received. Dropped before its end it takes the connection with it.
#[derive(Debug)]
pub struct Receiving {
    /// `None` once the body has ended or failed.
    connection: Option<Box<Connection>>,
    /// What of the request has not left yet.
    sending: Option<Box<Sending>>,
    coding: Coding,
    /// `None`: the connection cannot be used again.
    home: Option<Return>,
}

impl Receiving {
    pub(super) fn new(
        connection: Box<Connection>,
        sending: Option<Box<Sending>>,
        coding: Coding,
        home: Option<Return>,
    ) -> Self {
        Self { connection: Some(connection), sending, coding, home }
    }

    /// The body has ended, or there is none.
    pub(super) fn is_over(&self) -> bool {
        match &self.coding {
            Coding::Empty | Coding::Length(0) => true,
            Coding::Chunked(chunked) => chunked.is_done(),
            Coding::Length(_) | Coding::UntilClose => false,
        }
    }

    /// As `http_body::Body::is_end_stream`.
    pub(crate) fn is_end_stream(&self) -> bool {
        self.connection.is_none()
    }

    /// As `http_body::Body::size_hint`.
    pub(crate) fn size_hint(&self) -> SizeHint {
        match self.coding {
            Coding::Empty => SizeHint::with_exact(0),
            Coding::Length(left) => SizeHint::with_exact(left),
            Coding::Chunked(_) | Coding::UntilClose => SizeHint::default(),
        }
    }

    /// As `http_body::Body::poll_frame`.
    pub(crate) fn poll_frame(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        self.poll_sending(context);
        let frame = ready!(self.poll_piece(context));
        match &frame {
            Ok(_) if self.is_over() => self.finish_now(),
            Ok(Some(_)) => {}
            Ok(None) | Err(_) => self.connection = None,
        }
        Poll::Ready(frame.map_err(Into::into).transpose())
    }

    /// The connection itself, once the peer has agreed to another protocol.
    pub(in crate::upstream) fn into_switched(mut self) -> Option<Switched> {
        self.connection.take().map(Switched)
    }

    /// The body is over as soon as the head is there.
    pub(super) fn finish(mut self) {
        self.finish_now();
    }

    fn poll_sending(&mut self, context: &mut Context<'_>) {
        let (Some(sending), Some(connection)) = (&mut self.sending, &mut self.connection) else {
            return;
        };
        match sending.poll(&mut connection.io, context) {
            Poll::Pending => {}
            Poll::Ready(Ok(())) => self.sending = None,
            // The peer has had enough of the request; its response may still come in full.
            Poll::Ready(Err(_)) => (self.sending, self.home) = (None, None),
        }
    }

    fn poll_piece(
        &mut self,
        context: &mut Context<'_>,
    ) -> Poll<Result<Option<Frame<Bytes>>, io::Error>> {
        loop {
            let Some(connection) = &mut self.connection else { return Poll::Ready(Ok(None)) };
            match self.coding.take(&mut connection.buffer) {
                Ok(Piece::Data(data)) => return Poll::Ready(Ok(Some(Frame::data(data)))),
                Ok(Piece::Trailers(map)) => return Poll::Ready(Ok(Some(Frame::trailers(map)))),
                Ok(Piece::End) => return Poll::Ready(Ok(None)),
                Ok(Piece::More) => {}
                Err(Malformed(reason)) => return Poll::Ready(Err(io::Error::other(reason))),
            }
            if ready!(connection.poll_fill(context))? == 0 {
                let is_end = matches!(self.coding, Coding::UntilClose);
                return Poll::Ready(if is_end {
                    Ok(None)
                } else {
                    Err(io::ErrorKind::UnexpectedEof.into())
                });
            }
        }
    }

    /// Gives the connection back if nothing is left on it: neither of the request nor of something that nobody
    /// asked for.
    fn finish_now(&mut self) {
        let Some(mut connection) = self.connection.take() else { return };
        if let Some(home) = self.home.take()
            && self.sending.is_none()
            && connection.buffer.is_empty()
        {
            connection.rest();
            home.endpoint.pools[home.worker].put_idle(connection);
        }
    }
}

impl Coding {
    fn take(&mut self, bytes: &mut BytesMut) -> Result<Piece, Malformed> {
        match self {
            Self::Empty | Self::Length(0) => Ok(Piece::End),
            Self::Chunked(chunked) => chunked.decode(bytes),
            Self::Length(_) | Self::UntilClose if bytes.is_empty() => Ok(Piece::More),
            Self::Length(left) => {
                let count = usize::try_from(*left).unwrap_or(usize::MAX).min(bytes.len());
                *left -= count as u64;
                Ok(Piece::Data(bytes.split_to(count).freeze()))
            }
            Self::UntilClose => Ok(Piece::Data(bytes.split().freeze())),
        }
    }
}

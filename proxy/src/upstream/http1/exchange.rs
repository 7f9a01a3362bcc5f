//! One request and its response head on one connection. Called by `http1::send` only.
//!
//! Writing and reading go on side by side: a response may come before the request has left in full. What a
//! failure means for the request is said by [`Broken`]: on a reused connection the peer may just have closed it.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, ready};

use http::{Method, Request, Response, StatusCode};

use super::Malformed;
use super::connection::Connection;
use super::head::{self, Head};
use super::receive::{Receiving, Return};
use super::send::{Sending, Stopped};
use crate::body::{Body, BodyError};
use crate::error::{Error, Token};
use crate::upstream::{ResponseBody, of_client, refused_certificate};

/// Bound: interim responses (1xx) before the real one.
const MAX_INTERIM: u32 = 16;

/// No response head came.
#[derive(Debug)]
pub(super) struct Broken {
    /// The request, if not a byte of it has left.
    pub(super) unsent: Option<Request<Body>>,
    is_untouched: bool,
    cause: Cause,
}

/// Why not.
#[derive(Debug)]
enum Cause {
    /// The peer ended the stream in order, before the first byte of a response.
    Ended,
    /// The stream broke, or ended within a head.
    Io(io::Error),
    /// The request's own body failed.
    Body(BodyError),
    /// What came is no response.
    Malformed(Malformed),
}

/// Sends a request, and waits for the head of its response. The body of the response brings the connection back by
/// `home`.
pub(super) async fn exchange(
    connection: Box<Connection>,
    request: Request<Body>,
    home: Return,
) -> Result<Response<ResponseBody>, Broken> {
    let method = request.method().clone();
    let (parts, body) = request.into_parts();
    let sending = Sending::new(parts, body);
    let mut exchange = Exchange { connection, sending, method, interim: 0, stopped: None };
    match poll_fn(|context| exchange.poll(context)).await {
        Ok(head) => Ok(exchange.respond(head, home)),
        Err(cause) => {
            let is_untouched = exchange.sending.is_untouched();
            let is_whole = !matches!(cause, Cause::Body(_));
            let unsent = exchange.sending.take_unsent().filter(|_| is_whole);
            Err(Broken { unsent, is_untouched, cause: exchange.explain(cause) })
        }
    }
}

struct Exchange {
    connection: Box<Connection>,
    sending: Sending,
    method: Method,
    interim: u32,
    /// Why no more is written; the peer may have answered before it stopped to read.
    stopped: Option<io::Error>,
}

impl Exchange {
    fn poll(&mut self, context: &mut Context<'_>) -> Poll<Result<Head, Cause>> {
        if !self.sending.is_done() && self.stopped.is_none() {
            match self.sending.poll(&mut self.connection.io, context) {
                Poll::Pending | Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(Stopped::Io(error))) => self.stopped = Some(error),
                // A message without its end can have no answer.
                Poll::Ready(Err(Stopped::Body(error))) => {
                    return Poll::Ready(Err(Cause::Body(error)));
                }
            }
        }
        loop {
            if !self.connection.buffer.is_empty() {
                let parsed = head::parse(&mut self.connection.buffer, &self.method);
                match parsed.map_err(Cause::Malformed)? {
                    Some(head) if self.is_interim(&head)? => {
                        if head.status == StatusCode::CONTINUE && self.sending.is_held() {
                            self.sending.go_on();
                            // Depth: the word frees the body once.
                            return self.poll(context);
                        }
                        continue;
                    }
                    Some(head) => return Poll::Ready(Ok(head)),
                    None => {}
                }
            }
            match ready!(self.connection.poll_fill(context)) {
                Ok(0) if self.connection.buffer.is_empty() => {
                    return Poll::Ready(Err(Cause::Ended));
                }
                Ok(0) => return Poll::Ready(Err(Cause::Io(io::ErrorKind::UnexpectedEof.into()))),
                Ok(_) => {}
                Err(error) => return Poll::Ready(Err(Cause::Io(error))),
            }
        }
    }

    fn is_interim(&mut self, head: &Head) -> Result<bool, Cause> {
        if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
            return Ok(false);
        }
        self.interim += 1;
        if self.interim > MAX_INTERIM {
            return Err(Cause::Malformed(Malformed("no end of interim responses")));
        }
        Ok(true)
    }

    /// What stopped the writing says more than the silence that followed.
    fn explain(&mut self, cause: Cause) -> Cause {
        match (cause, self.stopped.take()) {
            (Cause::Io(_), Some(error)) => Cause::Io(error),
            (cause, _) => cause,
        }
    }

    fn respond(self, head: Head, home: Return) -> Response<ResponseBody> {
        let Head { status, version, headers, body, keep_alive } = head;
        // An answer instead of the word for the body: the body is not sent, and since the head has announced one no
        // other request may follow on this connection.
        let is_held = self.sending.is_held();
        let receiving = Receiving::new(
            self.connection,
            (!self.sending.is_done() && !is_held).then(|| Box::new(self.sending)),
            body,
            (keep_alive && !is_held).then_some(home),
        );
        let body = match receiving.is_over() {
            true if status != StatusCode::SWITCHING_PROTOCOLS => {
                receiving.finish();
                ResponseBody::Empty
            }
            _ => ResponseBody::Http1(Box::new(receiving)),
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.version_mut(), *response.headers_mut()) =
            (status, version, headers);
        response
    }
}

impl Broken {
    /// `mesh` says that the far side is a sidecar of ours behind mutual TLS.
    pub(super) fn explain(&self, mesh: bool) -> Error {
        match &self.cause {
            Cause::Body(error) => of_client(error.as_ref()),
            _ if self.is_untouched => {
                Error::unprocessed(Token::ConnectionTerminated, "closed before it was used")
            }
            // A sidecar ends a connection with a TLS close_notify only between requests: after a request that it
            // has begun to read it answers first, and when it dies it sends none. So an orderly end before the
            // first byte of a response means that the request was not read.
            Cause::Ended if mesh => Error::unprocessed(
                Token::ConnectionTerminated,
                "the connection was closed before the request was read",
            ),
            Cause::Ended => Error::new(Token::ConnectionTerminated, "closed before a response"),
            Cause::Io(error) if let Some(alert) = refused_certificate(error).filter(|_| mesh) => {
                let message =
                    format!("the other side refuses this workload's certificate: {alert:?}");
                Error::unprocessed(Token::TlsCertificateError, message)
            }
            Cause::Io(error) => Error::new(Token::ConnectionTerminated, error.to_string()),
            Cause::Malformed(Malformed(reason)) => Error::new(Token::ResponseError, *reason),
        }
    }
}

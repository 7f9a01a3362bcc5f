//! The record of one request: what telemetry is told when it ends. `outbound` and `inbound` open one for
//! every request; it is closed at the end of the response body, by [`Tracked`], or earlier by whoever makes
//! the response here. A record that is dropped open belongs to a client that went away.

use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::{Body as HttpBody, Frame, SizeHint};
use tokio::time::{Instant, Sleep};
use weft_certs::SpiffeId;

use crate::body::progress;
use crate::body::{Body, BodyError};
use crate::canonical;
use crate::cluster::InFlight;
use crate::error::{Error, Token};
use crate::response;
use crate::retry::Trail;
use crate::state::RuleHandles;
use crate::telemetry::metrics::{Direction, Edge};
use crate::telemetry::trace::{RequestTrace, SpanKind};
use crate::telemetry::{RequestEnd, Telemetry};
use crate::upstream::ResponseBody;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");

/// One request, from its head to the end of its response.
#[derive(Debug)]
pub struct Record {
    telemetry: Arc<Telemetry>,
    direction: Direction,
    service: Arc<str>,
    edge: Arc<Edge>,
    trace: Option<RequestTrace>,
    rule: Option<Arc<RuleHandles>>,
    head: Head,
    started: Instant,
    peer: Peer,
    status: u16,
    grpc_status: Option<u16>,
    error: Option<Token>,
    attempts: u32,
    fallback: bool,
    request_bytes: u64,
    response_bytes: u64,
    open: bool,
}

/// The other side of the hop.
#[derive(Clone, Debug, Default)]
pub struct Peer {
    /// Who it is; `None` in plaintext.
    pub identity: Option<SpiffeId>,
    /// Where it is.
    pub address: Option<SocketAddr>,
}

/// By reference count, not by copy.
#[derive(Debug)]
struct Head {
    method: Method,
    uri: Uri,
    version: Version,
    host: Option<HeaderValue>,
    request_id: Option<HeaderValue>,
}

impl Record {
    /// Opens a record. `edge` counts the request unless a rule's edge takes its place.
    pub fn begin<B: HttpBody>(
        telemetry: &Arc<Telemetry>,
        direction: Direction,
        service: &Arc<str>,
        edge: &Arc<Edge>,
        request: &Request<B>,
    ) -> Self {
        let head = Head {
            method: request.method().clone(),
            uri: request.uri().clone(),
            version: request.version(),
            host: request.headers().get(HOST).cloned(),
            request_id: None,
        };
        Self {
            telemetry: Arc::clone(telemetry),
            direction,
            service: Arc::clone(service),
            edge: Arc::clone(edge),
            trace: None,
            rule: None,
            head,
            started: Instant::now(),
            peer: Peer::default(),
            status: 0,
            grpc_status: None,
            error: None,
            attempts: 0,
            fallback: false,
            request_bytes: request.body().size_hint().exact().unwrap_or(0),
            response_bytes: 0,
            open: true,
        }
    }

    /// Takes up the request's trace, or starts one.
    pub fn trace(&mut self, headers: &mut HeaderMap, sampling: f64) {
        let kind = match self.direction {
            Direction::Outbound => SpanKind::Client,
            Direction::Inbound => SpanKind::Server,
        };
        self.trace = Some(self.telemetry.tracing.begin(kind, headers, sampling));
        self.head.request_id = headers.get(REQUEST_ID).cloned();
    }

    /// A rule has matched.
    pub fn matched(&mut self, rule: &Arc<RuleHandles>) {
        self.rule = Some(Arc::clone(rule));
        self.edge = Arc::clone(&rule.no_backend);
    }

    /// A backend of the rule was chosen.
    pub fn backend(&mut self, edge: &Arc<Edge>) {
        self.edge = Arc::clone(edge);
    }

    /// The other side is known.
    pub fn peer(&mut self, peer: Peer) {
        self.peer = peer;
    }

    /// By what the request is known again in other calls that follow from it.
    #[must_use]
    pub fn trail(&self) -> Trail<'_> {
        Trail {
            trace_id: self.trace.as_ref().and_then(RequestTrace::trace_id),
            request_id: self.head.request_id.as_ref(),
        }
    }

    /// The answer is the policy's own, because nothing can serve.
    pub fn fall_back(&mut self) {
        self.fallback = true;
    }

    /// One more attempt goes out.
    pub fn attempt(&mut self) {
        self.attempts += 1;
    }

    /// The attempt that ended so is followed by another, whose headers these are.
    pub fn retry(&mut self, status: u16, error: Option<Token>, headers: &mut HeaderMap) {
        let Some(mut trace) = self.trace.take() else { return };
        (self.status, self.error) = (status, error);
        trace.retry(&self.end(), headers, self.attempts);
        (self.status, self.error) = (0, None);
        self.trace = Some(trace);
    }

    /// The request ends here, with a response made by the proxy.
    pub fn answer(mut self, response: &Response<Body>, error: Option<&Error>) {
        self.status = response.status().as_u16();
        self.grpc_status = grpc_status(response.headers());
        self.error = error.map(Error::token);
        self.response_bytes = response.body().size_hint().exact().unwrap_or(0);
        self.close();
    }

    /// The connection went on as another protocol, and has ended; `carried` is what it brought the client.
    pub fn switched(mut self, carried: Result<u64, Token>) {
        self.status = 101;
        self.error = carried.err();
        self.response_bytes = carried.unwrap_or(0);
        self.close();
    }

    /// The response head is there; the record goes on with the body.
    #[must_use]
    pub fn carry(mut self, answer: Answer, deadline: Option<Instant>) -> Response<Body> {
        let (parts, body) = answer.response.into_parts();
        self.status = parts.status.as_u16();
        self.grpc_status = grpc_status(&parts.headers);
        if body.is_end_stream() {
            self.close();
            return Response::from_parts(parts, Body::Empty);
        }
        let grpc = deadline.is_some() && response::is_grpc(&parts.headers);
        let deadline = deadline.map(|deadline| Box::pin(tokio::time::sleep_until(deadline)));
        let tracked = Tracked {
            body,
            _in_flight: answer.in_flight,
            record: Some(self),
            deadline,
            grpc,
            given: 0,
            tail: None,
        };
        Response::from_parts(parts, Body::Tracked(Box::new(tracked)))
    }

    fn close(&mut self) {
        self.open = false;
        let trace = self.trace.take();
        self.telemetry.finish_request(&self.end(), &self.edge, trace);
    }

    fn end(&self) -> RequestEnd<'_> {
        RequestEnd {
            direction: self.direction,
            method: &self.head.method,
            path: self.head.uri.path(),
            host: self.host(),
            version: self.head.version,
            status: self.status,
            grpc_status: self.grpc_status,
            error: self.error,
            duration: self.started.elapsed(),
            attempts: self.attempts,
            fallback: self.fallback,
            http_route: self.rule.as_ref().and_then(|rule| rule.http_route.as_deref()),
            route: self.rule.as_ref().map_or("", |rule| &rule.origin),
            service: &self.service,
            peer_identity: self.peer.identity.as_ref().map_or("", SpiffeId::as_str),
            peer_address: self.peer.address,
            mtls: self.peer.identity.is_some(),
            request_bytes: self.request_bytes,
            response_bytes: self.response_bytes,
            request_id: text_of(self.head.request_id.as_ref()),
        }
    }

    fn host(&self) -> &str {
        match self.head.uri.authority() {
            Some(authority) => authority.as_str(),
            None => text_of(self.head.host.as_ref()),
        }
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        if self.open {
            self.error = self.error.or(Some(Token::DownstreamClosed));
            self.close();
        }
    }
}

fn text_of(value: Option<&HeaderValue>) -> &str {
    value.and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// What the server says in a response head, which is all of a trailers-only response.
pub(crate) fn grpc_status(headers: &HeaderMap) -> Option<u16> {
    headers.get(GRPC_STATUS)?.to_str().ok()?.parse().ok()
}

/// A response head with what must be kept until its body has ended.
#[derive(Debug)]
pub struct Answer {
    /// The response.
    pub response: Response<ResponseBody>,
    /// When the request began to leave.
    pub written: Instant,
    /// Its place in the endpoint's load.
    pub in_flight: InFlight,
}

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
    /// As [`HttpBody::poll_frame`].
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

    /// As [`HttpBody::is_end_stream`].
    pub(crate) fn is_end_stream(&self) -> bool {
        self.tail.is_none() && self.body.is_end_stream()
    }

    /// As [`HttpBody::size_hint`].
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

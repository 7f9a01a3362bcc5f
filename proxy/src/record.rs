//! The record of one request: what telemetry is told when it ends. `outbound` and `inbound` open one for
//! every request; it is closed at the end of the response body, by [`Tracked`], or earlier by whoever makes
//! the response here. A record that is dropped open belongs to a client that went away.

mod size;
mod story;
mod tracked;

use std::net::SocketAddr;
use std::sync::Arc;

use http::header::{HOST, HeaderName, HeaderValue};
use http::{HeaderMap, Method, Request, Response, Uri, Version};
use http_body::Body as HttpBody;
use tokio::time::Instant;
use weft_certs::SpiffeId;

use crate::body::{Body, ClientBody};
use crate::cluster::InFlight;
use crate::error::{Error, Token};
use crate::headers::ROUTE;
use crate::response;
use crate::retry::Trail;
use crate::state::RuleHandles;
use crate::telemetry::metrics::{Direction, Edge};
use crate::telemetry::trace::{RequestTrace, SpanKind};
use crate::telemetry::{RequestEnd, Telemetry};
use crate::upstream::ResponseBody;

use size::Size;
pub use story::{Stop, Story};
pub use tracked::Tracked;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const GRPC_STATUS: HeaderName = HeaderName::from_static("grpc-status");
/// Codes of gRPC.
const CANCELLED: u16 = 1;
const DEADLINE_EXCEEDED: u16 = 4;

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
    grpc: bool,
    grpc_status: Option<u16>,
    error: Option<Token>,
    denial: Option<Box<Denial>>,
    story: Story,
    attempts: u32,
    fallback: bool,
    request_bytes: Size,
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

/// How an attempt ended that is not the last.
#[derive(Clone, Copy, Debug, Default)]
pub struct Ended<'a> {
    /// Status of its answer; 0 without one.
    pub status: u16,
    /// The code of gRPC in the answer's head, which is all that an answer has that is tried again.
    pub grpc_status: Option<u16>,
    /// Why there was no answer.
    pub error: Option<&'a Error>,
}

/// What rules about access said.
#[derive(Debug)]
struct Denial {
    by: String,
    why: String,
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
    /// Opens a record. `edge` counts the request unless a rule's edge takes its place; `grpc`: it is a call of gRPC.
    pub fn begin<B: HttpBody>(
        telemetry: &Arc<Telemetry>,
        direction: Direction,
        service: &Arc<str>,
        edge: &Arc<Edge>,
        (request, grpc): (&Request<B>, bool),
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
            grpc,
            grpc_status: None,
            error: None,
            denial: None,
            story: Story::default(),
            attempts: 0,
            fallback: false,
            request_bytes: Size::of(request.body()),
            response_bytes: 0,
            open: true,
        }
    }

    /// Takes up the request's trace, or starts one.
    pub fn trace(&mut self, headers: &mut HeaderMap, sampling: f64) {
        if cfg!(feature = "unobserved") {
            return;
        }
        let kind = match self.direction {
            Direction::Outbound => SpanKind::Client,
            Direction::Inbound => SpanKind::Server,
        };
        let mut trace = self.telemetry.tracing.begin(kind, headers, sampling);
        if self.direction == Direction::Inbound && self.peer.identity.is_some() {
            trace.hear_route(headers);
        }
        self.trace = Some(trace);
        self.head.request_id = headers.get(REQUEST_ID).cloned();
    }

    /// Tells the receiver by which rule it gets the request, if it has a sidecar and both have a span of it. What an
    /// earlier attempt told another receiver is taken back.
    pub fn tell_route(&self, headers: &mut HeaderMap, is_peer: bool) {
        if !self.trace.as_ref().is_some_and(RequestTrace::is_sampled) {
            return;
        }
        match self.rule.as_ref().and_then(|rule| rule.told.as_ref()).filter(|_| is_peer) {
            Some(told) => headers.insert(ROUTE, told.clone()),
            None => headers.remove(ROUTE),
        };
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

    /// When the request came.
    #[must_use]
    pub fn started(&self) -> Instant {
        self.started
    }

    /// Counts the bytes of a body whose length nobody knows before its end.
    pub fn count(&mut self, body: &mut ClientBody) {
        if let Size::Unknown = self.request_bytes {
            self.request_bytes = Size::Counted(body.counted());
        }
    }

    /// How it got so far.
    pub fn story(&mut self) -> &mut Story {
        &mut self.story
    }

    /// One more attempt goes out at `now`.
    pub fn attempt(&mut self, now: Instant) {
        self.attempts += 1;
        self.story.begins(now);
    }

    /// By what whoever gets this answer can ask for the request: `x-request-id`, if the answer has none.
    pub fn name<B>(&self, response: &mut Response<B>) {
        if let (Some(id), false) =
            (&self.head.request_id, response.headers().contains_key(REQUEST_ID))
        {
            response.headers_mut().insert(REQUEST_ID, id.clone());
        }
    }

    /// An attempt ended so, and another may follow: its span ends now, and not with the pause between the two.
    pub fn over(&mut self, ended: &Ended<'_>) {
        let Some(mut trace) = self.trace.take() else { return };
        self.status = ended.status;
        (self.grpc_status, self.error) = (ended.grpc_status, ended.error.map(Error::token));
        trace.over(&self.end());
        (self.status, self.grpc_status, self.error) = (0, None, None);
        self.trace = Some(trace);
    }

    /// The attempt that ended so is followed by another, whose headers these are.
    pub fn retry(&mut self, ended: &Ended<'_>, headers: &mut HeaderMap) {
        self.story.tried(self.peer.address, ended.status, ended.error);
        if let Some(trace) = &mut self.trace {
            trace.retry(headers, self.attempts);
        }
    }

    /// The request ends here, with a response made by the proxy.
    pub fn answer(mut self, response: &Response<Body>, error: Option<&Error>) {
        self.status = response.status().as_u16();
        self.grpc_status = grpc_status(response.headers());
        self.error = error.map(Error::token);
        let denial = error.and_then(Error::denial);
        self.denial = denial.map(|(by, why)| Box::new(Denial { by: by.into(), why: why.into() }));
        if let Some(error) = error {
            self.story.failed(error);
        }
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
    pub fn carry(mut self, mut answer: Answer, deadline: Option<Instant>) -> Response<Body> {
        self.status = answer.response.status().as_u16();
        self.grpc_status = grpc_status(answer.response.headers());
        if self.status >= 400 || self.grpc_status.is_some_and(|code| code > 0) {
            // An application may write what it likes; a sidecar of ours is known by its certificate.
            if self.direction == Direction::Outbound && self.peer.identity.is_some() {
                self.story.note_report(answer.response.headers());
            }
            self.name(&mut answer.response);
        }
        let (parts, body) = answer.response.into_parts();
        if body.is_end_stream() {
            self.close();
            return Response::from_parts(parts, Body::Empty);
        }
        let grpc = deadline.is_some() && response::is_grpc(&parts.headers);
        let tracked = Tracked::new(body, answer.in_flight, self, deadline, grpc);
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
            grpc: self.grpc,
            grpc_status: self.grpc_status.or_else(|| self.own_code()),
            error: self.error,
            duration: self.started.elapsed(),
            attempts: self.attempts,
            connect: self.story.connect(),
            first_byte: self.story.answered().map(|at| at - self.started),
            fallback: self.fallback,
            http_route: self.rule.as_ref().and_then(|rule| rule.http_route.as_deref()),
            route: self.rule.as_ref().map_or("", |rule| &rule.origin),
            service: &self.service,
            peer_identity: self.peer.identity.as_ref().map_or("", SpiffeId::as_str),
            peer_address: self.peer.address,
            mtls: self.peer.identity.is_some(),
            request_bytes: self.request_bytes.bytes(),
            response_bytes: self.response_bytes,
            request_id: text_of(self.head.request_id.as_ref()),
            denial: self.denial.as_ref().map(|denial| (&*denial.by, &*denial.why)),
            started: self.started,
            story: Some(&self.story),
        }
    }

    /// How a call of gRPC ended whose server has not said so.
    fn own_code(&self) -> Option<u16> {
        match self.error {
            Some(Token::ResponseTimeout) if self.grpc => Some(DEADLINE_EXCEEDED),
            Some(Token::DownstreamClosed) if self.grpc => Some(CANCELLED),
            _ => None,
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

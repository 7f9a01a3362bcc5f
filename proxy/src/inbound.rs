//! From the mesh to the application: one `Inbound` per port of the workload and per worker.
//!
//! The life of a request: [`Inbound::handle_connection`] lets in what the port's mode allows
//! ([`door`] does the handshake), `handle_request` opens the record and turns failures into responses,
//! `forward` hands the request to the application. Who the peer is comes from its certificate, checked after
//! every handshake, and from nothing that it says.

mod allowed;
mod door;
mod early;
mod intercepted;
mod own;
mod probe;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::service::service_fn;
use tokio::io::AsyncReadExt as _;
use tokio::net::TcpStream;
use tokio::time::Instant;
use weft_certs::SpiffeId;

use crate::access::{self, Kind};
use crate::body::{Body, ClientBody};
use crate::cluster::Endpoint;
use crate::error::{Error, Replay, Token};
use crate::headers::{self, FAILURE, FORWARDED_CLIENT_CERT, Mark};
use crate::io::{Io, set_reset_on_close};
use crate::listener::{Carried, HttpLimits, Limits, serve};
use crate::record::{Answer, Peer, Record, grpc_status};
use crate::relay::{Relayed, refuse, relay};
use crate::retry::{Exhausted, Replayable};
use crate::state::State;
use crate::telemetry::metrics::{Direction, EdgeKey, is_server_fault};
use crate::telemetry::{ConnectionEnd, Telemetry};
use crate::upgrade::{self, Wish};
use crate::upstream::{Failure, Opened, Protocol, Sent, Upstream, Version};
use crate::{canonical, deadline, drain, response};

pub use door::Caller;
pub use intercepted::{Apps, Interceptor};
pub use own::Own;

/// The application is on this machine: it answers at once or is not there.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Bound: how often a request that the application refuses unread is sent again for a caller without a sidecar.
const RESENT: u32 = 2;

/// The receiving side of one port, on one worker.
#[derive(Debug)]
pub struct Inbound {
    /// The workload's port, as its peers know it.
    pub port: u16,
    /// `product-v1.shop`, shared with every record.
    pub workload: Arc<str>,
    /// The application behind the port.
    pub app: Arc<Endpoint>,
    /// The configuration in force.
    pub state: Arc<State>,
    /// Our certificate, and connections to the application.
    pub upstream: Upstream,
    /// Where records go.
    pub telemetry: Arc<Telemetry>,
    /// Calls of the application that were tried often enough.
    pub exhausted: Arc<Exhausted>,
    /// Of its callers' connections.
    pub limits: Limits,
}

impl Inbound {
    /// Serves one connection to its end, or refuses it.
    pub async fn handle_connection(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        watch: drain::Watch,
    ) {
        let admitted = tokio::select! {
            // Boxed, as what follows: a task is as large as its largest part, and a handshake is much larger than
            // what opaque bytes need for hours.
            admitted = Box::pin(self.admit(stream, client)) => admitted,
            () = watch.aborted() => return,
            () = self.limits.overload.hurried() => return,
        };
        match admitted {
            // Boxed: a task is as large as its largest part, and that is not the one for opaque bytes.
            Ok(caller) => match caller.carried {
                Carried::Opaque => Box::pin(self.proxy_tcp(caller, None, &watch)).await,
                Carried::Http(_) => Box::pin(self.serve_http(caller, watch)).await,
                Carried::Nothing => Box::pin(self.let_speak(caller, watch)).await,
            },
            Err(error) => self.refused(client, &error),
        }
    }

    fn refused(&self, client: SocketAddr, error: &Error) {
        // Who leaves of his own accord is refused nothing: a probe of the port does, every few seconds for ever.
        if error.token() == Token::DownstreamClosed {
            tracing::debug!(%client, port = self.port, %error, "inbound connection");
        } else {
            tracing::info!(%client, port = self.port, %error, "inbound connection refused");
        }
        self.count_refusal(error.token());
        self.telemetry.recent.refused(&self.workload, client, error);
    }

    fn count_refusal(&self, token: Token) {
        let edge = self.telemetry.metrics.edge(EdgeKey::unrouted(Direction::Inbound, ""));
        edge.connection_opened(false);
        edge.connection_closed(Some(token));
    }

    async fn serve_http(self: Arc<Self>, caller: Caller, watch: drain::Watch) {
        let Caller { io, who, until, carried } = caller;
        let Carried::Http(version) = carried else { return };
        self.enter(Kind::Http, &who, &watch);
        let scope = Arc::new((who, Arc::new(watch)));
        let service = service_fn(|request| {
            let (this, scope) = (Arc::clone(&self), Arc::clone(&scope));
            async move { this.handle_request(ClientBody::of(request), &scope.0, &scope.1).await }
        });
        let (who, watch) = (&scope.0, &scope.1);
        let limits = self.limits();
        if let Err(error) = serve(io, version, service, &limits, watch, until).await {
            tracing::debug!(client = %who.address, port = self.port, %error, "inbound connection");
        }
    }

    /// Of a new connection.
    fn limits(&self) -> HttpLimits {
        self.limits.of(self.state.inbound().map(|listener| listener.http).unwrap_or_default())
    }

    /// Answers one request; never fails.
    async fn handle_request(
        &self,
        mut request: Request<ClientBody>,
        who: &door::Who,
        watch: &Arc<drain::Watch>,
    ) -> Result<Response<Body>, Infallible> {
        let grpc = response::is_grpc(request.headers());
        let mut record = Record::begin(
            &self.telemetry,
            Direction::Inbound,
            &self.workload,
            &who.edge,
            (&request, grpc),
        );
        record.count(request.body_mut());
        record.peer(Peer { identity: who.identity.clone(), address: Some(who.address) });
        let route = headers::take_route(request.headers_mut());
        record.told(route.filter(|_| who.identity.is_some()));
        let sampling = self.sampling(&request, who);
        record.trace(request.headers_mut(), sampling);
        Ok(match self.forward(request, who, grpc, &mut record).await {
            Ok((mut answer, None)) => {
                self.mark_exhausted(&mut answer.response, who, &record);
                record.carry(answer, None)
            }
            Ok((answer, Some(wish))) => upgrade::switch(wish, answer, record, watch),
            Err(error) => {
                let denied = error.token() == Token::RequestDenied && who.identity.is_none();
                let mut response = match denied {
                    true => response::failed(&access::without_reason(), grpc, who.version),
                    false => response::failed(&error, grpc, who.version),
                };
                if let (Some(mark), Some(_)) = (mark(&error), &who.identity) {
                    response.headers_mut().insert(FAILURE, mark.to_value());
                }
                record.name(&mut response);
                record.answer(&response, Some(&error));
                response
            }
        })
    }

    /// Share of the traces begun here that are sampled. What the kubelet asks every few seconds begins none; a prober
    /// that brings a trace along is heard.
    fn sampling<B>(&self, request: &Request<B>, who: &door::Who) -> f64 {
        match self.state.inbound() {
            Some(listener) if !self.is_probe(request, who) => listener.tracing.sampling,
            _ => 0.0,
        }
    }

    /// A failure of the application that follows from calls which were tried often enough is not to be tried again.
    fn mark_exhausted<B>(&self, response: &mut Response<B>, who: &door::Who, record: &Record) {
        let failed = response.status().is_server_error()
            || grpc_status(response.headers()).is_some_and(is_server_fault);
        if failed && who.identity.is_some() && self.exhausted.knows(&record.trail(), Instant::now())
        {
            response.headers_mut().insert(FAILURE, Mark::Exhausted.to_value());
        }
    }

    /// Order: what the mesh vouches for is written after everything that the caller says of it is gone.
    async fn forward(
        &self,
        mut request: Request<ClientBody>,
        who: &door::Who,
        grpc: bool,
        record: &mut Record,
    ) -> Result<(Answer, Option<Wish>), Error> {
        // Who probes the workload must hear of it, or it is restarted for our lack of memory.
        if self.limits.overload.is_shedding() && !self.is_probe(&request, who) {
            self.limits.overload.admit()?;
        }
        canonical::canonicalise(&mut request, &self.workload)?;
        if let Some(probes) = &who.probes {
            probe::check(probes, &request)?;
        }
        self.authorize(&request, who, record.started())?;
        if grpc && deadline::asked(request.headers()) == Some(Duration::ZERO) {
            let message = "the call's time was over when it came";
            return Err(Error::unprocessed(Token::ResponseTimeout, message));
        }
        if let Some(limits) = self.state.rate_limits(self.port) {
            limits.admit(who.identity.as_ref(), request.headers(), Instant::now())?;
        }
        let wish = upgrade::take(&mut request)?;
        let version = who.version;
        let map = request.headers_mut();
        headers::remove_hop_by_hop(map);
        upgrade::ask(wish.as_ref(), map);
        headers::remove_trusted(map);
        if let Some(certificate) = &who.forwarded {
            map.insert(FORWARDED_CLIENT_CERT, certificate.clone());
        }
        let in_flight = self.app.begin();
        record.attempt(Instant::now());
        let sent = match (&who.identity, version) {
            (None, Version::Http2) => Box::pin(self.send_for_stranger(request)).await,
            // A sidecar is told what surely was not begun, and sends it again itself.
            (Some(_), _) | (None, Version::Http1) => {
                let request = request.map(Body::received);
                self.upstream.send(None, &self.app, version, CONNECT_TIMEOUT, request).await
            }
        };
        let Sent { mut response, written } =
            sent.map_err(|failure| self.unreachable(&failure.error))?;
        record.story().heard(Some(written), Instant::now());
        let wish = upgrade::granted(wish, &response)?;
        headers::take_mark(&mut response);
        headers::remove_hop_by_hop(response.headers_mut());
        Ok((Answer { response, written, in_flight }, wish))
    }

    /// Who calls in plaintext has no sidecar that would send again what the application refuses unread: a server of
    /// HTTP/2 may go away after any number of requests, and would tell the caller so if we were not between them.
    async fn send_for_stranger(&self, request: Request<ClientBody>) -> Result<Sent, Failure> {
        let (kept, mut next) = Replayable::new(request, None);
        let mut left = RESENT;
        loop {
            let sent =
                self.upstream.send(None, &self.app, Version::Http2, CONNECT_TIMEOUT, next).await;
            let refused = sent.as_ref().err().is_some_and(|failure| {
                (failure.error.token(), failure.error.replay())
                    == (Token::RequestRefused, Replay::Safe)
            });
            if !refused || left == 0 || !kept.is_possible() {
                return sent;
            }
            left -= 1;
            next = kept.again();
        }
    }

    async fn dial(&self) -> Result<Opened, Error> {
        self.upstream.open(&self.app, Protocol::Tcp, CONNECT_TIMEOUT).await
    }

    fn unreachable(&self, error: &Error) -> Error {
        match error.replay() {
            Replay::Safe => Error::unprocessed(
                Token::ApplicationUnreachable,
                format!("application of {}: {error}", self.workload),
            ),
            Replay::IfIdempotent | Replay::Never => {
                Error::new(error.token(), format!("application of {}: {error}", self.workload))
            }
        }
    }

    /// `app`: the application, if it has been dialled already.
    async fn proxy_tcp(&self, caller: Caller, app: Option<Opened>, watch: &drain::Watch) {
        self.enter(Kind::Opaque, &caller.who, watch);
        caller.who.notes.connection(Instant::now());
        if let Err(error) = self.authorize_opaque(&caller.who) {
            refuse(&caller.io);
            return self.refused(caller.who.address, &error);
        }
        let Caller { mut io, who, .. } = caller;
        io.read_ahead();
        let started = Instant::now();
        // Order: until bytes can pass, an end would tell the caller that there are none.
        refuse(&io);
        who.edge.connection_opened(who.identity.is_some());
        let app = match app {
            Some(app) => Ok(app),
            None => Box::pin(self.dial()).await,
        };
        let relayed = match app {
            Ok(app) if self.may_only_connect(&who) => wait(&mut io, app, watch).await,
            Ok(mut app) => relay(&mut io, &mut app.io, watch, &who.edge).await,
            Err(error) => {
                tracing::warn!(client = %who.address, port = self.port, %error, "opaque connection");
                Relayed { sent: 0, received: 0, error: Some(Token::ApplicationUnreachable) }
            }
        };
        let end = ConnectionEnd {
            direction: Direction::Inbound,
            service: &self.workload,
            route: "",
            peer_identity: who.identity.as_ref().map_or("", SpiffeId::as_str),
            peer_address: Some(who.address),
            mtls: who.identity.is_some(),
            sent: relayed.sent,
            received: relayed.received,
            duration: started.elapsed(),
            error: relayed.error,
            denial: None,
        };
        self.telemetry.finish_connection(&end, &who.edge);
    }
}

/// Until the caller leaves, or the application does. Whatever he says ends it.
async fn wait(io: &mut Io, mut app: Opened, watch: &drain::Watch) -> Relayed {
    let (mut from_caller, mut from_app) = ([0], [0]);
    let ended = tokio::select! {
        read = io.read(&mut from_caller) => match read {
            Ok(0) => None,
            Ok(_) => Some(Token::TlsProtocolError),
            Err(_) => Some(Token::ConnectionTerminated),
        },
        _ = app.io.read(&mut from_app) => Some(Token::ConnectionTerminated),
        () = watch.aborted() => Some(Token::ConnectionTerminated),
    };
    set_reset_on_close(io.socket(), ended.is_some());
    Relayed { sent: 0, received: 0, error: ended }
}

/// What the calling sidecar is told of a failure between us and the application.
fn mark(error: &Error) -> Option<Mark> {
    match (error.token(), error.replay()) {
        (Token::ApplicationUnreachable | Token::MemoryLimitReached, _) => Some(Mark::Unprocessed),
        (Token::ConnectionTerminated | Token::RequestRefused, Replay::Safe) => {
            Some(Mark::Unprocessed)
        }
        (Token::ConnectionTerminated | Token::KeepAliveRace | Token::RequestRefused, _) => {
            Some(Mark::Broken)
        }
        _ => None,
    }
}

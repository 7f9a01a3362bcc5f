//! From the application into the mesh: one `Outbound` per Service port that it calls and per worker.
//!
//! The life of a request, top down: [`Outbound::handle_connection`] tells HTTP from opaque bytes,
//! [`Outbound::handle_request`] opens the request's record and turns every failure into a response,
//! `route` decides on ONE snapshot, `forward` does it, [`crate::retry::send`] repeats what may be repeated,
//! [`Outbound::attempt`] chooses an endpoint and sends. Nothing here knows how a connection is made
//! (`upstream`) or where the configuration comes from (`xds`).

mod affinity;
mod attempt;
mod early;
mod intercepted;
mod mirror;
mod observe;
mod pass_through;
mod shape;
mod tcp;
mod unknown;

use std::convert::Infallible;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http::{Request, Response};
use hyper::service::service_fn;
use tokio::net::TcpStream;
use tokio::time::Instant;
use weft_proto::names;
use weft_proto::origin::Origin;

use crate::body::{Body, ClientBody};
use crate::cluster::{self, Cluster};
use crate::error::{Error, Token};
use crate::io::Io;
use crate::listener::{Carried, HttpLimits, Limits, carried, detect, serve};
use crate::model::{Action, AppProtocol, Fallback, RetryPolicy, RouteTable, Rule};
use crate::random::Random;
use crate::record::{Answer, Record};
use crate::retry::{Exhausted, Sent};
use crate::router::Matched;
use crate::state::{Target, TargetConfig};
use crate::telemetry::Telemetry;
use crate::telemetry::metrics::Direction;
use crate::upgrade::{self, Wish};
use crate::upstream::{Upstream, Version};
use crate::{canonical, deadline, drain, headers, response, retry, router};

pub use attempt::Attempt;
pub use intercepted::Interceptor;
pub use mirror::Mirrors;
pub(crate) use pass_through::PASSTHROUGH;

use affinity::Session;
use shape::{finish, location, prepare, view};

/// Who sends within this time speaks first: nothing is opened on its behalf until it is known what it says.
const AT_ONCE: Duration = Duration::from_millis(1);

/// Which limit of time is over: the request's own, or that of an attempt.
const REQUEST_TIMEOUT: &str = "request_timeout";
const TRY_TIMEOUT: &str = "per_try_timeout";

/// The calling side of one Service port, on one worker.
#[derive(Debug)]
pub struct Outbound {
    /// The Service port.
    pub target: Arc<Target>,
    /// Its name, shared with every record.
    pub service: Arc<str>,
    /// The endpoint that the application dialled by its own address.
    pub only: Option<SocketAddr>,
    /// The way to endpoints.
    pub upstream: Upstream,
    /// Where records go.
    pub telemetry: Arc<Telemetry>,
    /// The worker's randomness.
    pub random: Arc<Random>,
    /// Requests that were tried often enough.
    pub exhausted: Arc<Exhausted>,
    /// Of the application's connections.
    pub limits: Limits,
    /// Copies under way.
    pub mirrors: Arc<Mirrors>,
}

/// What a request has become once routed: where it goes and under which rules.
#[derive(Debug)]
pub struct Hop<'c> {
    /// Destination.
    pub cluster: &'c Arc<Cluster>,
    /// Retries.
    pub retry: &'c RetryPolicy,
    /// Version, kept between the sidecars.
    pub version: Version,
    /// When nobody waits for an answer any more.
    pub deadline: Option<Instant>,
    /// The endpoint that its session belongs to.
    pub session: Option<SocketAddr>,
    /// Its key, if the destination's balancer goes by keys.
    pub hash: Option<u64>,
    /// Is it a gRPC call?
    pub grpc: bool,
}

/// The rule that a request has met.
struct Routed<'c> {
    table: &'c RouteTable,
    matched: Matched<'c>,
    /// What the client asks for besides.
    wish: Option<Wish>,
}

/// A routed request's answer.
enum Reply {
    /// From the other side.
    Proxied(Answer, Option<Instant>),
    /// From the other side, which goes on with another protocol.
    Switched(Answer, Wish),
    /// Made here, because the route says so.
    Local(Response<Body>),
    /// Made here, because nothing can serve and the policy has an answer for that.
    Fallback(Response<Body>, Error),
}

impl Outbound {
    /// Serves one connection of the application to its end.
    pub async fn handle_connection(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        watch: drain::Watch,
    ) {
        let _connected = self.target.connected();
        let carried = tokio::select! {
            carried = self.carried(&stream) => carried,
            () = watch.draining() => return,
            () = self.limits.overload.hurried() => return,
        };
        match carried {
            // Boxed: a task is as large as its largest part, and that is not the one for opaque bytes.
            Ok(Carried::Http(version)) => {
                Box::pin(self.serve_http(stream, client, version, watch)).await;
            }
            Ok(Carried::Opaque) => Box::pin(self.proxy_tcp(stream, client, &watch)).await,
            Ok(Carried::Nothing) => Box::pin(self.let_speak(stream, client, watch)).await,
            Err(error) => tracing::debug!(%client, %error, "outbound connection"),
        }
    }

    /// By declaration, else by the client's first bytes, which most clients have sent by now.
    async fn carried(&self, stream: &TcpStream) -> std::io::Result<Carried> {
        match self.target.config().await.map(|config| config.listener.protocol) {
            Some(AppProtocol::Tcp) => Ok(Carried::Opaque),
            Some(AppProtocol::Detect) => {
                let patience = if self.target.is_server_first() { Duration::ZERO } else { AT_ONCE };
                Ok(detect(stream, patience).await?.carried().unwrap_or(Carried::Nothing))
            }
            Some(AppProtocol::Http) | None => carried(stream).await,
        }
    }

    async fn serve_http(
        self: Arc<Self>,
        stream: TcpStream,
        client: SocketAddr,
        version: Version,
        watch: drain::Watch,
    ) {
        let io = Io::Plain(stream);
        let scope = Arc::new((Arc::clone(&self), Arc::new(watch)));
        let service = service_fn(|request| {
            let scope = Arc::clone(&scope);
            async move {
                scope.0.handle_request(ClientBody::of(request), client, version, &scope.1).await
            }
        });
        let limits = self.limits();
        if let Err(error) = serve(io, version, service, &limits, &scope.1, None).await {
            tracing::debug!(%client, %error, service = %self.service, "outbound connection");
        }
    }

    /// Of a new connection.
    fn limits(&self) -> HttpLimits {
        self.limits.of(self.target.load().map(|config| config.listener.http).unwrap_or_default())
    }

    /// Answers one request; never fails.
    ///
    /// # Errors
    /// None: a failure becomes a response.
    pub async fn handle_request(
        &self,
        mut request: Request<ClientBody>,
        client: SocketAddr,
        version: Version,
        watch: &Arc<drain::Watch>,
    ) -> Result<Response<Body>, Infallible> {
        let grpc = response::is_grpc(request.headers());
        // The one snapshot of this request.
        let config = self.target.config().await;
        let Some(config) = config.as_deref() else {
            return Ok(self.unknown(request, grpc, version));
        };
        let mut record = Record::begin(
            &self.telemetry,
            Direction::Outbound,
            &self.service,
            &config.unrouted,
            (&request, grpc),
        );
        record.count(request.body_mut());
        headers::remove_trusted(request.headers_mut());
        let routed = self.route(config, &mut request);
        // The more specific counts: the route, the workload, the mesh.
        let own = || self.telemetry.tracing.sampling().unwrap_or(config.listener.tracing.sampling);
        let sampling = routed.as_ref().ok().and_then(|routed| routed.matched.rule.sampling);
        record.trace(request.headers_mut(), sampling.unwrap_or_else(own));
        let sent = match routed {
            Ok(routed) => {
                let from = (client, version, grpc);
                self.forward(config, routed, request, from, &mut record).await
            }
            Err(error) => Err(error),
        };
        Ok(match sent {
            Ok(Reply::Proxied(answer, deadline)) => record.carry(answer, deadline),
            Ok(Reply::Switched(answer, wish)) => upgrade::switch(wish, answer, record, watch),
            Ok(Reply::Local(response)) => {
                record.answer(&response, None);
                response
            }
            Ok(Reply::Fallback(response, error)) => {
                record.fall_back();
                answered(response, &error, record)
            }
            Err(error) => answered(response::failed(&error, grpc, version), &error, record),
        })
    }

    /// Decides; changes nothing but the request's form.
    fn route<'c>(
        &self,
        config: &'c TargetConfig,
        request: &mut Request<ClientBody>,
    ) -> Result<Routed<'c>, Error> {
        self.limits.overload.admit()?;
        canonical::canonicalise(request, &self.service)?;
        let wish = upgrade::take(request)?;
        let (table, matched) = find(config, request)?;
        Ok(Routed { table, matched, wish })
    }

    async fn forward(
        &self,
        config: &TargetConfig,
        routed: Routed<'_>,
        mut request: Request<ClientBody>,
        (client, version, grpc): (SocketAddr, Version, bool),
        record: &mut Record,
    ) -> Result<Reply, Error> {
        let Routed { table, matched, wish } = routed;
        let handles = config.rule(matched.at);
        record.matched(handles);
        let (index, split) = match &matched.rule.action {
            Action::Respond(status) => {
                return Ok(Reply::Local(response::bare(*status, grpc)));
            }
            Action::Redirect(redirect) => {
                let location = location(redirect, matched.rule, &request);
                return Ok(Reply::Local(response::redirect(redirect.status, &location)?));
            }
            action @ Action::Forward(_) => router::split(action, &self.random)
                .ok_or_else(|| invalid(matched.rule, "all weights are zero"))?,
        };
        record.backend(&handles.splits[index]);
        let cluster = config.clusters[split.cluster]
            .as_ref()
            .ok_or_else(|| missing(matched.rule, &table.clusters[split.cluster]))?;
        record.story().towards(cluster);
        let limit = limit(matched.rule, grpc, &request);
        if limit == Some(Duration::ZERO) {
            return Err(too_late(matched.rule, limit));
        }
        let deadline = limit.map(|limit| Instant::now() + limit);
        let session = Session::of(config.listener.affinity.as_ref(), &request);
        prepare(&mut request, matched.rule, split)?;
        // Order: after the rule's changes, as in Envoy.
        let hash = cluster::hash(cluster.hash_policies(), Some(request.headers()), client);
        let hop = Hop {
            cluster,
            retry: &matched.rule.retry,
            version,
            deadline,
            session: session.and_then(|session| session.wanted),
            hash,
            grpc,
        };
        // Order: a copy asks for no upgrade.
        let tee = self.mirror(config, matched, version, &request);
        upgrade::ask(wish.as_ref(), request.headers_mut());
        // Pinned: the future is held once, however it is awaited.
        let sent = pin!(retry::send(self, &hop, request, tee, record));
        let sent = match deadline {
            None => sent.await,
            Some(deadline) => tokio::time::timeout_at(deadline, sent).await.unwrap_or_else(|_| {
                Sent { result: Err(too_late(matched.rule, limit)), unseen: false }
            }),
        };
        if let (true, false, Some(fallback)) = (sent.unseen, grpc, &table.fallback) {
            return Ok(fall_back(fallback, sent, &cluster.spec.origin));
        }
        let mut answer = sent.result.map_err(|error| error.caused_by(&cluster.spec.origin))?;
        finish(&mut answer.response, matched.rule, split);
        affinity::keep(session, &mut answer);
        Ok(Reply::of(upgrade::granted(wish, &answer.response)?, answer, deadline))
    }
}

impl Reply {
    fn of(granted: Option<Wish>, answer: Answer, deadline: Option<Instant>) -> Self {
        match granted {
            Some(wish) => Self::Switched(answer, wish),
            None => Self::Proxied(answer, deadline),
        }
    }
}

/// Ends the record with an answer that is made here, and names the request to whoever gets it.
fn answered(mut response: Response<Body>, error: &Error, record: Record) -> Response<Body> {
    record.name(&mut response);
    record.answer(&response, Some(error));
    response
}

/// The rule that a request meets, and its table.
fn find<'c>(
    config: &'c TargetConfig,
    request: &Request<ClientBody>,
) -> Result<(&'c RouteTable, Matched<'c>), Error> {
    let table = config
        .routes
        .as_deref()
        .ok_or_else(|| Error::new(Token::RouteNotFound, "this port is declared as opaque TCP"))?;
    let matched = router::route(table, &view(request, &canonical::host(request)));
    let matched = matched.ok_or_else(|| {
        Error::new(Token::RouteNotFound, "no rule of the routes on this port matches")
            .caused_by(&config.listener.origin)
    })?;
    Ok((table, matched))
}

fn invalid(rule: &Rule, message: &str) -> Error {
    Error::new(Token::BackendInvalid, message).caused_by(&rule.origin)
}

/// A backend that the control plane calls invalid costs its share of the traffic (Gateway API: 500); one that it
/// names but does not know is merely not there.
fn missing(rule: &Rule, cluster: &str) -> Error {
    if cluster.starts_with(names::INVALID_CLUSTER) {
        return invalid(rule, "the backend does not exist or may not be used");
    }
    Error::new(Token::DestinationUnavailable, format!("nothing is known of {cluster}"))
        .caused_by(&rule.origin)
}

/// How long the request may take: the shorter of what the route and a gRPC client say.
fn limit(rule: &Rule, grpc: bool, request: &Request<ClientBody>) -> Option<Duration> {
    let asked = (grpc && rule.grpc_timeout).then(|| deadline::asked(request.headers())).flatten();
    match (rule.timeout, asked) {
        (Some(timeout), Some(asked)) => Some(timeout.min(asked)),
        (timeout, asked) => timeout.or(asked),
    }
}

/// The policy's answer to a request that surely no application saw. A gRPC client gets its error instead: the answer
/// is none of gRPC's.
fn fall_back(fallback: &Fallback, sent: Sent, origin: &Origin) -> Reply {
    let error = sent.result.err().unwrap_or_else(|| {
        let message = "the other sidecar cannot reach its application";
        Error::unprocessed(Token::ApplicationUnreachable, message)
    });
    let error = error.caused_by(origin);
    Reply::Fallback(response::fallback(fallback, &error), error)
}

fn too_late(rule: &Rule, limit: Option<Duration>) -> Error {
    let message = format!("no response within {:?}", limit.unwrap_or_default());
    Error::new(Token::ResponseTimeout, message).caused_by(&rule.origin).because(REQUEST_TIMEOUT)
}

#[cfg(test)]
mod tests;

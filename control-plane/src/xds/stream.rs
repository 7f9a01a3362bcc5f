//! The task of one ADS stream: requests in, responses out, one proxy long.
//!
//! It sleeps until the proxy says something, the cache has something new, or something has waited long
//! enough; then it sends whatever [`Session`] says may be sent. It never holds the cache's lock over an
//! `.await`, and at most one response waits in its queue.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio::time::{Instant, timeout};
use tonic::{Status, Streaming};
use weft_proto::envoy::discovery::DeltaDiscoveryRequest;

use super::node::{authorize, user_agent};
use super::registry::{Connection, SharedSession};
use super::session::{Outgoing, Session};
use super::subscription::{Behind, Change};
use super::{Cache, Limits, Registry};
use crate::peer::AuthenticatedPeer;
use crate::translate::{Node, ResourceType};

/// How long a stream may stay without its first request.
const FIRST_REQUEST: Duration = Duration::from_secs(30);

/// What all streams share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) cache: Arc<Cache>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) limits: Limits,
}

/// One stream before its first request.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) shared: Arc<Shared>,
    pub(crate) peer: AuthenticatedPeer,
    pub(crate) requests: Streaming<DeltaDiscoveryRequest>,
    pub(crate) responses: mpsc::Sender<Outgoing>,
}

impl Stream {
    /// Serves until the client has enough (`OK`) or something ends the stream.
    pub(crate) async fn run(mut self) -> Status {
        let served = match self.open().await {
            Ok(None) => Ok(()),
            Ok(Some((open, first))) => open.serve(first).await,
            Err(status) => Err(status),
        };
        served.map_or_else(|status| *status, |()| Status::ok(""))
    }

    /// Waits for something to serve and for the first request, and sees whose it is.
    async fn open(&mut self) -> Result<Option<(Open<'_>, DeltaDiscoveryRequest)>, Box<Status>> {
        let mut generation = self.shared.cache.watch();
        generation.wait_for(|generation| *generation > 0).await.map_err(|_| stopping())?;
        let first = timeout(FIRST_REQUEST, self.requests.message()).await;
        let late = || Box::new(Status::deadline_exceeded("no request came on the stream"));
        let Some(first) = first.map_err(|_| late())?? else { return Ok(None) };
        let Some(claimed) = &first.node else {
            return Err(invalid("the first request of a stream must name its node"));
        };
        let node = authorize(&claimed.id, &self.peer, &self.shared.cache.read())?;
        let Node { workload, identity } = node;
        let version = user_agent(claimed);
        tracing::info!(node = claimed.id, peer = %self.peer.id, version, "proxy connected");
        let limits = &self.shared.limits;
        let session = Session::new(workload.clone(), limits.order_timeout, limits.response_bytes);
        let session = Arc::new(Mutex::new(session));
        let registry = &self.shared.registry;
        let open = Open {
            id: claimed.id.clone(),
            session: session.clone(),
            connection: registry.connect(workload, identity, version, session),
            stream: self,
        };
        Ok(Some((open, first)))
    }
}

/// One stream of a known proxy.
struct Open<'a> {
    stream: &'a mut Stream,
    id: String,
    session: SharedSession,
    connection: Connection,
}

impl Open<'_> {
    async fn serve(mut self, first: DeltaDiscoveryRequest) -> Result<(), Box<Status>> {
        let mut generation = self.stream.shared.cache.watch();
        self.take_in(first)?;
        loop {
            generation.mark_unchanged();
            self.send_all().await?;
            let deadline = self.session().deadline(Instant::now());
            tokio::select! {
                request = self.stream.requests.message() => match request? {
                    Some(request) => self.take_in(request)?,
                    None => return Ok(()),
                },
                changed = generation.changed() => changed.map_err(|_| stopping())?,
                () = sleep_until(deadline) => {}
                () = self.connection.displaced() => {
                    let reason = "newer streams of the same workload have taken its place";
                    return Err(Box::new(Status::aborted(reason)));
                }
            }
        }
    }

    fn session(&self) -> MutexGuard<'_, Session> {
        self.session.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends all that may be sent at this moment.
    async fn send_all(&mut self) -> Result<(), Box<Status>> {
        while let Some(outgoing) = self.next()? {
            let Outgoing { kind, generation, .. } = outgoing;
            self.connection.sent(kind, generation);
            let sending = self.stream.responses.send(outgoing);
            match timeout(self.stream.shared.limits.send_timeout, sending).await {
                Ok(Ok(())) => {}
                Ok(Err(_)) => return Err(Box::new(Status::cancelled("the client is gone"))),
                Err(_) => {
                    return Err(Box::new(Status::deadline_exceeded(
                        "the client does not read its responses",
                    )));
                }
            }
        }
        Ok(())
    }

    /// The decision under the lock: is this still who it was, and what is next?
    fn next(&mut self) -> Result<Option<Outgoing>, Box<Status>> {
        let state = self.stream.shared.cache.read();
        authorize(&self.id, &self.stream.peer, &state)?;
        self.session().next(&state, Instant::now()).map_err(|Behind| {
            Box::new(Status::unavailable("the stream is too far behind; reconnect to catch up"))
        })
    }

    fn take_in(&mut self, request: DeltaDiscoveryRequest) -> Result<(), Box<Status>> {
        let Some(kind) = ResourceType::from_type_url(&request.type_url) else {
            let url = super::clip(&request.type_url, 128);
            return Err(invalid(&format!("resources of type {url:?} are not served")));
        };
        self.check_bounds(&request)?;
        if !request.response_nonce.is_empty() {
            let error = request.error_detail.as_ref().map(|error| error.message.as_str());
            self.acknowledge(kind, &request.response_nonce, error);
        }
        let change = Change {
            subscribe: request.resource_names_subscribe,
            unsubscribe: request.resource_names_unsubscribe,
            initial_versions: request.initial_resource_versions,
        };
        let state = self.stream.shared.cache.read();
        let mut session = self.session();
        if !session.started(kind) || !change.is_empty() {
            session.change(kind, &change, &state);
        }
        Ok(())
    }

    fn check_bounds(&self, request: &DeltaDiscoveryRequest) -> Result<(), Box<Status>> {
        let Limits { names, name_bytes, .. } = self.stream.shared.limits;
        let new = &request.resource_names_subscribe;
        if self.session().names() + new.len() > names {
            let reason = format!("a stream may subscribe to {names} names");
            return Err(Box::new(Status::resource_exhausted(reason)));
        }
        if new.iter().any(|name| name.len() > name_bytes) {
            return Err(invalid(&format!("a name may have {name_bytes} bytes")));
        }
        Ok(())
    }

    fn acknowledge(&mut self, kind: ResourceType, nonce: &str, error: Option<&str>) {
        let Some(generation) = self.session().acknowledge(kind, nonce, error) else {
            tracing::debug!(node = self.id, nonce, "acknowledgement of nothing in flight");
            return;
        };
        match error {
            None => self.connection.acked(kind, generation),
            Some(reason) => {
                let kind_name = kind.plural();
                tracing::warn!(node = self.id, kind = kind_name, generation, reason, "refused");
                self.connection.rejected(kind, generation, reason);
            }
        }
    }
}

impl Drop for Open<'_> {
    fn drop(&mut self) {
        tracing::info!(node = self.id, "proxy disconnected");
    }
}

async fn sleep_until(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline).await,
        None => std::future::pending().await,
    }
}

fn invalid(reason: &str) -> Box<Status> {
    Box::new(Status::invalid_argument(reason))
}

/// The control plane goes away; the proxy keeps what it has and reconnects.
pub(crate) fn stopping() -> Box<Status> {
    Box::new(Status::unavailable("the control plane is stopping"))
}

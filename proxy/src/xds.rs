//! The xDS client: what the control plane says becomes [`Change`]s of the proxy's own model.
//!
//! `stream` talks delta ADS, `subscription` knows who owes whom an answer, `decode` turns Envoy's types into
//! the model, `graph` decides what is wanted and when a change takes force, `addresses` takes those of the whole mesh
//! past it, `restore` begins with the last good configuration. Runs on the control thread; only [`Change`]s leave it. It must never let one bad resource
//! hold up another, nor forget the last good one.

mod addresses;
mod change;
mod decode;
#[cfg(test)]
pub(crate) mod fixture;
mod graph;
mod response;
mod restore;
mod stream;
mod subscription;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use weft_certs::{Denial, TrustBundle};
use weft_proto::envoy::core::{Node, node::UserAgentVersionType};
use weft_proto::names;

pub use change::{Change, Kind, KindState, SyncState, Update};

use crate::bootstrap::Bootstrap;
use crate::control_channel::{Backoff, ControlPlane, random_unit};
use crate::denied::Denials;
use crate::identity::Credentials;
use crate::store::Store;
use decode::{Context, Key, Payload};
use graph::{Graph, Step};
use stream::Stream;
use subscription::Subscription;

/// First wait after a failure, and the longest.
const FIRST_RETRY: Duration = Duration::from_millis(100);
const LAST_RETRY: Duration = Duration::from_secs(15);
/// The longest of a proxy that has no configuration at all: its workload waits for it, and may not be known to the
/// control plane for a moment yet.
const LAST_RETRY_UNCONFIGURED: Duration = Duration::from_secs(2);
/// The longest while the control plane says that this workload is denied: it is to be of use again soon after.
const RETRY_DENIED: Duration = Duration::from_secs(2);
/// How long a resource waits for others, and a name for an answer. Servers answer at once; Envoy waits 15 s.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
const TICK: Duration = Duration::from_secs(1);
/// Bound: names asked for at run time and not yet taken note of.
const MAX_DEMAND: usize = 256;

/// What the client needs from the rest of the proxy.
#[derive(Debug)]
pub struct Options {
    /// Outbound listeners wanted from the start: `product.shop:8080`.
    pub upstreams: Vec<String>,
    /// Outbound listeners that may be asked for later. Those that the last good configuration has are wanted from the
    /// start too: they were in use.
    pub on_demand: Vec<String>,
    /// The application's connections are intercepted: where each of them goes is looked up in all addresses of the
    /// mesh, and any outbound listener may be asked for later.
    pub intercepts: bool,
    /// The way to the control plane.
    pub control_plane: ControlPlane,
    /// From `identity`; nothing is asked for while there are none.
    pub credentials: watch::Receiver<Option<Arc<Credentials>>>,
    /// Last good configuration.
    pub store: Arc<Store>,
    /// To `identity`.
    pub trust_bundle: watch::Sender<Option<TrustBundle>>,
    /// Is told if the control plane says that this workload itself is denied.
    pub denials: Arc<Denials>,
}

/// Names asked for while running.
#[derive(Clone, Debug)]
pub enum Demand {
    /// From now on.
    Want(Kind, String),
    /// No longer.
    Drop(Kind, String),
}

/// The client's face to the rest of the proxy.
#[derive(Clone, Debug)]
pub struct Handle {
    /// Its standing.
    pub sync: watch::Receiver<SyncState>,
    /// Names wanted besides those from the start.
    pub demand: mpsc::Sender<Demand>,
}

/// The client; see the module.
pub struct Client {
    options: Options,
    context: Context,
    subscription: Subscription,
    graph: Graph,
    /// What the server last sent of these was refused. Bound: names that are wanted.
    rejected: BTreeMap<Key, String>,
    /// Listeners are asked for when they are used.
    on_demand: bool,
    state: SyncState,
    published: watch::Sender<SyncState>,
    demand: mpsc::Receiver<Demand>,
    apply: Box<dyn Fn(Update) + Send>,
}

impl Client {
    /// Takes the last good configuration into force, before anybody is asked: `apply` has been called when
    /// this returns, if there is one. `apply` is called on the thread that runs the client and must not block.
    #[must_use]
    pub fn new(
        bootstrap: &Bootstrap,
        options: Options,
        apply: Box<dyn Fn(Update) + Send>,
    ) -> (Self, Handle) {
        let workload = bootstrap.workload.as_str();
        let (name, namespace) = names::parse_workload(workload).unwrap_or((workload, ""));
        let inbound_listener = names::inbound_listener(name, namespace);
        let mut graph = Graph::default();
        graph.add_root((Kind::Listener, inbound_listener.clone()));
        graph.add_root((Kind::Secret, names::TRUST_BUNDLE_SECRET.to_owned()));
        graph.add_root((Kind::DenyList, names::DENY_LIST.to_owned()));
        for name in &options.upstreams {
            graph.add_root((Kind::Listener, name.clone()));
        }
        let mut options = options;
        let asked_later = std::mem::take(&mut options.on_demand);
        let on_demand = options.intercepts || !asked_later.is_empty();
        let mut subscription = Subscription::new(node(workload));
        if on_demand {
            let stored = options.store.resource_names(Kind::Listener).into_iter();
            let in_use = stored.filter(|name| options.intercepts || asked_later.contains(name));
            let own = inbound_listener.as_str();
            let in_use = in_use.filter(|name| name != own);
            in_use.for_each(|name| graph.add_root((Kind::Listener, name)));
        }
        if options.intercepts {
            subscription.want_all(Kind::Addresses);
        }
        let (published, sync) = watch::channel(SyncState::default());
        let (demand, asked) = mpsc::channel(MAX_DEMAND);
        let trust_domain = bootstrap.identity.trust_domain().clone();
        let mut client = Self {
            options,
            context: Context { trust_domain, inbound_listener },
            subscription,
            graph,
            rejected: BTreeMap::new(),
            on_demand,
            state: SyncState::default(),
            published,
            demand: asked,
            apply,
        };
        client.restore();
        (client, Handle { sync, demand })
    }

    /// Connects, listens, connects again, for ever.
    pub async fn run(mut self) {
        let longest = if self.state.stale { LAST_RETRY } else { LAST_RETRY_UNCONFIGURED };
        let mut backoff = Backoff::new(FIRST_RETRY, longest);
        loop {
            let credentials = self.wait_for_credentials().await;
            let error = self.session(&credentials, &mut backoff).await;
            self.disconnected(error);
            let wait = match self.options.denials.own() {
                Some(_) => backoff.next(random_unit()).min(RETRY_DENIED),
                None => backoff.next(random_unit()),
            };
            tokio::select! {
                () = tokio::time::sleep(wait) => {}
                // A new certificate says that the control plane is there again.
                Ok(()) = self.options.credentials.changed() => backoff.reset(),
            }
        }
    }

    fn disconnected(&mut self, error: String) {
        // The same line each time of a long outage would drown the others.
        if self.state.last_error.as_ref() == Some(&error) {
            tracing::debug!(error, "still no configuration from the control plane");
        } else {
            tracing::warn!(error, "no configuration from the control plane");
        }
        if std::mem::take(&mut self.state.connected) {
            self.state.left = Some(SystemTime::now());
        }
        self.state.last_error = Some(error);
        self.publish();
    }

    async fn wait_for_credentials(&mut self) -> Arc<Credentials> {
        loop {
            if let Some(credentials) = &*self.options.credentials.borrow_and_update() {
                return Arc::clone(credentials);
            }
            if self.options.credentials.changed().await.is_err() {
                // The proxy is going down; nobody will ever have credentials.
                std::future::pending::<()>().await;
            }
        }
    }

    /// One stream from its opening to its end; returns why it ended.
    async fn session(&mut self, credentials: &Credentials, backoff: &mut Backoff) -> String {
        let channel = match self.options.control_plane.channel(Some(credentials)).await {
            Ok(channel) => channel,
            Err(error) => return error.to_string(),
        };
        self.reconnect();
        let mut stream = match Stream::open(channel, &mut self.subscription).await {
            Ok(stream) => stream,
            Err(status) => return self.ended(&status, credentials),
        };
        let mut tick = tokio::time::interval(TICK);
        loop {
            tokio::select! {
                response = stream.next(&mut self.subscription) => match response {
                    Ok(response) => {
                        *backoff = Backoff::new(FIRST_RETRY, LAST_RETRY);
                        self.options.denials.welcomed();
                        if !std::mem::replace(&mut self.state.connected, true) {
                            self.state.last_error = None;
                        }
                        if let Err(error) = self.take_response(response) {
                            return error;
                        }
                    }
                    Err(status) => return self.ended(&status, credentials),
                },
                Some(demand) = self.demand.recv() => self.take_demand(demand),
                _ = tick.tick() => self.give_up_waiting(),
            }
        }
    }

    /// Whoever is denied is sent nothing any more, the list that says so included: he is told when his stream ends.
    fn ended(&self, status: &tonic::Status, credentials: &Credentials) -> String {
        let leaf = &credentials.leaf;
        let told = (status.code() == tonic::Code::PermissionDenied).then(|| status.message());
        let told = told.and_then(|text| text.strip_prefix(names::DENIED));
        if let Some(denial) = told.and_then(|t| Denial::parse(t, leaf.id(), leaf.serial())) {
            self.options.denials.noticed(leaf.serial(), denial);
        }
        status_text(status)
    }

    fn reconnect(&mut self) {
        let now = Instant::now();
        // What was refused of everything and is there still is sent again.
        self.rejected.retain(|(kind, _), _| !self.subscription.wants_all(*kind));
        self.graph.restart_waits(now);
        if self.graph.take_reshaped() {
            self.subscription.want(&self.graph.wanted(), now);
        }
        self.subscription.connected(now);
    }

    fn take_demand(&mut self, demand: Demand) {
        match demand {
            Demand::Want(kind, name) => self.graph.add_root((kind, name)),
            Demand::Drop(kind, name) => self.graph.remove_root(&(kind, name)),
        }
        let steps = self.graph.settle();
        self.make(steps);
    }

    /// A server that owes an answer for too long is taken to have none.
    fn give_up_waiting(&mut self) {
        let Some(since) = Instant::now().checked_sub(ANSWER_LIMIT) else { return };
        for (kind, name) in self.subscription.unanswered_since(since) {
            // What is in force from the last time stays: silence does not contradict it.
            if !self.graph.is_in_force(&(kind, name.clone())) {
                tracing::warn!(kind = kind.message(), name, "the control plane does not answer");
                self.subscription.removed(kind, &name);
                self.graph.remove((kind, name), since);
            }
        }
        let steps = self.graph.release(since);
        self.make(steps);
    }

    /// Carries out what the graph decided: store, data path, identity, subscriptions, in this order.
    fn make(&mut self, steps: Vec<Step>) {
        let mut changes = Vec::new();
        for step in steps {
            match step {
                Step::Enter((kind, name), Payload::Change(change), raw) => {
                    self.options.store.save_resource(kind, &name, &raw);
                    changes.push(*change);
                }
                Step::Enter(_, Payload::TrustBundle(bundle), _) => {
                    self.options.trust_bundle.send_replace(Some(bundle));
                }
                // A mesh without roots trusts nobody, and a list that is gone says nothing of those on it: both are
                // replaced, never removed.
                Step::Leave((Kind::Secret | Kind::DenyList, _)) => {}
                Step::Leave((kind, name)) => {
                    self.options.store.remove_resource(kind, &name);
                    changes.push(Change::Removed(kind, name));
                }
            }
        }
        if !changes.is_empty() {
            (self.apply)(Update { changes });
        }
        if self.graph.take_reshaped() {
            let wanted = self.graph.wanted();
            let of_all = |kind| self.subscription.wants_all(kind);
            self.rejected.retain(|key, _| wanted.contains(key) || of_all(key.0));
            self.subscription.want(&wanted, Instant::now());
        }
        self.publish();
    }

    fn publish(&mut self) {
        if self.state.connected && self.subscription.is_answered() && self.graph.is_settled() {
            self.state.synced = true;
            self.state.stale = false;
        }
        for kind in Kind::ALL {
            let of_kind = &mut self.state.kinds[kind as usize];
            let standing = self.rejected.iter().filter(|(key, _)| key.0 == kind);
            of_kind.rejection = standing.map(|(_, text)| text.clone()).next_back();
            of_kind.wanted = self.subscription.wanted(kind);
            let in_force = self.graph.in_force().filter(|key| key.0 == kind).count();
            of_kind.in_force = in_force + self.subscription.held(kind).count();
        }
        self.published.send_if_modified(|published| {
            let changed = *published != self.state;
            if changed {
                published.clone_from(&self.state);
            }
            changed
        });
    }
}

impl std::fmt::Debug for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Client").field("state", &self.state).finish_non_exhaustive()
    }
}

fn node(workload: &str) -> Node {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    Node {
        id: workload.to_owned(),
        user_agent_name: "weft-proxy".to_owned(),
        user_agent_version_type: Some(UserAgentVersionType::UserAgentVersion(version)),
        ..Node::default()
    }
}

fn status_text(status: &tonic::Status) -> String {
    format!("{:?}: {}", status.code(), status.message())
}

/// For fuzzing: is the resource decoded, or why not?
#[cfg(any(test, fuzzing))]
pub(crate) fn decodes(kind: Kind, any: &weft_proto::google::Any) -> Result<(), String> {
    let trust_domain = "demo.local".parse().map_err(|_| "no trust domain")?;
    let context = Context { trust_domain, inbound_listener: "product.shop:8080".into() };
    let name = match kind {
        Kind::Secret => "weft:trust-bundle",
        Kind::DenyList => names::DENY_LIST,
        _ => "product.shop:8080",
    };
    let decoded = decode::decode(kind, name, any, &context);
    decoded.map(drop).map_err(|reject| reject.to_string())
}

#[cfg(test)]
mod tests;

//! One proxy's client and its control plane.

use std::sync::Arc;

use tempfile::TempDir;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use weft_certs::TrustBundle;
use weft_proto::names::DENY_LIST;

use super::{BUNDLE, IDENTITY, word};
use crate::control_channel::ControlPlane;
use crate::control_channel::fixture::{Conversation, FakeControlPlane, within};
use crate::denied::Denials;
use crate::identity::Credentials;
use crate::store::Store;
use crate::xds::fixture::{
    INBOUND, PRODUCT, cluster, endpoint, endpoints, http_listener, inbound, resource, route,
    routes, trust_bundle,
};
use crate::xds::{Client, Handle, Kind, Options, SyncState};

pub(super) struct Scene {
    pub(super) fake: FakeControlPlane,
    pub(super) handle: Handle,
    pub(super) credentials: watch::Sender<Option<Arc<Credentials>>>,
    pub(super) bundle: watch::Receiver<Option<TrustBundle>>,
    pub(super) denials: Arc<Denials>,
    updates: mpsc::UnboundedReceiver<Vec<String>>,
    task: JoinHandle<()>,
    directory: TempDir,
}

impl Scene {
    /// A proxy whose applications call `product.shop:8080`.
    pub(super) fn start(fake: FakeControlPlane) -> Self {
        let scene = Self::start_without_credentials(fake);
        scene.credentials.send_replace(Some(scene.fake.credentials()));
        scene
    }

    pub(super) fn start_without_credentials(fake: FakeControlPlane) -> Self {
        Self::start_on(fake, tempfile::tempdir().unwrap())
    }

    /// With the state that a proxy before it left.
    pub(super) fn start_on(fake: FakeControlPlane, directory: TempDir) -> Self {
        let bootstrap = fake.bootstrap();
        let (credentials, own) = watch::channel(None);
        let (trust_bundle, bundle) = watch::channel(None);
        let denials = Arc::<Denials>::default();
        let options = Options {
            upstreams: vec![PRODUCT.to_owned()],
            on_demand: Vec::new(),
            intercepts: false,
            control_plane: ControlPlane::new(&bootstrap),
            credentials: own,
            store: Arc::new(Store::open(directory.path()).unwrap()),
            trust_bundle,
            denials: Arc::clone(&denials),
        };
        let (applied, updates) = mpsc::unbounded_channel();
        let apply = move |update: crate::xds::Update| {
            let _ = applied.send(update.changes.iter().map(word).collect());
        };
        let (client, handle) = Client::new(&bootstrap, options, Box::new(apply));
        let task = tokio::spawn(client.run());
        Self { fake, handle, credentials, bundle, denials, updates, task, directory }
    }

    /// The proxy dies; its state and the control plane stay.
    pub(super) async fn stop(self) -> (FakeControlPlane, TempDir) {
        self.task.abort();
        let _ = self.task.await;
        (self.fake, self.directory)
    }

    /// What was applied and not looked at yet, as one list.
    pub(super) fn applied(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.updates.try_recv().ok()).flatten().collect()
    }

    pub(super) async fn next_applied(&mut self) -> Vec<String> {
        within("an update", self.updates.recv()).await.unwrap()
    }

    pub(super) fn sync(&self) -> SyncState {
        self.handle.sync.borrow().clone()
    }

    pub(super) async fn until(
        &mut self,
        what: &str,
        good: impl Fn(&SyncState) -> bool,
    ) -> SyncState {
        within(what, self.handle.sync.wait_for(good)).await.unwrap().clone()
    }
}

/// Answers everything that is asked for: listener → routes → cluster `a` → one endpoint, an inbound listener
/// without ports and the trust bundle, all in version 1. Returns when all of it was applied.
pub(super) async fn serve_product(scene: &mut Scene) -> Conversation {
    let mut stream = scene.fake.next_stream().await;
    // There is none: one that says so is as good as an empty one.
    stream.say(Kind::DenyList, vec![], &[DENY_LIST]).await;
    let roots = scene.fake.bundle().to_pem();
    stream.say(Kind::Secret, vec![resource(BUNDLE, "1", &trust_bundle(roots))], &[]).await;
    let listeners =
        vec![resource(PRODUCT, "1", &http_listener()), resource(INBOUND, "1", &inbound(vec![]))];
    stream.say(Kind::Listener, listeners, &[]).await;
    stream.hear_wish(Kind::Routes, PRODUCT).await;
    stream.say(Kind::Routes, vec![resource(PRODUCT, "1", &routes(vec![route("a")]))], &[]).await;
    stream.hear_wish(Kind::Cluster, "a").await;
    stream.say(Kind::Cluster, vec![resource("a", "1", &cluster("a"))], &[]).await;
    stream.hear_wish(Kind::Endpoints, "a").await;
    let one = endpoints("a", vec![endpoint("10.0.0.1", IDENTITY)]);
    let nonce = stream.say(Kind::Endpoints, vec![resource("a", "1", &one)], &[]).await;
    stream.hear_reply(&nonce).await;
    scene.until("sync", |sync| sync.synced).await;
    scene.applied();
    stream
}

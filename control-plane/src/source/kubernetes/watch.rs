//! What to watch, and the tasks that do: one for each kind, each with its own place in the API server's history.
//!
//! A watch that breaks goes on where it was; only an API server that has forgotten that place is listed anew (kube's
//! `watcher`, with back-off and jitter, so that an API server that comes back is not stormed). Kinds whose definition
//! is not installed are watched once it is.

use std::collections::BTreeMap;
use std::fmt::Debug;

use futures_util::{Stream, StreamExt};
use k8s_openapi::api::core::v1::{Node, Pod};
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::api::{Api, ApiResource, DynamicObject, GroupVersionKind, PartialObjectMeta};
use kube::runtime::WatchStreamExt;
use kube::runtime::watcher::{self, Event};
use kube::{Client, ResourceExt};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::model::{Key, Locality};
use crate::outage::{Outage, Pace};
use crate::source::object::Kind;

use super::pod::forget_conditions;

/// Bound: changes that were seen and not taken up; a watch waits beyond that.
const QUEUE: usize = 1024;
/// Objects in one page of a list.
const PAGE: u32 = 500;
const REGION: &str = "topology.kubernetes.io/region";
const ZONE: &str = "topology.kubernetes.io/zone";

/// Of a kind; only its name is of interest.
type Definition = PartialObjectMeta<CustomResourceDefinition>;

/// What is watched.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) enum Watched {
    /// A kind that users write.
    Written(Kind),
    Pods,
    Slices,
    Nodes,
    /// Which kinds there are.
    Definitions,
}

/// One thing that a watch has to tell.
#[derive(Debug)]
pub(super) enum Change {
    /// An object came or changed.
    Applied(Watched, Key, Applied),
    /// An object went.
    Deleted(Watched, Key),
    /// From here on all objects of the kind are told anew …
    Restarted(Watched),
    /// … and now they have been.
    Complete(Watched),
    /// The API server does not know the kind, not yet or for the moment. That says nothing of objects: whether a kind is
    /// there its definition says.
    NotServed(Watched),
}

impl Change {
    /// Whose watch tells it.
    pub(super) fn of(&self) -> Watched {
        match self {
            Self::Applied(what, ..) | Self::Deleted(what, _) => *what,
            Self::Restarted(what) | Self::Complete(what) | Self::NotServed(what) => *what,
        }
    }
}

/// The object.
#[derive(Debug)]
pub(super) enum Applied {
    Written(serde_json::Value),
    Pod(Box<Pod>),
    Slice(Box<EndpointSlice>),
    Place(Locality),
    Definition,
}

/// Starts and stops watches. Dropping it ends all of them.
pub(super) struct Watches {
    client: Client,
    changes: mpsc::Sender<Change>,
    running: BTreeMap<Watched, JoinHandle<()>>,
}

/// The kinds that come with definitions, by the definition's name.
const DEFINED: [(&str, Kind, &str); 8] = [
    ("httproutes.gateway.networking.k8s.io", Kind::HttpRoute, "httproutes"),
    ("grpcroutes.gateway.networking.k8s.io", Kind::GrpcRoute, "grpcroutes"),
    ("trafficpolicies.weft.dev", Kind::TrafficPolicy, "trafficpolicies"),
    ("accesspolicies.weft.dev", Kind::AccessPolicy, "accesspolicies"),
    ("inboundpolicies.weft.dev", Kind::InboundPolicy, "inboundpolicies"),
    ("telemetrypolicies.weft.dev", Kind::TelemetryPolicy, "telemetrypolicies"),
    ("meshworkloads.weft.dev", Kind::MeshWorkload, "meshworkloads"),
    ("meshconfigs.weft.dev", Kind::MeshConfig, "meshconfigs"),
];

/// The kind that a definition of this name defines.
pub(super) fn defined_by(definition: &str) -> Option<Kind> {
    DEFINED.iter().find(|(name, ..)| *name == definition).map(|(_, kind, _)| *kind)
}

impl Watches {
    /// Watches what every cluster has. The rest follows when its definitions are known.
    pub(super) fn start(client: Client) -> (Self, mpsc::Receiver<Change>) {
        let (changes, received) = mpsc::channel(QUEUE);
        let mut watches = Self { client, changes, running: BTreeMap::new() };
        watches.watch(Watched::Definitions);
        watches.watch(Watched::Written(Kind::Service));
        watches.watch(Watched::Pods);
        watches.watch(Watched::Slices);
        watches.watch(Watched::Nodes);
        (watches, received)
    }

    /// Begins to watch; nothing if it is watched already.
    pub(super) fn watch(&mut self, what: Watched) {
        if self.running.get(&what).is_some_and(|task| !task.is_finished()) {
            return;
        }
        let (client, out) = (self.client.clone(), self.changes.clone());
        let task = match what {
            Watched::Written(kind) => {
                let Some(resource) = resource(kind) else { return };
                let api = Api::<DynamicObject>::all_with(client, &resource);
                let applied =
                    |object: DynamicObject| serde_json::to_value(object).ok().map(Applied::Written);
                tokio::spawn(follow(what, watcher::watcher(api, config()), applied, out))
            }
            Watched::Pods => {
                let stream =
                    watcher::watcher(Api::<Pod>::all(client), config()).modify(forget_unused);
                tokio::spawn(follow(what, stream, |pod| Some(Applied::Pod(Box::new(pod))), out))
            }
            Watched::Slices => {
                let stream = watcher::watcher(Api::<EndpointSlice>::all(client), config());
                tokio::spawn(follow(
                    what,
                    stream,
                    |slice| Some(Applied::Slice(Box::new(slice))),
                    out,
                ))
            }
            Watched::Nodes => {
                let stream =
                    watcher::watcher(Api::<PartialObjectMeta<Node>>::all(client), config());
                let applied = |node: PartialObjectMeta<Node>| Some(Applied::Place(place(&node)));
                tokio::spawn(follow(what, stream, applied, out))
            }
            Watched::Definitions => {
                let stream = watcher::watcher(Api::<Definition>::all(client), config());
                tokio::spawn(follow(what, stream, |_| Some(Applied::Definition), out))
            }
        };
        self.running.insert(what, task);
    }

    /// Ends a watch.
    pub(super) fn stop(&mut self, what: Watched) {
        if let Some(task) = self.running.remove(&what) {
            task.abort();
        }
    }
}

impl Debug for Watches {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watches").field("running", &self.running.keys()).finish_non_exhaustive()
    }
}

impl Drop for Watches {
    fn drop(&mut self) {
        self.running.values().for_each(JoinHandle::abort);
    }
}

fn config() -> watcher::Config {
    watcher::Config::default().page_size(PAGE)
}

fn resource(kind: Kind) -> Option<ApiResource> {
    let plural = match kind {
        Kind::Service => "services",
        Kind::Pod | Kind::EndpointSlice => return None,
        _ => DEFINED.iter().find(|(_, defined, _)| *defined == kind)?.2,
    };
    let (group, version) = kind.api_version().split_once('/').unwrap_or(("", kind.api_version()));
    let kind = GroupVersionKind::gvk(group, version, kind.name());
    Some(ApiResource::from_gvk_with_plural(&kind, plural))
}

/// What the mesh never looks at, and what is most of a pod.
fn forget_unused(pod: &mut Pod) {
    pod.metadata.managed_fields = None;
    forget_conditions(pod);
    let Some(spec) = &mut pod.spec else { return };
    spec.volumes = None;
    for container in spec.containers.iter_mut().chain(spec.init_containers.iter_mut().flatten()) {
        container.env = None;
        container.env_from = None;
        container.volume_mounts = None;
        container.args = None;
        container.command = None;
    }
    if let Some(status) = &mut pod.status {
        status.container_statuses = None;
        status.init_container_statuses = None;
    }
}

fn place(node: &PartialObjectMeta<Node>) -> Locality {
    let label = |name: &str| node.labels().get(name).cloned().unwrap_or_default();
    Locality { region: label(REGION), zone: label(ZONE), sub_zone: String::new() }
}

/// Hands on what a stream tells, for ever.
async fn follow<K, S>(
    what: Watched,
    stream: S,
    applied: impl Fn(K) -> Option<Applied>,
    out: mpsc::Sender<Change>,
) where
    K: ResourceExt + Debug + DeserializeOwned,
    S: Stream<Item = Result<Event<K>, watcher::Error>>,
{
    let mut stream = Box::pin(stream.backoff(Pace::default()));
    let mut outage = Outage::default();
    while let Some(event) = stream.next().await {
        let begins = outage.begins(&event);
        let change = match event {
            Ok(Event::Init) => Some(Change::Restarted(what)),
            Ok(Event::InitDone) => Some(Change::Complete(what)),
            Ok(Event::Apply(object) | Event::InitApply(object)) => {
                let key = key_of(&object);
                applied(object).map(|object| Change::Applied(what, key, object))
            }
            Ok(Event::Delete(object)) => Some(Change::Deleted(what, key_of(&object))),
            Err(error) if is_not_served(&error) => Some(Change::NotServed(what)),
            Err(error) => {
                if begins {
                    tracing::warn!(?what, %error, "the watch is interrupted");
                }
                continue;
            }
        };
        let Some(change) = change else { continue };
        if out.send(change).await.is_err() {
            return;
        }
    }
}

/// There is no such kind: not yet, or no longer.
fn is_not_served(error: &watcher::Error) -> bool {
    let (watcher::Error::InitialListFailed(error) | watcher::Error::WatchStartFailed(error)) =
        error
    else {
        return false;
    };
    matches!(error, kube::Error::Api(status) if status.code == 404)
}

/// Namespace and name; no namespace where the kind has none.
fn key_of(object: &impl ResourceExt) -> Key {
    Key::new(object.namespace().unwrap_or_default(), object.name_any())
}

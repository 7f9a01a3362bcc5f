//! `weft.telemetry.v1`: what the sidecars measured, taken in, kept for a while, and summed up.
//!
//! Reading order: `tally` (what is counted), `edge` (over time), `store` (of everything, with its bounds),
//! `decode` (from the wire), [`stat`] (for people). This file is the service: it believes a reporter only
//! about the workloads that have its identity. What in a report has a consequence: that a workload is
//! about to go ([`Draining`]), its callers then choose others; and which roots it has to do with, it may be asked to renew.
//! What a workload's callers asked for lately, and which requests failed or were slow, is reported only when it is asked for (`ask`); requests as they end only while somebody
//! watches (`taps`).

mod ask;
mod broken;
mod decode;
mod edge;
mod stat;
mod store;
mod tally;
mod taps;

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};
use weft_proto::names;
use weft_proto::telemetry::telemetry_server::{Telemetry, TelemetryServer};
use weft_proto::telemetry::{
    AskRequests, OpenTap, ReportAck, ReportRequest, RequestRecord, TapControl, TapEvents,
};

pub(crate) use self::ask::Seen;
use self::ask::{Asks, Part};
pub(crate) use self::broken::BrokenWorkload;
pub(crate) use self::edge::WINDOW_MAX;
pub(crate) use self::stat::Stat;
use self::store::Store;
pub(crate) use self::store::{ProxyState, Window};
pub(crate) use self::taps::{Shown, Tap};
use self::taps::{Taps, Watcher};
use crate::ca::CertificateAuthority;
use crate::clock::Clock;
use crate::model::{Key, Mesh};
use crate::peer::{self, AuthenticatedPeer};

// Bound: the report of a proxy with 2,000 edges, all of them changed, is about 600 KiB.
const MAX_REPORT: usize = 2 * 1024 * 1024;
/// A sidecar that opens a tap says at once which.
const FIRST_WORD: Duration = Duration::from_secs(10);
// Bound: acknowledgements that a reporter has not read yet; further reports wait.
const MAX_ACKS: usize = 4;

/// The workloads whose sidecars last said that they are draining. Bound: workloads of the mesh.
pub(crate) type Draining = Arc<BTreeSet<Key>>;

/// Store and service in one; cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct TelemetryService {
    store: Arc<Mutex<Store>>,
    mesh: watch::Receiver<Arc<Mesh>>,
    draining: Arc<watch::Sender<Draining>>,
    stopping: watch::Receiver<bool>,
    /// Knows which certificates are to be renewed.
    ca: Option<Arc<CertificateAuthority>>,
    asks: Arc<Asks>,
    taps: Arc<Taps>,
    clock: Clock,
}

impl TelemetryService {
    /// Nothing reported yet. `mesh` says which workload has which identity, `draining` is told who leaves; streams
    /// end once `stopping` is true or its sender is gone.
    pub(crate) fn new(
        mesh: watch::Receiver<Arc<Mesh>>,
        draining: watch::Sender<Draining>,
        stopping: watch::Receiver<bool>,
        clock: Clock,
    ) -> Self {
        let store = Arc::new(Mutex::new(Store::new(clock.unix())));
        let (draining, asks, taps) = (Arc::new(draining), Arc::default(), Arc::default());
        Self { store, mesh, draining, stopping, ca: None, asks, taps, clock }
    }

    /// The same, that asks sidecars to renew whose certificate `ca` wants to be another.
    pub(crate) fn renewing(self, ca: Arc<CertificateAuthority>) -> Self {
        Self { ca: Some(ca), ..self }
    }

    /// For the server's routes.
    pub(crate) fn into_server(self) -> TelemetryServer<Self> {
        TelemetryServer::new(self).max_decoding_message_size(MAX_REPORT)
    }

    /// The sums over `window` under the names that the mesh has now.
    pub(crate) fn stat(&self, window: Window) -> Stat {
        let mesh = self.mesh.borrow().clone();
        let now = self.clock.unix();
        let store = self.store();
        let seconds = store.covered(window, now);
        stat::stat(store.tallies(window, now), &mesh, seconds)
    }

    /// What a proxy last said of itself; `workload` as in `product-v1.shop`.
    pub(crate) fn proxy(&self, workload: &str) -> Option<ProxyState> {
        self.store().proxy(workload).cloned()
    }

    /// What every proxy last said of itself, and when that was, in seconds before now.
    pub(crate) fn proxies(&self) -> Vec<(Arc<str>, ProxyState, u64)> {
        let now = self.clock.unix();
        let store = self.store();
        let ago = |state: &ProxyState| now.saturating_sub(state.reported);
        store.proxies().map(|(name, state)| (name.clone(), state.clone(), ago(state))).collect()
    }

    /// Workloads that break traces.
    pub(crate) fn broken_traces(&self) -> Vec<BrokenWorkload> {
        let mesh = self.mesh.borrow().clone();
        let now = self.clock.unix();
        let store = self.store();
        broken::list(store.proxies().map(|(name, state)| (&**name, state)), &mesh, now)
    }

    /// Asks the sidecar of a workload what its callers asked for in the last so many seconds.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn ask(
        &self,
        workload: &str,
        seconds: u32,
        until: Instant,
    ) -> Result<Seen, &'static str> {
        self.asks.ask(workload, seconds, until).await
    }

    /// Asks the sidecar of a workload which requests failed or were slow; of those, what `wanted` says.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn ask_requests(
        &self,
        workload: &str,
        wanted: AskRequests,
        until: Instant,
    ) -> Result<Vec<RequestRecord>, &'static str> {
        self.asks.ask_requests(workload, wanted, until).await
    }

    /// The workloads whose sidecars can be asked here.
    pub(crate) fn connected(&self) -> Vec<Arc<str>> {
        self.asks.connected()
    }

    /// Somebody watches requests.
    pub(crate) fn open_tap(&self) -> Tap {
        self.taps.open()
    }

    /// The streams of reports that are open, by workload, each with its number.
    pub(crate) fn streams(&self) -> HashMap<Arc<str>, u64> {
        self.asks.streams()
    }

    /// Invites the sidecar of a workload to a tap; false if it is not there.
    pub(crate) async fn invite(&self, workload: &str, tap: OpenTap) -> bool {
        let invitation = ReportAck { tap: Some(tap), ..ReportAck::default() };
        self.asks.tell(workload, invitation).await
    }

    /// Edges held, and increments dropped at a bound since the start.
    pub(crate) fn size(&self) -> (usize, u64) {
        self.store().size()
    }

    fn record(&self, peer: &AuthenticatedPeer, report: ReportRequest) -> Result<ReportAck, Status> {
        self.check(peer, &report.workload)?;
        let access = report.access.map(Part::Access);
        for part in access.into_iter().chain(report.requests.map(Part::Requests)) {
            self.asks.deliver(&report.workload, part);
        }
        let now = self.clock.unix();
        let reporter: Arc<str> = report.workload.into();
        // Decoded before the lock is taken.
        let sent = report.edges.len();
        let edges: Vec<_> =
            report.edges.into_iter().filter_map(|delta| decode::edge(&reporter, delta)).collect();
        let mut store = self.store();
        store.drop_malformed((sent - edges.len()) as u64);
        for (key, increment) in edges {
            store.record(key, increment, now);
        }
        let Some(state) = report.proxy else { return Ok(ReportAck::default()) };
        let broken = report.broken_traces.map(decode::broken);
        let state = ProxyState { broken, ..decode::proxy(state, now) };
        let (draining, ca) = (state.draining, self.ca.as_ref());
        let renew = ca.is_some_and(|ca| ca.wants_renewal(&state.leaf_root, &state.roots));
        store.set_proxy(Arc::clone(&reporter), state);
        drop(store);
        self.drains(&reporter, draining);
        Ok(ReportAck { renew, ..ReportAck::default() })
    }

    /// A sidecar that is gone after its drain stays among them until another one reports for its workload.
    fn drains(&self, reporter: &str, draining: bool) {
        let Some((name, namespace)) = names::parse_workload(reporter) else { return };
        let key = Key::new(namespace, name);
        let mesh = self.mesh.borrow().clone();
        self.draining.send_if_modified(|known| {
            if known.contains(&key) == draining {
                return false;
            }
            let known = Arc::make_mut(known);
            known.retain(|other| mesh.workloads.contains_key(other));
            if draining { known.insert(key) } else { known.remove(&key) }
        });
    }

    /// Looked at for each report: the workload may go while the stream is open.
    fn check(&self, peer: &AuthenticatedPeer, workload: &str) -> Result<(), Status> {
        self.admit(peer)?;
        let mesh = self.mesh.borrow();
        let peer = &peer.id;
        let found = names::parse_workload(workload)
            .and_then(|(name, namespace)| mesh.workloads.get(&Key::new(namespace, name)));
        match found.map(|workload| workload.identity(&mesh.config.trust_domain)) {
            Some(identity) if identity == peer.as_str() => Ok(()),
            Some(identity) => Err(Status::permission_denied(format!(
                "the report is of {workload}, whose identity is {identity}, but the peer is {peer}"
            ))),
            None => Err(Status::permission_denied(format!("no MeshWorkload {workload} exists"))),
        }
    }

    /// Whoever is denied reports nothing.
    fn admit(&self, peer: &AuthenticatedPeer) -> Result<(), Status> {
        let denial = self.mesh.borrow().denial(&peer.id, Some(&peer.serial));
        denial.map_or(Ok(()), |denial| Err(peer::denied(&denial)))
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes reports until the stream ends, one is refused, or the control plane stops. Back-pressure: a
    /// report is read only when the acknowledgement of an earlier one found room.
    async fn take(
        self,
        peer: AuthenticatedPeer,
        mut reports: Streaming<ReportRequest>,
        acks: mpsc::Sender<Result<ReportAck, Status>>,
    ) {
        let (mut stopping, mut mesh) = (self.stopping.clone(), self.mesh.clone());
        let mut seat = None;
        loop {
            let report = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                changed = mesh.changed() => {
                    match self.admit(&peer) {
                        Ok(()) if changed.is_ok() => continue,
                        Ok(()) => return,
                        Err(denied) => {
                            // Whoever does not read it is gone the same.
                            let _ = acks.try_send(Err(denied));
                            return;
                        }
                    }
                }
                report = reports.message() => report,
            };
            let Ok(Some(report)) = report else { return };
            let workload = report.workload.clone();
            let recorded = self.record(&peer, report);
            let refused = recorded.is_err();
            let gone = acks.send(recorded).await.is_err();
            if refused || gone {
                return;
            }
            // Order: who may not report for a workload is not asked for it either.
            seat.get_or_insert_with(|| self.asks.enter(&workload, &acks));
        }
    }
}

impl TelemetryService {
    /// Hands on what a sidecar shows, until either side has enough or the control plane stops. `_control`: its end ends
    /// the stream.
    async fn hand_on(
        self,
        (peer, workload): (AuthenticatedPeer, Arc<str>),
        watcher: Watcher,
        mut events: Streaming<TapEvents>,
        _control: mpsc::Sender<Result<TapControl, Status>>,
    ) {
        let (mut stopping, mut mesh) = (self.stopping.clone(), self.mesh.clone());
        loop {
            let shown = tokio::select! {
                _ = stopping.wait_for(|stopping| *stopping) => return,
                changed = mesh.changed() => {
                    // Whoever is denied, or serves another workload now, shows nothing more.
                    if changed.is_err() || self.check(&peer, &workload).is_err() {
                        return;
                    }
                    continue;
                }
                () = watcher.gone() => return,
                shown = events.message() => shown,
            };
            let Ok(Some(shown)) = shown else { return };
            watcher.show(&workload, shown);
        }
    }
}

#[tonic::async_trait]
impl Telemetry for TelemetryService {
    type TapStream = ReceiverStream<Result<TapControl, Status>>;

    async fn tap(
        &self,
        request: Request<Streaming<TapEvents>>,
    ) -> Result<Response<Self::TapStream>, Status> {
        let peer = AuthenticatedPeer::require(request.extensions())?;
        self.admit(&peer)?;
        let mut events = request.into_inner();
        let first = tokio::time::timeout(FIRST_WORD, events.message()).await;
        let first =
            first.map_err(|_| Status::deadline_exceeded("no word of which tap it is"))??;
        let number = first.map_or(0, |first| first.id);
        let (workload, watcher) =
            self.taps.invited(number).ok_or_else(|| Status::not_found("nobody watches"))?;
        self.check(&peer, &workload)?;
        let (control, stream) = mpsc::channel(1);
        tokio::spawn(self.clone().hand_on((peer, workload), watcher, events, control));
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    type ReportStream = ReceiverStream<Result<ReportAck, Status>>;

    async fn report(
        &self,
        request: Request<Streaming<ReportRequest>>,
    ) -> Result<Response<Self::ReportStream>, Status> {
        let peer = AuthenticatedPeer::require(request.extensions())?;
        self.admit(&peer)?;
        let (acks, stream) = mpsc::channel(MAX_ACKS);
        // Ends with the stream: reading fails when the connection goes, sending when the answer is dropped.
        tokio::spawn(self.clone().take(peer, request.into_inner(), acks));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

//! The mesh's roots while they change: who believes which, and the steps of a rotation, each taken only when everybody is
//! ready for it.
//!
//! ```text
//! xDS streams, reports ─► sidecars (pure) ─┐
//! other replicas ───────► exchange ────────┴► guard (pure) ─► ca: one step, kept as a whole
//! ```
//! Asked by the admin socket for `weft trust`; steps on by itself only where an issuer from outside brings another root
//! ([`Trust::follow`]). The state of a rotation is the CA's and lies where the CA lies: whoever is interrupted goes on
//! from there.

mod exchange;
mod guard;
mod service;
mod sidecars;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use tokio::sync::{Mutex, watch};
use weft_certs::{Change, Root, RootState};
use weft_proto::names;

use self::guard::Scene;
pub(crate) use self::guard::{Obstacle, Step};
pub(crate) use self::service::TrustService;
use self::sidecars::{Known, Said, Sidecar};
use crate::ca::{CertificateAuthority, IssuerView, StoreError};
use crate::clock::Clock;
use crate::model::Mesh;
use crate::status::Replicas;
use crate::telemetry::TelemetryService;
use crate::xds::Registry;

/// How old a sidecar's word may be when it has changed: replicas look twice, this far apart, so that no word is from before
/// the last of them took up the step before.
const AGAIN: Duration = Duration::from_secs(2);
/// How often it is looked whether a root from outside can issue.
const LOOK: Duration = Duration::from_secs(2);

/// What is known here, without asking anybody.
#[derive(Clone, Debug)]
pub(crate) struct Own {
    pub(crate) ca: Arc<CertificateAuthority>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) telemetry: TelemetryService,
    pub(crate) clock: Clock,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Trust {
    own: Own,
    mesh: watch::Receiver<Arc<Mesh>>,
    issuer: watch::Receiver<IssuerView>,
    /// The other replicas, in a cluster.
    replicas: Option<Mutex<Replicas>>,
}

/// How everything stands.
#[derive(Debug)]
pub(crate) struct Look {
    pub(crate) roots: Arc<[Root]>,
    pub(crate) next: Step,
    /// Who is in the way of it.
    pub(crate) obstacles: Vec<Obstacle>,
    /// By root: sidecars that believe it, and those whose certificate leads to it.
    pub(crate) counts: BTreeMap<String, (usize, usize)>,
    /// Sidecars that there should be, and of them those connected.
    pub(crate) known: usize,
    pub(crate) connected: usize,
    pub(crate) issuer: IssuerView,
}

/// How everything stands as far as this replica knows.
#[derive(Debug)]
pub(crate) struct Here {
    pub(crate) next: Step,
    pub(crate) roots: Vec<RootHere>,
    /// Sidecars that are connected, and have said which roots they have to do with.
    pub(crate) sidecars: usize,
}

/// Of them, those that have to do with one root.
#[derive(Debug)]
pub(crate) struct RootHere {
    pub(crate) root: Root,
    pub(crate) believe: usize,
    /// Their certificate leads to it.
    pub(crate) used: usize,
}

/// Why a step was not taken.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StepError {
    /// Somebody is not ready.
    #[error("{}", refused(*.0, .1))]
    NotReady(Step, Vec<Obstacle>),
    /// Somebody else makes the roots.
    #[error(
        "the root comes from {0}: change it there, and it is staged and issues by itself; without that a root of Weft's own \
         is staged"
    )]
    Issuer(String),
    /// The CA cannot be changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Own {
    /// What this replica knows.
    pub(crate) fn known(&self) -> Known {
        let mut sidecars: BTreeMap<String, Sidecar> = BTreeMap::new();
        let now = self.clock.now();
        for proxy in self.registry.list().into_iter().filter(|proxy| proxy.connected) {
            let workload = names::workload(&proxy.workload.name, &proxy.workload.namespace);
            // Whole seconds, as reports have them.
            let open =
                crate::clock::unix(now).saturating_sub(crate::clock::unix(proxy.connected_since));
            let known = sidecars.entry(workload).or_default();
            known.connected = Some(known.connected.map_or(open, |before| before.min(open)));
        }
        // A sidecar of an earlier version says nothing of roots.
        let said = self.telemetry.proxies().into_iter();
        for (workload, state, ago) in said.filter(|(_, state, _)| !state.roots.is_empty()) {
            let roots = state.roots.into_iter().collect();
            let said = Said { ago, leaf_root: state.leaf_root, roots };
            sidecars.entry(workload.to_string()).or_default().said = Some(said);
        }
        Known {
            issuing: self.ca.issuing_root(),
            believed: self.ca.bundle().fingerprints().into_iter().collect(),
            sidecars,
        }
    }
}

impl Trust {
    /// `replicas` are the others of a cluster.
    pub(crate) fn new(
        own: Own,
        mesh: watch::Receiver<Arc<Mesh>>,
        issuer: watch::Receiver<IssuerView>,
        replicas: Option<Replicas>,
    ) -> Self {
        Self { own, mesh, issuer, replicas: replicas.map(Mutex::new) }
    }

    /// How everything stands; other replicas are asked, for a second at most.
    pub(crate) async fn look(&self) -> Look {
        self.look_at(None).await.0
    }

    /// How everything stands as far as this replica knows; nobody is asked.
    pub(crate) fn here(&self) -> Here {
        let roots = self.own.ca.roots().borrow().0.clone();
        let sidecars = self.own.known().sidecars;
        let mut counts = counts(&roots, &sidecars);
        let of = |root: &Root| {
            let (believe, used) = counts.remove(&root.fingerprint).unwrap_or_default();
            RootHere { root: root.clone(), believe, used }
        };
        Here {
            next: guard::next(&roots),
            roots: roots.iter().map(of).collect(),
            sidecars: connected(&sidecars).filter_map(Sidecar::word).count(),
        }
    }

    /// Also whether there are other replicas. The obstacles are those of `step`, or of the next one.
    async fn look_at(&self, step: Option<Step>) -> (Look, bool) {
        let mesh = self.mesh.borrow().clone();
        let replicas = match &self.replicas {
            Some(replicas) => exchange::ask(&mut *replicas.lock().await, &mesh).await,
            None => BTreeMap::new(),
        };
        let own = self.own.known();
        let meshed = mesh.workloads.values().filter(|workload| workload.meshed);
        let meshed = meshed.map(|found| names::workload(&found.key.name, &found.key.namespace));
        let sidecars = sidecars::all(replicas.values().flatten().chain([&own]), meshed);
        let roots = self.own.ca.roots().borrow().0.clone();
        let scene = Scene {
            roots: &roots,
            leaf_life: self.own.ca.leaf_life(),
            replicas: &replicas,
            sidecars: &sidecars,
            now: self.own.clock.now(),
        };
        let next = scene.next();
        let look = Look {
            obstacles: scene.obstacles(step.unwrap_or(next)),
            next,
            counts: counts(&roots, &sidecars),
            known: sidecars.len(),
            connected: connected(&sidecars).count(),
            issuer: self.issuer.borrow().clone(),
            roots,
        };
        (look, !replicas.is_empty())
    }

    /// Takes a step if everybody is ready for it, or at once if it is forced. Returns whether there was one to take.
    ///
    /// # Errors
    /// Who is not ready, or what is wrong with the CA; then everything is as before.
    pub(crate) async fn step(&self, step: Step, force: bool) -> Result<bool, StepError> {
        if step == Step::Stage
            && let IssuerView { source, present: true, .. } = &*self.issuer.borrow()
        {
            return Err(StepError::Issuer(source.clone()));
        }
        // Order: of the roots that were looked at and of no others, whatever somebody else changes meanwhile.
        let roots = self.own.ca.roots().borrow().0.clone();
        if !force && step != Step::Stage {
            self.is_ready(step).await?;
        }
        let of = |is: fn(&RootState) -> bool| {
            let found = roots.iter().filter(move |root| is(&root.state));
            found.map(|root| root.fingerprint.clone()).collect::<Vec<_>>()
        };
        let change = match step {
            Step::Stage => Change::Stage,
            Step::Issue => {
                let staged = of(|state| matches!(state, RootState::Staged { .. })).pop();
                let Some(staged) = staged else { return Ok(false) };
                Change::Issue(staged, self.own.ca.leaf_lifetime())
            }
            Step::Retire => Change::Retire(of(|state| matches!(state, RootState::Old { .. }))),
        };
        let changed = self.own.ca.change(change).await?;
        if changed {
            tracing::info!(?step, force, "the mesh's roots were changed");
        }
        Ok(changed)
    }

    async fn is_ready(&self, step: Step) -> Result<(), StepError> {
        for round in 0..2 {
            let (look, others) = self.look_at(Some(step)).await;
            if !look.obstacles.is_empty() {
                return Err(StepError::NotReady(step, look.obstacles));
            }
            if !others || round == 1 {
                break;
            }
            tokio::time::sleep(AGAIN).await;
        }
        Ok(())
    }

    /// Has a root from outside issue once everybody believes it: its owner has decided that it should. For ever.
    pub(crate) async fn follow(&self) {
        let mut roots = self.own.ca.roots();
        loop {
            let is_waiting =
                |root: &Root| root.external && matches!(root.state, RootState::Staged { .. });
            if roots.borrow_and_update().0.iter().any(is_waiting) {
                tokio::time::sleep(LOOK).await;
                if let Err(StepError::Store(error)) = self.step(Step::Issue, false).await {
                    tracing::error!(%error, "a root from outside cannot issue");
                }
            } else if roots.changed().await.is_err() {
                return std::future::pending().await;
            }
        }
    }
}

fn connected(sidecars: &BTreeMap<String, Sidecar>) -> impl Iterator<Item = &Sidecar> {
    sidecars.values().filter(|sidecar| sidecar.connected.is_some())
}

/// By root: those that believe it, and those whose certificate leads there.
fn counts(
    roots: &[Root],
    sidecars: &BTreeMap<String, Sidecar>,
) -> BTreeMap<String, (usize, usize)> {
    let count = |root: &Root| {
        let is = |with: fn(&Said, &String) -> bool| {
            let words = connected(sidecars).filter_map(Sidecar::word);
            words.filter(|said| with(said, &root.fingerprint)).count()
        };
        let believe = is(|said, root| said.roots.contains(root));
        (root.fingerprint.clone(), (believe, is(|said, root| said.leaf_root == *root)))
    };
    roots.iter().map(count).collect()
}

/// For people: the first few, and how many more.
fn refused(step: Step, obstacles: &[Obstacle]) -> String {
    const NAMED: usize = 5;
    let what = match step {
        Step::Stage => "no root can be staged",
        Step::Issue => "the staged root cannot issue yet",
        Step::Retire => "the old root cannot be retired yet",
    };
    let named = obstacles.iter().take(NAMED).map(|obstacle| {
        let Obstacle { who, why, until } = obstacle;
        let until = until.map(|until| format!(" (until {})", shown(until))).unwrap_or_default();
        format!("{who} {why}{until}")
    });
    let mut text = format!("{what}: {}", named.collect::<Vec<_>>().join("; "));
    if let Some(more @ 1..) = obstacles.len().checked_sub(NAMED) {
        text.push_str(&format!("; and {more} more"));
    }
    text
}

/// RFC 3339.
pub(crate) fn shown(time: SystemTime) -> String {
    let time = time::OffsetDateTime::from(time);
    time.format(&time::format_description::well_known::Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests;

//! What the page shows, asked of the control planes: called by `server`, which hands it to browsers.
//! Control planes come and go, pods of a cluster above all: [`Planes`] knows those that there are.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::{Value, json};

use super::latest::Latest;
use super::notices::{Told, notices};
use super::requests::one_each;
use crate::admin::{AdminError, AdminSocket, BrokenTraces, Finding, Proxy};
use crate::args::{PlaceArgs, Window};
use crate::control_planes::Planes;
use crate::environment::Environment;
use crate::moment::Moment;
use crate::{proxy_status, stat};

/// Between two snapshots; what is asked by way of an API server is asked less often.
const HERE: Duration = Duration::from_secs(1);
const IN_CLUSTER: Duration = Duration::from_secs(3);
/// Bound: requests of an edge; and what each sidecar is asked for, which has them all twice.
const REQUESTS: usize = 50;
const ASKED: usize = 200;

/// Whom the page asks. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Board(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    /// All replicas of the control plane.
    planes: Planes,
    /// Where traces can be looked at.
    jaeger: Option<String>,
    latest: Latest,
}

/// What one replica says besides figures.
struct Said {
    proxies: Vec<Proxy>,
    findings: Vec<Finding>,
    broken: Vec<BrokenTraces>,
}

impl Board {
    /// Asks this control plane.
    pub(crate) fn of(plane: AdminSocket, jaeger: Option<String>) -> Self {
        Self::new(Planes::one(plane), jaeger)
    }

    /// Asks those that there are at `place`.
    ///
    /// # Errors
    /// There are none now.
    pub(crate) async fn find(
        place: &PlaceArgs,
        mesh: Option<&str>,
        environment: &Environment,
        jaeger: Option<String>,
    ) -> Result<Self> {
        Ok(Self::new(Planes::find(place, mesh, environment).await?, jaeger))
    }

    fn new(planes: Planes, jaeger: Option<String>) -> Self {
        Self(Arc::new(Shared { planes, jaeger, latest: Latest::default() }))
    }

    /// How often there is something new.
    pub(super) fn pace(&self) -> Duration {
        if self.0.planes.are_in_cluster() { IN_CLUSTER } else { HERE }
    }

    /// Everything that is shown at once, as JSON. However many pages are open, it is asked for once.
    ///
    /// # Errors
    /// In words: a control plane does not answer.
    pub(super) async fn snapshot(&self, window: Window) -> Result<Arc<str>, String> {
        // A little less than the pace, so that each page has something new each time.
        let fresh = self.pace() * 3 / 4;
        self.0.latest.get(&window.query(), fresh, || Box::pin(self.ask_all(window))).await
    }

    async fn ask_all(&self, window: Window) -> Result<String, String> {
        match self.ask(&self.0.planes.now().await, window).await {
            Ok(snapshot) => Ok(snapshot.to_string()),
            Err(error) => {
                // It may be another pod by now.
                self.0.planes.lost();
                Err(format!("{error:#}"))
            }
        }
    }

    /// The figures are those of `weft stat -o json`.
    async fn ask(&self, planes: &[AdminSocket], window: Window) -> Result<Value> {
        let said = async { try_join_all(planes.iter().map(said)).await.context("cannot ask") };
        let stat = async { stat::fetch_all(planes, window).await.context("cannot measure") };
        let (stat, said) = tokio::try_join!(stat, said)?;
        let (mut proxies, mut findings, mut broken) = (Vec::new(), Vec::new(), Vec::new());
        for one in said {
            proxies.extend(one.proxies);
            broken.extend(one.broken);
            for finding in one.findings {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        let proxies = proxy_status::one_each(proxies);
        let told = Told { stat: &stat, proxies: &proxies, findings: &findings, broken: &broken };
        let (notices, left_out) = notices(&told, Moment::now());
        Ok(json!({
            "stat": stat,
            "proxies": proxies,
            "notices": notices,
            "notices_left_out": left_out,
            "jaeger": self.0.jaeger,
            "every_ms": u64::try_from(self.pace().as_millis()).unwrap_or(u64::MAX),
        }))
    }

    /// The failed and slow requests of an edge that the sidecars remember, the newest first. `from` is empty for callers
    /// without a sidecar.
    pub(super) async fn requests(&self, from: &str, to: &str) -> Result<Vec<Value>> {
        let mut query = json!({ "to": to, "limit": ASKED });
        if !from.is_empty() {
            query["from"] = from.into();
        }
        let planes = self.0.planes.now().await;
        let asked = planes.iter().map(|plane| plane.post::<Value>("/v1/requests", &query));
        let mut all = Vec::new();
        for mut answer in try_join_all(asked).await? {
            if let Value::Array(requests) = answer["requests"].take() {
                all.extend(requests);
            }
        }
        if from.is_empty() {
            let nobody = |one: &Value| one["direction"] == "inbound" && one["peer_identity"] == "";
            all.retain(nobody);
        }
        Ok(one_each(all, REQUESTS))
    }

    /// Who may call a workload, and by which rule. Every replica has the same model.
    pub(super) async fn reach(&self, to: &str) -> Result<Value> {
        Ok(self.first().await?.post("/v1/access/reach", &json!({ "to": to })).await?)
    }

    /// Routes and policies in force at a workload.
    pub(super) async fn policies(&self, of: &str) -> Result<Value> {
        Ok(self.first().await?.post("/v1/policies", &json!({ "of": of })).await?)
    }

    async fn first(&self) -> Result<AdminSocket> {
        let planes = self.0.planes.now().await;
        planes.into_iter().next().context("there is no control plane")
    }
}

async fn said(plane: &AdminSocket) -> Result<Said, AdminError> {
    let (proxies, findings, broken) = tokio::join!(
        plane.get("/v1/proxies"),
        plane.get("/v1/analysis"),
        plane.get("/v1/traces/broken")
    );
    let broken = match broken {
        // One of an older version does not know.
        Err(AdminError::Refused { .. }) => Vec::new(),
        broken => broken?,
    };
    Ok(Said { proxies: proxies?, findings: findings?, broken })
}

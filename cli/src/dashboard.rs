//! `weft dashboard`: a page with the mesh's topology and golden metrics, live, on this machine's loopback.
//!
//! [`Board`] asks the control planes, as `weft stat` does, and `server` is what a browser may ask. The page itself is three
//! files that are built in; it loads nothing from anywhere else. Used by `demo` too.

mod server;

use std::net::{Ipv4Addr, SocketAddr};

use anyhow::{Context, Result};
use futures_util::future::try_join_all;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::admin::{AdminSocket, Finding, Proxy, Stat};
use crate::args::{DashboardArgs, Window};
use crate::control_planes::Planes;
use crate::environment::Environment;
use crate::mesh::Mesh;
use crate::output::{Output, STRONG, Verdict, styled};
use crate::signals::Signals;
use crate::stat;

/// Runs `weft dashboard`.
pub(crate) async fn run(
    args: &DashboardArgs,
    mesh: Option<&str>,
    environment: &Environment,
    output: &Output,
) -> Result<Verdict> {
    let mut signals = Signals::watch()?;
    let planes = Planes::find(&args.place, mesh, environment).await?;
    let local = Mesh::look(mesh, environment).ok().flatten();
    let jaeger = args.jaeger.clone().or_else(|| {
        let page =
            local.filter(|_| !args.place.means_a_cluster())?.record.urls.get("jaeger")?.clone();
        origin(&page)
    });
    let listener = listen(args.port).await?;
    let address = listener.local_addr().context("it has no address")?;
    let url = format!("http://{address}");
    if output.is_json() {
        output.json(&json!({ "url": url }))?;
    } else {
        output.data(&format!("Dashboard  {}   Stop: Ctrl-C", styled(STRONG, &url)))?;
    }
    let board = Board { planes, jaeger };
    tokio::select! {
        served = serve(listener, board) => served.map(|()| Verdict::Fine),
        _ = signals.next() => Ok(Verdict::Fine),
    }
}

/// A port of this machine that nobody else reaches.
///
/// # Errors
/// Somebody has it.
pub(crate) async fn listen(port: u16) -> Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.with_context(|| {
        format!("cannot serve the dashboard on {address}; choose another with --port")
    })
}

/// The same on the first port from this one on that is free.
///
/// # Errors
/// None of many is.
pub(crate) async fn listen_near(port: u16) -> Result<TcpListener> {
    for port in port..port.saturating_add(TRIES) {
        if let Ok(listener) = listen(port).await {
            return Ok(listener);
        }
    }
    listen(port).await
}

/// Serves the page, for ever.
///
/// # Errors
/// The listener is of no use any more.
pub(crate) async fn serve(listener: TcpListener, board: Board) -> Result<()> {
    let port = listener.local_addr().context("it has no address")?.port();
    axum::serve(listener, server::router(board, port)).await.context("the dashboard ended")
}

/// `http://localhost:16686` of a page there.
pub(crate) fn origin(page: &str) -> Option<String> {
    let url: http::Uri = page.parse().ok()?;
    Some(format!("{}://{}", url.scheme_str()?, url.authority()?))
}

/// Whom the page asks.
#[derive(Clone, Debug)]
pub(crate) struct Board {
    /// All replicas of the control plane.
    pub(crate) planes: Planes,
    /// Where traces can be looked at.
    pub(crate) jaeger: Option<String>,
}

impl Board {
    /// Everything that is shown at once; the figures are those of `weft stat -o json`.
    async fn snapshot(&self, window: Window) -> Result<Value> {
        let planes = self.planes.now().await;
        let asked = self.ask(&planes, window).await;
        // It may be another pod by now.
        let (stat, answers) = asked.inspect_err(|_| self.planes.lost())?;
        let (mut proxies, mut findings) = (Vec::new(), Vec::<Finding>::new());
        for (of_one, found) in answers {
            proxies.extend(of_one);
            for finding in found {
                if !findings.contains(&finding) {
                    findings.push(finding);
                }
            }
        }
        let proxies = crate::proxy_status::one_each(proxies);
        Ok(json!({ "stat": stat, "proxies": proxies, "findings": findings, "jaeger": self.jaeger }))
    }

    /// All of them at once, so that they speak of the same moment.
    async fn ask(
        &self,
        planes: &[AdminSocket],
        window: Window,
    ) -> Result<(Stat, Vec<(Vec<Proxy>, Vec<Finding>)>)> {
        let stat = async { stat::fetch_all(planes, window).await.context("cannot measure") };
        let answers = try_join_all(planes.iter().map(|plane| async move {
            let (proxies, findings) = (plane.get("/v1/proxies"), plane.get("/v1/analysis"));
            tokio::try_join!(proxies, findings)
        }));
        let answers = async { answers.await.context("cannot list the sidecars") };
        tokio::try_join!(stat, answers)
    }

    /// The failed and slow requests of an edge that the sidecars remember, the newest first.
    async fn requests(&self, from: &str, to: &str) -> Result<Vec<Value>> {
        let query = json!({ "from": from, "to": to, "limit": REQUESTS });
        let mut all = Vec::new();
        for plane in self.planes.now().await {
            let mut answer: Value = plane.post("/v1/requests", &query).await?;
            if let Value::Array(requests) = answer["requests"].take() {
                all.extend(requests);
            }
        }
        all.sort_by_key(|request| std::cmp::Reverse(request["at_ms"].as_i64()));
        all.truncate(REQUESTS);
        Ok(all)
    }

    /// Who may call a workload, and by which rule. Every replica has the same model.
    async fn reach(&self, to: &str) -> Result<Value> {
        let planes = self.planes.now().await;
        let plane = planes.first().context("there is no control plane")?;
        Ok(plane.post("/v1/access/reach", &json!({ "to": to })).await?)
    }
}

/// How many ports are tried one after the other.
const TRIES: u16 = 200;
/// Bound: requests of an edge.
const REQUESTS: usize = 50;

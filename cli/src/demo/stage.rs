//! Brings the demo up in order, shows it, measures it, and takes it down.
//!
//! Order up: control plane, then programs and sidecars together, then the load. Order down: the load, then
//! programs and sidecars, then the control plane, then the directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::chronicle::Chronicle;
use super::collector::Collector;
use super::hints;
use super::layout::{Claims, Layout};
use super::load::{self, Load};
use super::manifests;
use super::processes::{self, Watching};
use super::report::{Observed, has_settled};
use super::screen::Screen;
use super::topology::WORKLOADS;
use crate::admin::{AdminSocket, Finding, MeshInfo, Proxy, Stat};
use crate::args::{DemoArgs, Window};
use crate::dashboard::{self, Board};
use crate::environment::Environment;
use crate::mesh::sidecar_socket;
use crate::process::{Inlet, Keeper};
use crate::run_dir::{MeshDir, MeshRecord, proxy_dir};
use crate::stat::{self, tables};

/// Everything must be up within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
const POLL: Duration = Duration::from_millis(50);
/// Sidecars report once a second; a figure that has not come by then will not.
const SETTLE: Duration = Duration::from_secs(5);

/// The running demo.
#[derive(Debug)]
pub(super) struct Stage {
    // Order: fields are dropped from the first to the last, so processes go before their directory.
    shop: Keeper,
    control_plane: Keeper,
    screen: Screen,
    /// What is being waited for, to be told if it does not come.
    waiting_for: String,
    up: Option<Up>,
    directory: MeshDir,
}

/// What there is once everything is up.
#[derive(Debug)]
struct Up {
    since: Instant,
    load: Option<Load>,
    urls: BTreeMap<String, String>,
    collector: Collector,
    manifests: PathBuf,
    /// Ends with it.
    _dashboard: JoinSet<()>,
    _claims: Claims,
}

impl Stage {
    /// An empty stage.
    pub(super) fn new(directory: MeshDir, inlet: Inlet, screen: Screen) -> Self {
        Self {
            shop: Keeper::new(inlet.clone()),
            control_plane: Keeper::new(inlet),
            screen,
            waiting_for: String::new(),
            up: None,
            directory,
        }
    }

    /// The screen.
    pub(super) fn screen(&self) -> &Screen {
        &self.screen
    }

    /// Starts everything and waits until it is up.
    ///
    /// # Errors
    /// Something does not come up in time; says what.
    pub(super) async fn raise(&mut self, args: &DemoArgs, environment: &Environment) -> Result<()> {
        match tokio::time::timeout(PATIENCE, self.raise_all(args, environment)).await {
            Ok(raised) => raised,
            Err(_) => anyhow::bail!(
                "{} is not up after {} s; run it again with -v to see what every process says",
                self.waiting_for,
                PATIENCE.as_secs()
            ),
        }
    }

    async fn raise_all(&mut self, args: &DemoArgs, environment: &Environment) -> Result<()> {
        let (layout, claims) = Layout::choose(args.port)?;
        for shifted in &layout.shifted {
            self.screen.warn(shifted);
        }
        let manifests = manifests::prepare(environment, &layout, self.directory.path())?;
        let collector = Collector::find(environment).await;
        self.raise_control_plane(&manifests, &layout).await?;
        let mut urls = collector.urls(layout.front());
        let dashboard = self.raise_dashboard(args, &collector, &mut urls).await?;
        self.publish(&urls, &manifests)?;
        let collector_url = collector.endpoint.as_deref();
        let watching = Watching { collector: collector_url, log: self.screen.is_verbose() };
        self.raise_shop(args, &layout, watching).await?;
        self.screen.up("load", &load_line(args.rate));
        collector.show(&self.screen);
        let place = environment.shown(&manifests);
        self.screen.up("manifests", &format!("{place}   (an edit takes effect while this runs)"));
        self.screen.line("");
        for (name, url) in &urls {
            let (initial, rest) = name.split_at(1);
            self.screen.line(&format!("  {}{rest:<9} {url}", initial.to_uppercase()));
        }
        self.screen.line("");
        let load = Load::start(layout.front(), args.rate);
        self.up = Some(Up {
            since: Instant::now(),
            load: Some(load),
            urls,
            collector,
            manifests,
            _dashboard: dashboard,
            _claims: claims,
        });
        Ok(())
    }

    async fn raise_control_plane(&mut self, manifests: &Path, layout: &Layout) -> Result<()> {
        self.waiting_for = "the control plane".to_owned();
        self.control_plane.keep(processes::control_plane(&self.directory, manifests, layout), None);
        let admin = self.admin();
        until(async || admin.ready().await.is_ok()).await;
        let mesh: MeshInfo = admin.get("/v1/mesh").await.context("the control plane is mute")?;
        let how = format!("grpc {}   CA of spiffe://{}", layout.control_plane, mesh.trust_domain);
        self.screen.up("control plane", &how);
        Ok(())
    }

    /// The page, in this process.
    async fn raise_dashboard(
        &self,
        args: &DemoArgs,
        collector: &Collector,
        urls: &mut BTreeMap<String, String>,
    ) -> Result<JoinSet<()>> {
        let listener = dashboard::listen_near(args.dashboard_port).await?;
        urls.insert("dashboard".to_owned(), format!("http://{}", listener.local_addr()?));
        let jaeger = collector.jaeger.as_deref().and_then(dashboard::origin);
        let board = Board::of(self.admin(), jaeger);
        let (mut served, screen) = (JoinSet::new(), self.screen.clone());
        served.spawn(async move {
            // The demo is of use without it.
            if let Err(error) = dashboard::serve(listener, board).await {
                screen.warn(&format!("{error:#}"));
            }
        });
        Ok(served)
    }

    async fn raise_shop(
        &mut self,
        args: &DemoArgs,
        layout: &Layout,
        watching: Watching<'_>,
    ) -> Result<()> {
        let admin = self.admin();
        for (workload, addresses) in WORKLOADS.iter().zip(&layout.workloads) {
            let state = proxy_dir(self.directory.path(), &workload.full_name());
            let sidecar = processes::sidecar(workload, addresses, layout, &state, watching);
            let joining = processes::joining(&admin, workload, &self.directory);
            self.shop.keep(processes::app(workload, addresses, args.seed), None);
            self.shop.keep(sidecar, Some(joining));
        }
        for (workload, addresses) in WORKLOADS.iter().zip(&layout.workloads) {
            self.waiting_for = format!("the program of {}", workload.name);
            until(async || load::is_healthy(addresses.app).await.is_ok()).await;
            self.waiting_for = format!("the sidecar of {}", workload.name);
            let state = proxy_dir(self.directory.path(), &workload.full_name());
            until(async || sidecar_socket(&state).ready().await.is_ok()).await;
        }
        self.waiting_for = "the connection of every sidecar to the control plane".to_owned();
        until(async || all_synced(&admin).await).await;
        self.waiting_for = format!("the shop on {}", layout.front());
        until(async || load::is_healthy(layout.front()).await.is_ok()).await;
        let names: Vec<&str> = WORKLOADS.iter().map(|workload| workload.name).collect();
        let count = names.len();
        self.screen.up("shop", &format!("{}   {count}/{count} meshed, mTLS √", names.join(" ")));
        Ok(())
    }

    fn publish(&self, urls: &BTreeMap<String, String>, manifests: &Path) -> Result<()> {
        self.directory.publish(&MeshRecord {
            name: self.directory.name().to_owned(),
            pid: std::process::id(),
            admin: self.directory.admin(),
            config_dir: manifests.to_owned(),
            urls: urls.clone(),
        })
    }

    fn admin(&self) -> AdminSocket {
        AdminSocket::new(&self.directory.admin())
    }

    /// Draws the table over itself.
    pub(super) async fn redraw(&self, environment: &Environment) {
        if let Some(block) = self.block(environment).await {
            self.screen.draw(&block);
        }
    }

    /// Shows the table, to stay.
    pub(super) async fn show_once(&self, environment: &Environment) {
        if let Some(block) = self.block(environment).await {
            self.screen.line(&block);
        }
    }

    /// The table, what is wrong with the manifests, and what to try; `None` while nobody can be asked.
    async fn block(&self, environment: &Environment) -> Option<String> {
        let (admin, up) = (self.admin(), self.up.as_ref()?);
        let stat: Stat = stat::fetch(&admin, Window::Seconds(10)).await.ok()?;
        let findings: Vec<Finding> = admin.get("/v1/analysis").await.unwrap_or_default();
        let mut block = tables::workloads(&stat.workloads, false).render();
        let place = environment.shown(&up.manifests);
        if let Some(complaint) = hints::complaint(&findings, environment, &place) {
            block.push_str(&format!("\n\n{complaint}"));
        }
        block.push_str(&format!("\n\n{}", hints::next(environment, self.directory.name(), &place)));
        Some(block)
    }

    /// Ends the load and measures everything since the start; `None` if it never was up.
    pub(super) async fn measure(&mut self, chronicle: &Chronicle) -> Option<Observed> {
        let admin = self.admin();
        let up = self.up.as_mut()?;
        let duration_s = up.since.elapsed().as_secs_f64();
        let load = match up.load.take() {
            Some(load) => load.stop().await,
            None => load::Counts::default(),
        };
        let mut stat = Stat::default();
        let settled = async {
            loop {
                if let Ok(newer) = stat::fetch(&admin, Window::All).await {
                    stat = newer;
                }
                if has_settled(&stat, load) {
                    return;
                }
                tokio::time::sleep(POLL).await;
            }
        };
        // What has not come in time is judged as missing.
        let _ = tokio::time::timeout(SETTLE, settled).await;
        Some(Observed {
            stat,
            proxies: admin.get("/v1/proxies").await.unwrap_or_default(),
            load,
            restarts: chronicle.restarts(),
            duration_s,
            urls: up.urls.clone(),
            collector: up.collector.endpoint.clone(),
        })
    }

    /// Takes everything down and removes the directory.
    pub(super) async fn stop(mut self) {
        if let Some(load) = self.up.as_mut().and_then(|up| up.load.take()) {
            drop(load);
        }
        self.shop.stop().await;
        self.control_plane.stop().await;
        drop(self.directory);
    }
}

fn load_line(rate: u32) -> String {
    match rate {
        0 => "none".to_owned(),
        rate => format!("{rate} requests/s: {}; a plain client outside the mesh", load::KINDS),
    }
}

async fn all_synced(admin: &AdminSocket) -> bool {
    let proxies: Vec<Proxy> = admin.get("/v1/proxies").await.unwrap_or_default();
    WORKLOADS.iter().all(|workload| {
        let name = workload.full_name();
        proxies.iter().any(|proxy| proxy.workload == name && proxy.is_synced())
    })
}

/// Waits until `condition` holds; the caller has a deadline.
async fn until(mut condition: impl AsyncFnMut() -> bool) {
    while !condition().await {
        tokio::time::sleep(POLL).await;
    }
}

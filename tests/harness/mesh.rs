//! A whole mesh: named in a few lines, started as processes, changed and broken while it runs.

mod builder;

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tempfile::TempDir;
use weft_certs::{Leaf, SpiffeId, TrustDomain};

use super::control_plane::ControlPlane;
use super::manifests::{self, NAMESPACE, WORKLOAD_PORT, Workload};
use super::network::Network;
use super::sidecar::Launch;
use super::{App, Output, Process, Program, Sidecar, binary, eventually, run};

pub(crate) use builder::Builder;

/// Of every mesh here.
pub(crate) const TRUST_DOMAIN: &str = "mesh.test";

const APP_PORT: u16 = 22080;
const HEALTH_PORT: u16 = 21020;
const FIRST_ENTRY_PORT: u16 = 23101;
/// In the mesh's directory.
const ISSUER: &str = "issuer";
const CONTROL_PLANE: (u8, u16) = (2, 21010);
const FIRST_HOST: u8 = 10;

/// A running mesh. Everything of it goes with the value.
pub(crate) struct Mesh {
    // Order: dropped in this order, so that nobody logs about a peer that went first.
    sidecars: Mutex<BTreeMap<String, Arc<Sidecar>>>,
    control_plane: ControlPlane,
    apps: Mutex<BTreeMap<String, Arc<App>>>,
    hosts: Mutex<BTreeMap<String, u8>>,
    settings: Builder,
    network: Network,
    directory: TempDir,
}

impl Mesh {
    /// Begins to describe one.
    pub(crate) fn builder() -> Builder {
        Builder::default()
    }

    /// The sidecar of a workload, `product-v1`.
    pub(crate) fn proxy(&self, workload: &str) -> Arc<Sidecar> {
        let sidecars = lock(&self.sidecars);
        sidecars.get(workload).unwrap_or_else(|| panic!("no sidecar {workload}")).clone()
    }

    /// The application of a workload, `product-v1`.
    pub(crate) fn app(&self, workload: &str) -> Arc<App> {
        lock(&self.apps).get(workload).unwrap_or_else(|| panic!("no app {workload}")).clone()
    }

    /// All applications.
    pub(crate) fn apps(&self) -> Vec<Arc<App>> {
        lock(&self.apps).values().cloned().collect()
    }

    /// Where `caller`'s application finds a Service.
    pub(crate) fn entry(&self, caller: &str, service: &str) -> SocketAddr {
        self.proxy(caller).entry(service)
    }

    /// The control plane.
    pub(crate) fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// Where the control plane's metrics are, if the builder was told so.
    pub(crate) fn control_plane_health(&self) -> SocketAddr {
        self.network.at(CONTROL_PLANE.0, HEALTH_PORT)
    }

    /// The identity of a service account in this mesh.
    pub(crate) fn id(&self, account: &str) -> SpiffeId {
        let domain: TrustDomain = TRUST_DOMAIN.parse().expect("it is one");
        SpiffeId::workload(&domain, NAMESPACE, account).expect("it is one")
    }

    /// A certificate of this mesh's CA for a service account, valid for `life` from now.
    pub(crate) fn leaf(&self, account: &str, life: Duration) -> Leaf {
        let authority = self.control_plane.authority();
        authority.leaf_for(&self.id(account), life, SystemTime::now()).expect("it is issued")
    }

    /// Where peers of a workload connect; also of one that has no sidecar.
    pub(crate) fn workload_address(&self, workload: &str) -> SocketAddr {
        self.network.at(self.host(workload), WORKLOAD_PORT)
    }

    /// Where the sidecar of a workload expects its application.
    pub(crate) fn app_address(&self, workload: &str) -> SocketAddr {
        self.network.at(self.host(workload), APP_PORT)
    }

    /// An address for something that the test itself serves.
    pub(crate) fn spare_address(&self, port: u16) -> SocketAddr {
        self.network.at(3, port)
    }

    /// The directory that the control plane watches.
    pub(crate) fn config_dir(&self) -> PathBuf {
        self.directory.path().join("config")
    }

    /// Writes a file of the configuration, as an editor does: whole, then renamed.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let fresh = self.config_dir().join(format!(".{file}.new"));
        fs::write(&fresh, text).expect("the directory is ours");
        fs::rename(&fresh, self.config_dir().join(file)).expect("the directory is ours");
    }

    /// Removes a file of the configuration.
    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.config_dir().join(file)).expect("it is there");
    }

    /// Where the control plane looks for an issuing CA from outside, if the builder was told so. Not there at first.
    pub(crate) fn issuer_dir(&self) -> PathBuf {
        self.directory.path().join(ISSUER)
    }

    /// Runs `weft` against this mesh.
    pub(crate) async fn weft(&self, args: &[&str]) -> Output {
        self.weft_within(args, Duration::from_secs(30)).await
    }

    /// Starts `weft` against this mesh; its output goes to a log of that name.
    pub(crate) fn start_weft(&self, args: &[&str], log: &str) -> Process {
        let program = Program {
            name: format!("weft {}", args.join(" ")),
            path: binary("weft"),
            args: args.iter().map(Into::into).collect(),
            variables: vec![("XDG_RUNTIME_DIR".to_owned(), self.run_root())],
            log: self.directory.path().join(log),
        };
        Process::start(program).expect("it starts")
    }

    /// As [`Self::weft`], for what takes longer.
    pub(crate) async fn weft_within(&self, args: &[&str], deadline: Duration) -> Output {
        let program = Program {
            name: format!("weft {}", args.join(" ")),
            path: binary("weft"),
            args: args.iter().map(Into::into).collect(),
            variables: vec![("XDG_RUNTIME_DIR".to_owned(), self.run_root())],
            log: PathBuf::new(),
        };
        run(&program, deadline).await
    }

    /// Starts one more workload of a service, application and sidecar, and makes it known when it is ready to
    /// serve.
    pub(crate) async fn add_workload(&self, app: &str, version: &str) -> Result<()> {
        let name = manifests::workload_name(app, version);
        // Order: known before it can join, but under a label that no Service selects until it is ready.
        self.write_workload(app, version, "joining");
        self.start_app(&name).await?;
        let key = format!("{name}.{NAMESPACE}");
        let bootstrap = eventually("the mesh knows it", Duration::from_secs(5), async || {
            self.control_plane.join(&key).await
        })
        .await;
        self.start_sidecar_with(&name, true, bootstrap)?.ready().await;
        self.write_workload(app, version, app);
        Ok(())
    }

    /// Takes a workload out of the configuration, then stops its sidecar and its application in order.
    pub(crate) async fn remove_workload(&self, name: &str) {
        self.remove(&format!("workload-{name}.yaml"));
        let sidecar = lock(&self.sidecars).remove(name).expect("it runs");
        sidecar.process().terminate(Duration::from_secs(15)).await;
        self.app(name).stop();
    }

    fn write_workload(&self, account: &str, version: &str, app: &str) {
        let name = manifests::workload_name(account, version);
        let address = self.network.host(self.host(&name));
        let protocol = "http";
        let namespace = NAMESPACE;
        let locality = self.settings.locality_of(&name);
        let workload =
            Workload { name: &name, namespace, app, version, account, address, protocol, locality };
        self.write(&format!("workload-{name}.yaml"), &workload.to_yaml());
    }

    async fn start_app(&self, name: &str) -> Result<()> {
        let app = App::start(name, self.app_address(name)).await?;
        lock(&self.apps).insert(name.to_owned(), Arc::new(app));
        Ok(())
    }

    /// Starts the sidecar of a workload with a new join token.
    pub(crate) async fn start_sidecar(&self, name: &str, serves: bool) -> Result<Arc<Sidecar>> {
        let bootstrap = self.control_plane.join(&self.key(name)).await?;
        self.start_sidecar_with(name, serves, bootstrap)
    }

    /// Starts the sidecar of a workload with this bootstrap file.
    pub(crate) fn start_sidecar_with(
        &self,
        name: &str,
        serves: bool,
        bootstrap: Value,
    ) -> Result<Arc<Sidecar>> {
        self.launch(name, (serves, false), bootstrap)
    }

    /// Starts the sidecar of a workload that only calls as in a pod: told by its environment, with roots and token in
    /// files.
    pub(crate) fn start_sidecar_in_pod(
        &self,
        name: &str,
        bootstrap: Value,
    ) -> Result<Arc<Sidecar>> {
        self.launch(name, (false, true), bootstrap)
    }

    fn launch(
        &self,
        name: &str,
        (serves, in_pod): (bool, bool),
        bootstrap: Value,
    ) -> Result<Arc<Sidecar>> {
        let workload = self.key(name);
        let host = self.host(name);
        let directory = self.directory.path();
        let inbound = (self.workload_address(name), self.app_address(name));
        let sidecar = Arc::new(Sidecar::start(Launch {
            state_dir: directory.join("run/weft/test/proxies").join(&workload),
            log: directory.join(format!("{name}.log")),
            health: self.network.at(host, HEALTH_PORT),
            inbound: serves.then_some(inbound),
            entries: self.entries(name, host),
            before: self.settings.before.get(name).cloned(),
            args: self.settings.proxy_args.clone(),
            variables: [
                self.settings.proxy_variables.clone(),
                self.settings.clock_of(name, directory),
            ]
            .concat(),
            workload,
            bootstrap,
            in_pod,
        })?);
        lock(&self.sidecars).insert(name.to_owned(), Arc::clone(&sidecar));
        Ok(sidecar)
    }

    fn entries(&self, workload: &str, host: u8) -> BTreeMap<String, SocketAddr> {
        if !self.settings.calls(workload) {
            return BTreeMap::new();
        }
        let ports = FIRST_ENTRY_PORT..;
        self.settings
            .service_names()
            .into_iter()
            .zip(ports)
            .map(|(service, port)| (service, self.network.at(host, port)))
            .collect()
    }

    /// `product-v1.shop`.
    fn key(&self, workload: &str) -> String {
        format!("{workload}.{}", self.settings.namespace(workload))
    }

    /// The host of a workload; a new one if it has none yet.
    fn host(&self, name: &str) -> u8 {
        let mut hosts = lock(&self.hosts);
        let next = FIRST_HOST + u8::try_from(hosts.len()).expect("meshes here are small");
        *hosts.entry(name.to_owned()).or_insert(next)
    }

    /// The directory of running meshes, for `XDG_RUNTIME_DIR`.
    pub(crate) fn run_root(&self) -> String {
        self.directory.path().join("run").to_string_lossy().into_owned()
    }

    /// What `weft` finds a mesh by, as `weft demo` writes it.
    fn publish(&self) -> Result<()> {
        let record = json!({
            "name": "test",
            "pid": std::process::id(),
            "admin": self.control_plane.admin().socket(),
            "urls": {},
        });
        let path = self.directory.path().join("run/weft/test/mesh.json");
        fs::write(&path, record.to_string()).with_context(|| format!("{}", path.display()))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

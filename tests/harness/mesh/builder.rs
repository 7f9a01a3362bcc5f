//! The description of a mesh, and how it becomes one.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use anyhow::Result;

use super::{CONTROL_PLANE, Mesh, TRUST_DOMAIN};
use crate::harness::control_plane::ControlPlane;
use crate::harness::manifests::{self, Workload, workload_name};
use crate::harness::network::Network;
use crate::harness::{Program, skew};

/// What a mesh is to be.
#[derive(Clone, Debug, Default)]
pub(crate) struct Builder {
    services: Vec<Service>,
    callers: Vec<String>,
    absent: Vec<String>,
    /// Of workloads that are not where everything is.
    namespaces: BTreeMap<String, String>,
    calling: Vec<String>,
    files: Vec<(String, String)>,
    listed: Vec<String>,
    localities: BTreeMap<String, String>,
    mesh_spec: String,
    takes_issuer: bool,
    is_scraped: bool,
    /// What a shell does in a sidecar's process before it starts, by workload.
    pub(super) before: BTreeMap<String, String>,
    pub(super) proxy_args: Vec<String>,
    pub(super) proxy_variables: Vec<(String, String)>,
    /// Seconds by which clocks are ahead, by workload; the control plane's is without a name.
    clocks: BTreeMap<String, i64>,
}

#[derive(Clone, Debug)]
struct Service {
    name: String,
    versions: Vec<String>,
    protocol: &'static str,
    kind: Kind,
}

/// How much of a service's workloads runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// Application and sidecar.
    Whole,
    /// The sidecar; the application is the test's affair.
    SidecarOnly,
    /// Nothing: the test takes the place of the sidecar too.
    Hollow,
}

impl Builder {
    /// An HTTP service with one workload a version: application and sidecar. `product` reaches all of them;
    /// with several versions there are also `product-v1` and so on.
    pub(crate) fn service(self, name: &str, versions: &[&str]) -> Self {
        self.with(name, versions, "http", Kind::Whole)
    }

    /// An HTTP service with one workload, `<name>-v1`, that also calls every service.
    pub(crate) fn serving_caller(mut self, name: &str) -> Self {
        self.calling.push(workload_name(name, "v1"));
        self.service(name, &["v1"])
    }

    /// Does this workload call others?
    pub(super) fn calls(&self, workload: &str) -> bool {
        [&self.callers, &self.absent, &self.calling].into_iter().flatten().any(|w| w == workload)
    }

    /// A service with one sidecar, `<name>-v1`, whose application is the test's affair.
    pub(crate) fn without_app(self, name: &str, protocol: &'static str) -> Self {
        self.with(name, &["v1"], protocol, Kind::SidecarOnly)
    }

    /// An HTTP service whose one workload, `<name>-v1`, has no sidecar: the test stands in its place.
    pub(crate) fn without_sidecar(self, name: &str, protocol: &'static str) -> Self {
        self.with(name, &["v1"], protocol, Kind::Hollow)
    }

    fn with(mut self, name: &str, versions: &[&str], protocol: &'static str, kind: Kind) -> Self {
        let versions = versions.iter().map(|&version| version.to_owned()).collect();
        self.services.push(Service { name: name.to_owned(), versions, protocol, kind });
        self
    }

    /// A workload that only calls: a sidecar with an entry for every service.
    pub(crate) fn caller(mut self, name: &str) -> Self {
        self.callers.push(name.to_owned());
        self
    }

    /// The same in another namespace than everything else.
    pub(crate) fn caller_in(mut self, namespace: &str, name: &str) -> Self {
        self.namespaces.insert(name.to_owned(), namespace.to_owned());
        self.caller(name)
    }

    /// Namespace of a workload.
    pub(super) fn namespace(&self, workload: &str) -> &str {
        self.namespaces.get(workload).map_or(manifests::NAMESPACE, String::as_str)
    }

    /// A workload that the mesh knows, but whose sidecar the test starts, or whose place it takes.
    pub(crate) fn absent_caller(mut self, name: &str) -> Self {
        self.absent.push(name.to_owned());
        self
    }

    /// Where a workload is, `eu/a`.
    pub(crate) fn locality(mut self, workload: &str, locality: &str) -> Self {
        self.localities.insert(workload.to_owned(), locality.to_owned());
        self
    }

    /// Where a workload is; empty if nobody said.
    pub(super) fn locality_of(&self, workload: &str) -> &str {
        self.localities.get(workload).map_or("", String::as_str)
    }

    /// One more file of the configuration.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// Services that files bring: callers find these too.
    pub(crate) fn listed(mut self, services: impl IntoIterator<Item = String>) -> Self {
        self.listed.extend(services);
        self
    }

    /// Callers take this service's endpoints in turn. The default balancer may leave a slow one alone for a
    /// while; where each endpoint must have something to lose, this makes sure of it.
    pub(crate) fn in_turn(self, service: &str) -> Self {
        let policy = manifests::traffic_policy(service, "  loadBalancer: {policy: RoundRobin}\n");
        self.file(&format!("in-turn-{service}.yaml"), &policy)
    }

    /// Life of certificates, `10s`.
    pub(crate) fn leaf_lifetime(self, life: &str) -> Self {
        self.setting(&format!("leafLifetime: {life}"))
    }

    /// The control plane takes an issuing CA from [`Mesh::issuer_dir`].
    pub(crate) fn takes_issuer(mut self) -> Self {
        self.takes_issuer = true;
        self
    }

    /// The control plane has a port for Prometheus, [`Mesh::control_plane_health`].
    pub(crate) fn scraped(mut self) -> Self {
        self.is_scraped = true;
        self
    }

    /// Default mTLS mode; the harness sets none.
    pub(crate) fn mtls(self, mode: &str) -> Self {
        self.setting(&format!("mtls: {mode}"))
    }

    /// One more line of the `MeshConfig`'s spec.
    pub(crate) fn setting(mut self, line: &str) -> Self {
        self.mesh_spec += &format!("  {line}\n");
        self
    }

    /// Further arguments of every sidecar.
    pub(crate) fn proxy_args(mut self, args: &[&str]) -> Self {
        self.proxy_args.extend(args.iter().map(|&arg| arg.to_owned()));
        self
    }

    /// The sidecar of one workload starts in a process that a shell has prepared so: `ulimit -n 1024`.
    pub(crate) fn prepared(mut self, workload: &str, script: &str) -> Self {
        self.before.insert(workload.to_owned(), script.to_owned());
        self
    }

    /// One more environment variable of every sidecar.
    pub(crate) fn proxy_variable(mut self, name: &str, value: &str) -> Self {
        self.proxy_variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The clock of a workload's sidecar is so many seconds ahead, or behind.
    pub(crate) fn clock(mut self, workload: &str, ahead: i64) -> Self {
        self.clocks.insert(workload.to_owned(), ahead);
        self
    }

    /// The same of the control plane.
    pub(crate) fn control_plane_clock(self, ahead: i64) -> Self {
        self.clock("", ahead)
    }

    /// What the environment of that process has because of its clock, which is kept in `directory`.
    pub(super) fn clock_of(&self, workload: &str, directory: &Path) -> Vec<(String, String)> {
        let Some(ahead) = self.clocks.get(workload) else { return Vec::new() };
        let file = clock_file(directory, workload);
        skew::set(&file, *ahead);
        skew::by(&file).into()
    }

    /// Every Service that there is.
    pub(super) fn service_names(&self) -> Vec<String> {
        let own = self.services.iter().flat_map(Service::names).map(|(name, _)| name);
        own.chain(self.listed.iter().cloned()).collect()
    }

    /// Starts everything, and returns when everything is ready.
    pub(crate) async fn start(self) -> Mesh {
        self.try_start().await.expect("the mesh starts")
    }

    async fn try_start(self) -> Result<Mesh> {
        let directory = tempfile::Builder::new().prefix("weft-test-").tempdir()?;
        let network = Network::claim();
        let config_dir = directory.path().join("config");
        let state_dir = directory.path().join("run/weft/test/control-plane");
        for path in [&config_dir, &state_dir] {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
        }
        let hosts = self.write(&config_dir, &network)?;
        let (host, port) = CONTROL_PLANE;
        let log = directory.path().join("control-plane.log");
        let address = network.at(host, port);
        let issuer = ["--issuer-dir".into(), directory.path().join(super::ISSUER).into()];
        let health = network.at(host, super::HEALTH_PORT).to_string();
        let health = ["--health-listen".into(), health.into()];
        let mut more = if self.takes_issuer { issuer.to_vec() } else { Vec::new() };
        more.extend(health.into_iter().filter(|_| self.is_scraped));
        let clock = self.clock_of("", directory.path());
        let place = |mut program: Program| {
            program.args.extend(more.clone());
            program.variables.extend(clock.clone());
            program
        };
        let control_plane =
            ControlPlane::start_in(&config_dir, &state_dir, address, log, place).await?;
        let mesh = Mesh {
            sidecars: Mutex::default(),
            control_plane,
            apps: Mutex::default(),
            hosts: Mutex::new(hosts),
            settings: self,
            network,
            directory,
        };
        mesh.publish()?;
        mesh.populate().await?;
        Ok(mesh)
    }

    /// Writes the configuration; returns the workloads' hosts.
    fn write(&self, config_dir: &Path, network: &Network) -> Result<BTreeMap<String, u8>> {
        let put = |name: &str, text: &str| fs::write(config_dir.join(name), text);
        put("mesh.yaml", &manifests::mesh_config(TRUST_DOMAIN, &self.mesh_spec))?;
        for (name, text) in &self.files {
            put(name, text)?;
        }
        let mut hosts = BTreeMap::new();
        for (name, app, version, protocol) in self.workloads() {
            let host = super::FIRST_HOST + u8::try_from(hosts.len())?;
            let address = network.host(host);
            let namespace = self.namespace(&name);
            let workload = Workload {
                name: &name,
                namespace,
                app,
                version,
                account: app,
                address,
                protocol,
                locality: self.locality_of(&name),
            };
            put(&format!("workload-{name}.yaml"), &workload.to_yaml())?;
            hosts.insert(name, host);
        }
        for service in &self.services {
            for (name, version) in service.names() {
                let text =
                    manifests::service(&name, &service.name, version.as_deref(), service.protocol);
                put(&format!("service-{name}.yaml"), &text)?;
            }
        }
        Ok(hosts)
    }
}

fn clock_file(directory: &Path, workload: &str) -> PathBuf {
    directory.join(format!("clock-{workload}"))
}

impl Mesh {
    /// Sets the control plane's clock, which must have been given one of its own.
    pub(crate) fn set_control_plane_clock(&self, ahead: i64) {
        skew::set(&clock_file(self.directory.path(), ""), ahead);
    }
}

impl Builder {
    /// Name, app, version and protocol of every workload.
    fn workloads(&self) -> Vec<(String, &str, &str, &str)> {
        let mut workloads = Vec::new();
        for service in &self.services {
            for version in &service.versions {
                let name = workload_name(&service.name, version);
                workloads.push((name, &*service.name, &**version, service.protocol));
            }
        }
        let callers = self.callers.iter().chain(&self.absent);
        workloads.extend(callers.map(|name| (name.clone(), &**name, "v1", "http")));
        workloads
    }
}

impl Service {
    /// Its Services, with the version that each selects.
    fn names(&self) -> Vec<(String, Option<String>)> {
        let mut names = vec![(self.name.clone(), None)];
        if self.versions.len() > 1 {
            let one =
                |version: &String| (workload_name(&self.name, version), Some(version.clone()));
            names.extend(self.versions.iter().map(one));
        }
        names
    }
}

impl Mesh {
    /// Applications first, then all sidecars at once.
    async fn populate(&self) -> Result<()> {
        let mut sidecars = Vec::new();
        for service in &self.settings.services {
            for version in &service.versions {
                let name = workload_name(&service.name, version);
                if service.kind == Kind::Whole {
                    self.start_app(&name).await?;
                }
                if service.kind != Kind::Hollow {
                    sidecars.push(self.start_sidecar(&name, true).await?);
                }
            }
        }
        for caller in &self.settings.callers {
            sidecars.push(self.start_sidecar(caller, false).await?);
        }
        for sidecar in sidecars {
            sidecar.ready().await;
        }
        Ok(())
    }
}

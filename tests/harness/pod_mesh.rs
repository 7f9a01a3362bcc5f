//! A mesh in pods: applications that know nothing of it, each with a sidecar beside it that `weft-proxy init` leads
//! their connections to. The control plane runs where the pods' router is, as does what lies outside the mesh.

use std::collections::BTreeMap;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Result, ensure};
use serde_json::Value;

use super::control_plane::ControlPlane;
use super::manifests::{self, NAMESPACE};
use super::{
    Admin, Output, PROXY_UID, Pod, PodNetwork, Process, Program, TRUST_DOMAIN, binary, eventually,
    get,
};

/// Where the control plane listens, in the router's namespace.
const CONTROL_PLANE: u16 = 15010;
/// Where a sidecar says how it is.
const HEALTH: u16 = 15020;

/// Describes one.
#[derive(Clone, Debug, Default)]
pub(crate) struct PodBuilder {
    pods: Vec<PodSpec>,
    services: Vec<ServiceSpec>,
    files: Vec<(String, String)>,
    mesh_spec: String,
}

#[derive(Clone, Debug)]
struct PodSpec {
    name: String,
    app: String,
    meshed: bool,
    /// YAML, in one line each.
    ports: Vec<String>,
    probes: Vec<String>,
}

#[derive(Clone, Debug)]
struct ServiceSpec {
    name: String,
    app: String,
    /// Last part of its addresses; 0 for a headless one.
    number: u8,
    ports: Vec<String>,
}

/// A running mesh in pods. Everything of it goes with the value.
#[derive(Debug)]
pub(crate) struct PodMesh {
    // Order: dropped in this order, so that nobody logs about a peer that went first.
    sidecars: BTreeMap<String, Process>,
    control_plane: ControlPlane,
    pods: BTreeMap<String, Pod>,
    network: PodNetwork,
    config_dir: PathBuf,
}

impl PodBuilder {
    /// A pod with a sidecar; its `app` is its name.
    pub(crate) fn pod(self, name: &str) -> Self {
        self.pod_of(name, name, true)
    }

    /// A pod that a Service finds by another name than its own.
    pub(crate) fn pod_of(mut self, name: &str, app: &str, meshed: bool) -> Self {
        let (name, app) = (name.to_owned(), app.to_owned());
        self.pods.push(PodSpec { name, app, meshed, ports: vec![], probes: vec![] });
        self
    }

    /// A port that the last pod declares: `{name: main, port: 80, appProtocol: http}`.
    pub(crate) fn port(mut self, yaml: &str) -> Self {
        self.pods.last_mut().expect("a pod first").ports.push(yaml.to_owned());
        self
    }

    /// A probe of the last pod: `{port: 80, path: /healthz}`.
    pub(crate) fn probe(mut self, yaml: &str) -> Self {
        self.pods.last_mut().expect("a pod first").probes.push(yaml.to_owned());
        self
    }

    /// A Service for the pods of that app: `number` is the last part of its addresses, 0 for a headless one; ports are
    /// YAML: `{name: main, port: 80, targetPort: 8080, appProtocol: http}`.
    pub(crate) fn service(mut self, name: &str, app: &str, number: u8, ports: &[&str]) -> Self {
        let ports = ports.iter().map(|&port| port.to_owned()).collect();
        let (name, app) = (name.to_owned(), app.to_owned());
        self.services.push(ServiceSpec { name, app, number, ports });
        self
    }

    /// One more file of the configuration.
    pub(crate) fn file(mut self, name: &str, text: &str) -> Self {
        self.files.push((name.to_owned(), text.to_owned()));
        self
    }

    /// A line of `MeshConfig.spec`.
    pub(crate) fn setting(mut self, line: &str) -> Self {
        self.mesh_spec += &format!("  {line}\n");
        self
    }

    /// Starts everything but the applications. `None` if this machine lets us have no pods; then it has said so loudly.
    pub(crate) async fn start(self, test: &str) -> Option<PodMesh> {
        let network = PodNetwork::create(test)?;
        Some(self.populate(network).await.expect("the mesh starts"))
    }

    async fn populate(self, network: PodNetwork) -> Result<PodMesh> {
        let config_dir = network.directory().join("config");
        let state_dir = network.directory().join("control-plane");
        for path in [&config_dir, &state_dir] {
            fs::DirBuilder::new().mode(0o700).create(path)?;
        }
        let pods: BTreeMap<_, _> =
            self.pods.iter().map(|spec| (spec.name.clone(), network.pod(&spec.name))).collect();
        self.write(&config_dir, &pods)?;
        let log = network.directory().join("control-plane.log");
        let address = network.router().v4(CONTROL_PLANE);
        let place = |program| network.router().program(0, program);
        let control_plane =
            ControlPlane::start_in(&config_dir, &state_dir, address, log, place).await?;
        let mut mesh =
            PodMesh { sidecars: BTreeMap::new(), control_plane, pods, network, config_dir };
        for spec in self.pods.iter().filter(|spec| spec.meshed) {
            mesh.inject(&spec.name).await?;
        }
        for name in mesh.sidecars.keys() {
            mesh.ready(name).await;
        }
        Ok(mesh)
    }

    fn write(&self, config_dir: &std::path::Path, pods: &BTreeMap<String, Pod>) -> Result<()> {
        let put = |name: &str, text: &str| fs::write(config_dir.join(name), text);
        put("mesh.yaml", &manifests::mesh_config(TRUST_DOMAIN, &self.mesh_spec))?;
        for (name, text) in &self.files {
            put(name, text)?;
        }
        for spec in &self.pods {
            put(&format!("workload-{}.yaml", spec.name), &spec.to_yaml(&pods[&spec.name]))?;
        }
        for service in &self.services {
            put(&format!("service-{}.yaml", service.name), &service.to_yaml())?;
        }
        Ok(())
    }
}

impl PodSpec {
    fn to_yaml(&self, pod: &Pod) -> String {
        let Self { name, app, meshed, ports, probes } = self;
        let (ports, probes, address) = (ports.join(", "), probes.join(", "), pod.v4(0).ip());
        format!(
            "apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: {name}, namespace: {NAMESPACE}, labels: {{app: {app}}}}}
spec:
  address: {address}
  serviceAccount: {name}
  meshed: {meshed}
  ports: [{ports}]
  probes: [{probes}]
"
        )
    }
}

impl ServiceSpec {
    fn to_yaml(&self) -> String {
        let Self { name, app, number, ports } = self;
        let ports = ports.join(", ");
        let addresses = match number {
            0 => "None".to_owned(),
            number => {
                let v4 = PodNetwork::service_v4(*number, 0).ip();
                let v6 = PodNetwork::service_v6(*number, 0).ip();
                format!("{v4}\n  clusterIPs: [{v4}, \"{v6}\"]")
            }
        };
        format!(
            "apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: {NAMESPACE}}}
spec:
  clusterIP: {addresses}
  selector: {{app: {app}}}
  ports: [{ports}]
"
        )
    }
}

impl PodMesh {
    /// Begins to describe one.
    pub(crate) fn builder() -> PodBuilder {
        PodBuilder::default()
    }

    /// A pod.
    pub(crate) fn pod(&self, name: &str) -> &Pod {
        self.pods.get(name).unwrap_or_else(|| panic!("no pod {name}"))
    }

    /// Where nothing is of the mesh.
    pub(crate) fn outside(&self) -> &Pod {
        self.network.router()
    }

    /// The network.
    pub(crate) fn network(&self) -> &PodNetwork {
        &self.network
    }

    /// The control plane.
    pub(crate) fn control_plane(&self) -> &ControlPlane {
        &self.control_plane
    }

    /// The sidecar of a pod.
    pub(crate) fn sidecar(&self, name: &str) -> &Process {
        self.sidecars.get(name).unwrap_or_else(|| panic!("no sidecar in {name}"))
    }

    /// Its admin socket.
    pub(crate) fn admin(&self, name: &str) -> Admin {
        Admin::of(&self.state_dir(name))
    }

    /// Writes a file of the configuration, as an editor does: whole, then renamed.
    pub(crate) fn write(&self, file: &str, text: &str) {
        let fresh = self.config_dir.join(format!(".{file}.new"));
        fs::write(&fresh, text).expect("the directory is ours");
        fs::rename(&fresh, self.config_dir.join(file)).expect("the directory is ours");
    }

    /// Waits until the sidecar of a pod is ready.
    pub(crate) async fn ready(&self, name: &str) {
        let health = self.health(name);
        let what = format!("the sidecar in {name} is ready");
        eventually(&what, Duration::from_secs(30), async || {
            self.sidecar(name).pid()?;
            let answer = self.outside().on(get(health, "/ready")).await?;
            ensure!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
            Ok(())
        })
        .await;
    }

    /// Its metrics: the sum of all samples of one name whose labels contain each of `labels`.
    pub(crate) async fn metric(&self, pod: &str, name: &str, labels: &[&str]) -> Result<f64> {
        let answer = self.outside().on(get(self.health(pod), "/metrics")).await?;
        let text = String::from_utf8_lossy(&answer.body).into_owned();
        let samples = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| {
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        Ok(samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }

    /// Runs `weft-proxy` with these arguments in a pod, as root, as an init container does.
    pub(crate) async fn init(&self, pod: &str, args: &[&str]) -> Output {
        self.pod(pod).run(&self.network.installed(&binary("weft-proxy")), args).await
    }

    /// The sidecar: rules first, then the proxy as a user of its own, with no capabilities.
    async fn inject(&mut self, name: &str) -> Result<()> {
        let output = self.init(name, &["init"]).await;
        ensure!(output.code == Some(0), "{output:?}");
        let program = Program {
            name: format!("sidecar of {name}"),
            path: self.network.installed(&binary("weft-proxy")),
            args: ["--workers", "1", "--access-log", "all"].map(Into::into).to_vec(),
            variables: self.environment(name).await?,
            log: self.log(name),
        };
        let process = Process::start(self.pod(name).program(PROXY_UID, program))?;
        self.sidecars.insert(name.to_owned(), process);
        Ok(())
    }

    /// What an injector tells a sidecar, and the two files that the kubelet mounts. A join token proves it as a
    /// service-account token would, once.
    async fn environment(&self, name: &str) -> Result<Vec<(String, String)>> {
        let bootstrap = self.control_plane.join(&format!("{name}.{NAMESPACE}")).await?;
        let given = |pointer: &str| {
            bootstrap.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        let volume = self.network.directory().join(format!("{name}-volume"));
        fs::create_dir(&volume)?;
        fs::write(volume.join("root.pem"), given("/trust_bundle"))?;
        fs::write(volume.join("token"), given("/join_token"))?;
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let variables = [
            ("WEFT_POD_NAME", name.to_owned()),
            ("WEFT_POD_NAMESPACE", NAMESPACE.to_owned()),
            ("WEFT_SERVICE_ACCOUNT", name.to_owned()),
            ("WEFT_CONTROL_PLANE", self.control_plane.address().to_string()),
            ("WEFT_TRUST_BUNDLE", text(volume.join("root.pem"))),
            ("WEFT_IDENTITY_TOKEN", text(volume.join("token"))),
            ("WEFT_STATE_DIR", text(self.state_dir(name))),
            ("WEFT_TRANSPARENT", "true".to_owned()),
        ];
        Ok(variables.map(|(name, value)| (name.to_owned(), value)).to_vec())
    }

    /// The output of a sidecar, its access log in it.
    pub(crate) fn log(&self, name: &str) -> PathBuf {
        self.network.directory().join(format!("{name}.log"))
    }

    fn state_dir(&self, name: &str) -> PathBuf {
        self.pod(name).home(PROXY_UID).join("state")
    }

    fn health(&self, name: &str) -> SocketAddr {
        self.pod(name).v4(HEALTH)
    }
}

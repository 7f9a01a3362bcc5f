//! Everything that `weft check` looks at, gathered before anything is judged.

use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Result;
use nix::sys::resource::{Resource, getrlimit};
use serde_json::Value;

use crate::admin::{AdminError, BrokenTraces, Finding, MeshInfo, Proxy};
use crate::environment::Environment;
use crate::mesh::{Mesh, sidecar_socket};
use crate::moment::Moment;
use crate::run_dir::proxy_dir;

/// What was found.
#[derive(Clone, Debug)]
pub(super) struct Facts {
    pub(super) machine: Machine,
    /// `None`: no mesh runs.
    pub(super) mesh: Option<MeshFacts>,
    pub(super) now: Moment,
}

/// About the machine.
#[derive(Clone, Debug)]
pub(super) struct Machine {
    pub(super) run_root: PathBuf,
    pub(super) directory: RunDirectory,
    /// Soft and hard limit of open files.
    pub(super) open_files: Option<(u64, u64)>,
    /// The machine's clock, seconds since 1970.
    pub(super) clock: Moment,
    /// Can 127.66.0.1 be listened on, as each workload of a local mesh does?
    pub(super) loopback: Result<(), String>,
    /// `None`: a mesh runs, so its ports are rightly taken. Else: is the shop's port free?
    pub(super) shop_port: Option<bool>,
}

/// The directory of running meshes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RunDirectory {
    /// Not there yet; it is made when a mesh starts.
    Missing,
    /// There, and only its owner may enter.
    Private,
    /// There, but others may enter.
    Open,
    /// There, but somebody else's, or no directory.
    Foreign,
}

/// About the running mesh.
#[derive(Clone, Debug)]
pub(super) struct MeshFacts {
    pub(super) name: String,
    /// The process that runs it.
    pub(super) pid: u32,
    /// Is the control plane ready? Its refusal otherwise.
    pub(super) ready: Result<(), String>,
    pub(super) version: Option<String>,
    pub(super) proxies: Vec<Proxy>,
    pub(super) findings: Vec<Finding>,
    /// Workloads that break traces.
    pub(super) broken_traces: Vec<BrokenTraces>,
    /// Sidecars with a state directory here.
    pub(super) sidecars: Vec<Sidecar>,
    /// The directory of manifests that it reads.
    pub(super) config_dir: PathBuf,
    /// The control plane's port and what a person may open, and whether something listens there.
    pub(super) urls: Vec<(String, bool)>,
}

/// A sidecar of this machine, by what it says itself: that counts where no control plane has heard of it.
#[derive(Clone, Debug, Default)]
pub(super) struct Sidecar {
    pub(super) workload: String,
    /// Does it say that it is ready?
    pub(super) ready: bool,
    /// Why not, in its own words; empty if it says nothing.
    pub(super) refusal: String,
    /// Its certificate; null if it says nothing.
    pub(super) certificate: Value,
}

/// Looks at everything; changes nothing.
pub(super) async fn gather(mesh: Option<&str>, environment: &Environment) -> Result<Facts> {
    let mesh = match Mesh::look(mesh, environment)? {
        Some(mesh) => Some(mesh_facts(&mesh).await),
        None => None,
    };
    Ok(Facts { machine: machine(environment, mesh.is_some()), mesh, now: Moment::now() })
}

fn machine(environment: &Environment, mesh_runs: bool) -> Machine {
    let can_listen = |address: SocketAddr| TcpListener::bind(address).map(drop);
    let loopback = can_listen(SocketAddr::from(([127, 66, 0, 1], 0))).map_err(|e| e.to_string());
    Machine {
        run_root: environment.run_root.clone(),
        directory: run_directory(environment),
        open_files: getrlimit(Resource::RLIMIT_NOFILE).ok(),
        clock: Moment::now(),
        loopback,
        shop_port: (!mesh_runs).then(|| can_listen(([127, 0, 0, 1], 8080).into()).is_ok()),
    }
}

fn run_directory(environment: &Environment) -> RunDirectory {
    match std::fs::symlink_metadata(&environment.run_root) {
        Err(_) => RunDirectory::Missing,
        Ok(found) if !found.is_dir() || found.uid() != nix::unistd::geteuid().as_raw() => {
            RunDirectory::Foreign
        }
        Ok(found) if found.mode() & 0o077 != 0 => RunDirectory::Open,
        Ok(_) => RunDirectory::Private,
    }
}

async fn mesh_facts(mesh: &Mesh) -> MeshFacts {
    let admin = mesh.control_plane();
    let ready: Result<(), AdminError> = admin.ready().await;
    let version: Option<Value> = admin.get("/v1/version").await.ok();
    let mut sidecars = Vec::new();
    for workload in mesh.workloads() {
        let socket = sidecar_socket(&proxy_dir(&mesh.directory, &workload));
        let certificate = socket.get("/v1/config/certificate").await.unwrap_or_default();
        let ready = socket.ready().await;
        let refusal = match &ready {
            Err(AdminError::Refused { message, .. }) => message.clone(),
            Ok(()) | Err(_) => String::new(),
        };
        sidecars.push(Sidecar { workload, ready: ready.is_ok(), refusal, certificate });
    }
    let mut urls = Vec::new();
    let info: MeshInfo = admin.get("/v1/mesh").await.unwrap_or_default();
    let grpc = info.grpc_address.map(|address| format!("https://{address}"));
    for url in grpc.iter().chain(mesh.record.urls.values()) {
        urls.push((url.clone(), answers(url).await));
    }
    MeshFacts {
        name: mesh.record.name.clone(),
        pid: mesh.record.pid,
        ready: ready.map_err(|error| error.to_string()),
        version: version.and_then(|answer| Some(answer.get("version")?.as_str()?.to_owned())),
        proxies: admin.get("/v1/proxies").await.unwrap_or_default(),
        findings: admin.get("/v1/analysis").await.unwrap_or_default(),
        broken_traces: admin.get("/v1/traces/broken").await.unwrap_or_default(),
        sidecars,
        config_dir: mesh.record.config_dir.clone(),
        urls,
    }
}

/// Does something accept connections behind this URL?
async fn answers(url: &str) -> bool {
    let Some(authority) = url.parse::<http::Uri>().ok().and_then(|uri| uri.authority().cloned())
    else {
        return false;
    };
    let connecting = tokio::net::TcpStream::connect(authority.as_str());
    matches!(tokio::time::timeout(Duration::from_secs(2), connecting).await, Ok(Ok(_)))
}

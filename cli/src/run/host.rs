//! The mesh that `weft run` joins: one that runs, or one whose control plane this process starts.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;

use anyhow::{Context, Result};

use super::POLL;
use crate::admin::AdminSocket;
use crate::args::RunArgs;
use crate::environment::Environment;
use crate::mesh::Mesh;
use crate::output::Output;
use crate::process::{Inlet, Keeper, Spec};
use crate::run_dir::{MeshDir, MeshRecord, RunRoot};

/// Name of a mesh that nobody named.
const NAME: &str = "local";
const GRPC: u16 = 15010;
/// How many ports are tried one after the other.
const TRIES: u16 = 200;

/// A mesh to be in.
#[derive(Debug)]
pub(super) enum Host {
    /// Somebody else runs it.
    Joined(Mesh),
    /// This process runs it. Order: the control plane goes before its directory.
    Own(Keeper, MeshDir),
}

impl Host {
    /// Joins the mesh that runs, or starts a control plane for `--config-dir`.
    ///
    /// # Errors
    /// None runs and no directory is given, or the control plane cannot be started.
    pub(super) async fn find_or_start(
        args: &RunArgs,
        mesh: Option<&str>,
        environment: &Environment,
        output: &Output,
        inlet: &Inlet,
    ) -> Result<Self> {
        let Some(config_dir) = &args.config_dir else {
            return Ok(Self::Joined(Mesh::find(mesh, environment)?));
        };
        let name = mesh.unwrap_or(NAME);
        let root = RunRoot::open(&environment.run_root)?;
        loop {
            if let Some(running) = Mesh::look(Some(name), environment)? {
                output.note(&format!("▸ mesh `{name}` runs already; its configuration is used"));
                return Ok(Self::Joined(running));
            }
            if let Some(directory) = root.claim(name)? {
                return Self::start(directory, config_dir, inlet).await;
            }
            // Race: another `weft run` has claimed it and is about to publish it; the caller has a deadline.
            tokio::time::sleep(POLL).await;
        }
    }

    async fn start(directory: MeshDir, config_dir: &Path, inlet: &Inlet) -> Result<Self> {
        let config_dir = config_dir
            .canonicalize()
            .with_context(|| format!("cannot read {}", config_dir.display()))?;
        let listen = free_port()?;
        let spec = Spec {
            name: "control plane".to_owned(),
            args: vec![
                "control-plane".into(),
                "--config-dir".into(),
                config_dir.clone().into(),
                "--state-dir".into(),
                directory.control_plane().into(),
                "--listen".into(),
                listen.to_string().into(),
                "--mesh".into(),
                directory.name().into(),
                "--log-format".into(),
                "text".into(),
            ],
            variables: Vec::new(),
        };
        let mut control_plane = Keeper::new(inlet.clone());
        control_plane.keep(spec, None);
        let admin = AdminSocket::new(&directory.admin());
        while admin.ready().await.is_err() {
            tokio::time::sleep(POLL).await;
        }
        directory.publish(&MeshRecord {
            name: directory.name().to_owned(),
            pid: std::process::id(),
            admin: directory.admin(),
            config_dir,
            urls: std::collections::BTreeMap::new(),
        })?;
        Ok(Self::Own(control_plane, directory))
    }

    /// The mesh's name.
    pub(super) fn name(&self) -> &str {
        match self {
            Self::Joined(mesh) => &mesh.record.name,
            Self::Own(_, directory) => directory.name(),
        }
    }

    /// The mesh's directory.
    pub(super) fn directory(&self) -> &Path {
        match self {
            Self::Joined(mesh) => &mesh.directory,
            Self::Own(_, directory) => directory.path(),
        }
    }

    /// The control plane's admin socket.
    pub(super) fn admin(&self) -> AdminSocket {
        match self {
            Self::Joined(mesh) => mesh.control_plane(),
            Self::Own(_, directory) => AdminSocket::new(&directory.admin()),
        }
    }

    /// Ends the control plane if it is ours.
    pub(super) async fn stop(self) {
        match self {
            Self::Joined(_) => {}
            Self::Own(control_plane, directory) => {
                control_plane.stop().await;
                drop(directory);
            }
        }
    }
}

fn free_port() -> Result<SocketAddr> {
    (GRPC..GRPC + TRIES)
        .map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        .find(|address| TcpListener::bind(address).is_ok())
        .with_context(|| format!("no port from {GRPC} on is free for the control plane"))
}

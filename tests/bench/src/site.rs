//! What all peers of one run share: the temporary directory, ports, certificates, the application, and where
//! programs are found.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use tempfile::TempDir;

use crate::peer::{CLIENT, Credentials, SERVER};
use crate::pki::Authority;
use crate::process::Process;
use crate::socket::Ports;

/// Where the programs of the peers are.
#[derive(Clone, Debug)]
pub(crate) struct Programs {
    /// This very program, for the application and the floor.
    pub(crate) own: PathBuf,
    /// Directory of `weft-proxy` and `weft-control-plane`.
    pub(crate) weft: PathBuf,
    /// The same of another build, to compare with.
    pub(crate) baseline: Option<PathBuf>,
    /// Envoy, where it is asked for.
    pub(crate) envoy: Option<PathBuf>,
}

/// The place of a run. Field order is drop order: processes end before their directory goes.
#[derive(Debug)]
pub(crate) struct Site {
    app: Process,
    pub(crate) app_address: SocketAddr,
    /// The application's opaque port.
    pub(crate) opaque_address: SocketAddr,
    pub(crate) ports: Ports,
    pub(crate) programs: Programs,
    /// Trust anchor of the peers that have no CA of their own.
    pub(crate) ca: PathBuf,
    /// Certificates under that anchor, and forged ones.
    pub(crate) credentials: Credentials,
    dir: TempDir,
}

impl Site {
    /// Makes the certificates and starts the application.
    pub(crate) fn open(programs: Programs) -> Result<Self> {
        let dir = tempfile::Builder::new().prefix("weft-bench-").tempdir()?;
        let certificates = dir.path().join("certificates");
        let authority = Authority::create(&certificates, "ca")?;
        let rogue = Authority::create(&certificates, "rogue-ca")?;
        let credentials = Credentials {
            client: authority.issue("client", CLIENT)?,
            server: authority.issue("server", SERVER)?,
            rogue_client: rogue.issue("rogue-client", CLIENT)?,
            rogue_server: rogue.issue("rogue-server", SERVER)?,
        };
        let ports = Ports::new();
        let (app_address, opaque_address) = (ports.take()?, ports.take()?);
        let mut command = Command::new(&programs.own);
        command.args(["app", "--listen", &app_address.to_string()]);
        command.args(["--opaque", &opaque_address.to_string()]);
        let app = Process::start("app", &mut command, dir.path())?;
        let ca = authority.certificate;
        Ok(Self { app, app_address, opaque_address, ports, programs, ca, credentials, dir })
    }

    /// A new directory of this run.
    pub(crate) fn subdir(&self, name: &str) -> Result<PathBuf> {
        let path = self.dir.path().join(name);
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot create {}", path.display()))?;
        Ok(path)
    }

    /// An error if the application has ended.
    pub(crate) fn check(&mut self) -> Result<()> {
        self.app.check()
    }

    /// Leaves the directory behind, for its logs and configuration.
    pub(crate) fn keep(&mut self) -> &Path {
        self.dir.disable_cleanup(true);
        self.dir.path()
    }
}

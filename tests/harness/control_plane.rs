//! The control plane of a test's mesh, a process.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use anyhow::{Result, ensure};
use http::Method;
use serde_json::{Value, json};
use weft_certs::{Authority, SpiffeId, TrustDomain};

use super::kubernetes::Api;
use super::{Admin, Process, Program, binary, eventually};

/// A running, or killed, control plane.
#[derive(Debug)]
pub(crate) struct ControlPlane {
    process: Process,
    state_dir: PathBuf,
    address: SocketAddr,
}

impl ControlPlane {
    /// Starts it, and waits until it is ready; `place` changes how it is started.
    pub(super) async fn start_in(
        config_dir: &Path,
        state_dir: &Path,
        address: SocketAddr,
        log: PathBuf,
        place: impl Fn(Program) -> Program,
    ) -> Result<Self> {
        let args = [
            "--config-dir".into(),
            config_dir.into(),
            "--state-dir".into(),
            state_dir.into(),
            "--listen".into(),
            address.to_string().into(),
            "--mesh".into(),
            "test".into(),
        ];
        let process = Process::start(place(Program {
            name: "control plane".to_owned(),
            path: binary("weft-control-plane"),
            args: args.into(),
            variables: Vec::new(),
            log,
        }))?;
        let this = Self { process, state_dir: state_dir.to_owned(), address };
        this.ready().await;
        Ok(this)
    }

    /// Starts one of a cluster, which asks the API as whoever `api` asks it; `args` are what replicas differ in. It is
    /// not ready yet. Its log lies beside `state_dir`.
    pub(crate) fn start_in_cluster(
        api: &Api,
        state_dir: &Path,
        address: SocketAddr,
        args: &[String],
    ) -> Result<Self> {
        let ours: [OsString; 5] = [
            "--kubernetes".into(),
            "--state-dir".into(),
            state_dir.into(),
            "--listen".into(),
            address.to_string().into(),
        ];
        let process = Process::start(Program {
            name: format!("control plane {}", args.join(" ")),
            path: binary("weft-control-plane"),
            args: ours.into_iter().chain(args.iter().map(Into::into)).collect(),
            variables: vec![(
                "KUBECONFIG".to_owned(),
                api.kubeconfig().to_string_lossy().into_owned(),
            )],
            log: state_dir.with_extension("log"),
        })?;
        Ok(Self { process, state_dir: state_dir.to_owned(), address })
    }

    /// The process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Its port for proxies.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its state directory, which holds its CA.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.state_dir
    }

    /// Its admin socket.
    pub(crate) fn admin(&self) -> Admin {
        Admin::of(&self.state_dir)
    }

    /// Starts it again, with the state it left.
    pub(crate) async fn restart(&self) {
        self.process.start_again().expect("it starts again");
        self.ready().await;
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        eventually("the control plane is ready", Duration::from_secs(20), async || {
            self.process.pid()?;
            let answer = self.admin().ask(Method::GET, "/ready", "").await?;
            ensure!(answer.status.is_success(), "{answer:?}");
            Ok(())
        })
        .await;
    }

    /// A bootstrap file's content with a new join token for `workload`, `name.namespace`.
    pub(crate) async fn join(&self, workload: &str) -> Result<Value> {
        self.admin().post("/v1/join-tokens", &json!({ "workload": workload })).await
    }

    /// What the control plane holds of one proxy.
    pub(crate) async fn proxy(&self, workload: &str) -> Result<Value> {
        let proxies = self.admin().get("/v1/proxies").await?;
        let all = proxies.as_array().cloned().unwrap_or_default();
        let found = all.into_iter().find(|proxy| proxy["workload"] == workload);
        found.ok_or_else(|| anyhow::anyhow!("{workload} is not in {proxies}"))
    }

    /// Its CA, to issue what it never would.
    pub(crate) fn authority(&self) -> Authority {
        let domain: TrustDomain = super::TRUST_DOMAIN.parse().expect("it is one");
        Authority::load_or_create(&self.state_dir.join("ca"), &domain, SystemTime::now())
            .expect("the CA of the control plane")
    }

    /// Its SPIFFE id.
    pub(crate) fn id(&self) -> SpiffeId {
        let domain: TrustDomain = super::TRUST_DOMAIN.parse().expect("it is one");
        SpiffeId::workload(&domain, "weft-system", "weft-control-plane").expect("it is one")
    }
}

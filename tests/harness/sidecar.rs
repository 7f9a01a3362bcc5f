//! One sidecar of a test's mesh, a process.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::{Admin, Output, Process, Program, binary, eventually, get, run};

/// What a sidecar is started with.
#[derive(Clone, Debug)]
pub(super) struct Launch {
    /// `product-v1.shop`.
    pub(super) workload: String,
    /// What the control plane gave it.
    pub(super) bootstrap: Value,
    /// It is told by its environment and two files, as in a pod, and not by a bootstrap file.
    pub(super) in_pod: bool,
    /// Its state directory.
    pub(super) state_dir: PathBuf,
    /// Where peers connect, and the application; `None` for a workload that only calls.
    pub(super) inbound: Option<(SocketAddr, SocketAddr)>,
    /// Where its application finds each Service.
    pub(super) entries: BTreeMap<String, SocketAddr>,
    /// `/ready` and `/metrics`.
    pub(super) health: SocketAddr,
    /// What a shell does in its process before it starts.
    pub(super) before: Option<String>,
    /// Further arguments.
    pub(super) args: Vec<String>,
    /// Its environment.
    pub(super) variables: Vec<(String, String)>,
    /// Where its output goes.
    pub(super) log: PathBuf,
}

/// A running, or stopped, sidecar.
#[derive(Debug)]
pub(crate) struct Sidecar {
    launch: Launch,
    process: Process,
}

impl Sidecar {
    /// Starts it; it is not ready yet.
    pub(super) fn start(mut launch: Launch) -> Result<Self> {
        if launch.in_pod {
            launch.mount()?;
        } else {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(&launch.state_dir)?;
            let file = launch.bootstrap_file();
            fs::write(&file, launch.bootstrap.to_string())?;
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600))?;
        }
        let (path, args) = launch.command();
        let process = Process::start(Program {
            name: format!("sidecar of {}", launch.workload),
            path,
            args,
            variables: launch.variables.clone(),
            log: launch.log.clone(),
        })?;
        Ok(Self { launch, process })
    }

    /// The process.
    pub(crate) fn process(&self) -> &Process {
        &self.process
    }

    /// Where its application finds the Service of this name.
    pub(crate) fn entry(&self, service: &str) -> SocketAddr {
        *self.launch.entries.get(service).unwrap_or_else(|| panic!("nobody calls {service}"))
    }

    /// Where its peers connect.
    pub(crate) fn inbound(&self) -> SocketAddr {
        self.launch.inbound.expect("the workload serves").0
    }

    /// A file that is mounted into its pod, `token` or `root.pem`.
    pub(crate) fn mounted(&self, file: &str) -> PathBuf {
        self.launch.volume().join(file)
    }

    /// Its state directory.
    pub(crate) fn state_dir(&self) -> &Path {
        &self.launch.state_dir
    }

    /// Its admin socket.
    pub(crate) fn admin(&self) -> Admin {
        Admin::of(&self.launch.state_dir)
    }

    /// Where probes and scrapers come.
    pub(crate) fn health(&self) -> SocketAddr {
        self.launch.health
    }

    /// Is it ready now? An error says why not.
    pub(crate) async fn readiness(&self) -> Result<()> {
        self.process.pid()?;
        let answer = get(self.launch.health, "/ready").await?;
        ensure!(answer.status.is_success(), "{}", String::from_utf8_lossy(&answer.body));
        Ok(())
    }

    /// Waits until it is ready.
    pub(crate) async fn ready(&self) {
        let what = format!("the sidecar of {} is ready", self.launch.workload);
        eventually(&what, Duration::from_secs(20), async || self.readiness().await).await;
    }

    /// Starts it again with the state it left, and waits until it is ready.
    pub(crate) async fn restart(&self) {
        self.process.start_again().expect("it starts again");
        self.ready().await;
    }

    /// `weft-proxy drain`: returns when it has drained.
    pub(crate) async fn drain(&self) -> Output {
        let state_dir = self.launch.state_dir.clone();
        let args = match self.launch.in_pod {
            true => vec!["drain".into()],
            false => vec!["drain".into(), "--state-dir".into(), state_dir.into()],
        };
        let program = Program {
            name: "weft-proxy drain".to_owned(),
            path: binary("weft-proxy"),
            args,
            variables: self.launch.variables.clone(),
            log: PathBuf::new(),
        };
        run(&program, Duration::from_secs(20)).await
    }

    /// Bytes of memory that it has now.
    pub(crate) fn rss(&self) -> u64 {
        self.process.rss()
    }

    /// The most memory that it has had since [`Self::forget_peak`], in bytes.
    pub(crate) fn peak(&self) -> u64 {
        self.process.peak()
    }

    /// From now on the peak counts anew.
    pub(crate) fn forget_peak(&self) {
        self.process.forget_peak();
    }

    /// Files and sockets that it has open.
    pub(crate) fn open_files(&self) -> usize {
        let pid = self.process.pid().expect("it runs");
        fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is ours").count()
    }

    /// Its metrics as Prometheus gets them.
    pub(crate) async fn metrics(&self) -> Result<String> {
        let answer = get(self.launch.health, "/metrics").await?;
        Ok(String::from_utf8_lossy(&answer.body).into_owned())
    }

    /// The sum of all samples of one metric whose labels contain each of `labels` (`direction="outbound"`).
    pub(crate) async fn metric(&self, name: &str, labels: &[&str]) -> Result<f64> {
        let text = self.metrics().await?;
        let samples = text.lines().filter_map(|line| line.strip_prefix(name)).filter(|rest| {
            rest.starts_with(['{', ' ']) && labels.iter().all(|label| rest.contains(label))
        });
        Ok(samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok()).sum())
    }
}

impl Launch {
    fn bootstrap_file(&self) -> PathBuf {
        self.state_dir.join("bootstrap.json")
    }

    /// What the kubelet mounts: beside the log, whose name is the workload's.
    fn volume(&self) -> PathBuf {
        self.log.with_extension("volume")
    }

    /// Does the part of the kubelet: volumes, one of them for the state directory and open to everybody, and the
    /// environment that the injector wrote.
    fn mount(&mut self) -> Result<()> {
        let volume = self.volume();
        let shared = volume.join("state");
        fs::create_dir_all(&shared)?;
        fs::set_permissions(&shared, fs::Permissions::from_mode(0o777))?;
        let given = |pointer: &str| {
            self.bootstrap.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
        };
        fs::write(volume.join("root.pem"), given("/trust_bundle"))?;
        fs::write(volume.join("token"), given("/join_token"))?;
        let identity = given("/identity");
        let (pod, namespace) = self.workload.rsplit_once('.').context("a workload")?;
        let file = |name: &str| volume.join(name).to_string_lossy().into_owned();
        let variables = [
            ("WEFT_POD_NAME", pod.to_owned()),
            ("WEFT_POD_NAMESPACE", namespace.to_owned()),
            ("WEFT_SERVICE_ACCOUNT", identity.rsplit('/').next().unwrap_or_default().to_owned()),
            ("WEFT_CONTROL_PLANE", given("/control_plane/address")),
            ("WEFT_TRUST_BUNDLE", file("root.pem")),
            ("WEFT_IDENTITY_TOKEN", file("token")),
            ("WEFT_STATE_DIR", file("state/own")),
            ("WEFT_SERVICE_NAME", "called-so".to_owned()),
            ("WEFT_SERVICE_VERSION", String::new()),
        ];
        let variables = variables.map(|(name, value)| (name.to_owned(), value));
        self.variables.extend(variables);
        self.state_dir = shared.join("own");
        Ok(())
    }

    fn command(&self) -> (PathBuf, Vec<OsString>) {
        let proxy = binary("weft-proxy");
        let Some(before) = &self.before else { return (proxy, self.arguments()) };
        let shell = format!("{before}; exec \"$0\" \"$@\"");
        let mut args = vec!["-ec".into(), shell.into(), proxy.into()];
        args.extend(self.arguments());
        ("/bin/sh".into(), args)
    }

    fn arguments(&self) -> Vec<OsString> {
        let mut args: Vec<OsString> =
            vec!["--health".into(), self.health.to_string().into(), "--workers".into(), "1".into()];
        if !self.in_pod {
            args.extend(["--bootstrap".into(), self.bootstrap_file().into()]);
            args.extend(["--state-dir".into(), self.state_dir.clone().into()]);
        }
        if let Some((listen, app)) = self.inbound {
            args.extend(["--inbound".into(), format!("{listen}={app}").into()]);
        }
        for (service, listen) in &self.entries {
            let port = super::manifests::SERVICE_PORT;
            let namespace = super::manifests::NAMESPACE;
            args.extend([
                "--upstream".into(),
                format!("{listen}={service}.{namespace}:{port}").into(),
            ]);
        }
        args.extend(self.args.iter().map(OsString::from));
        args
    }
}

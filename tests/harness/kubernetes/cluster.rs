//! The node tier: all of Kubernetes with one node, booted by the scripts of `tests/kubernetes/cluster` once for all
//! tests of this process. Its pods, Services and node are reached from here by their addresses.
//!
//! It ends with this process, however that ends: the script that has booted it holds one end of a pipe, and removes
//! everything once nobody holds the other. What is left of a script that was killed is removed by the next.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::IpAddr;
use std::ops::Deref;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;
use tokio::sync::{Mutex, MutexGuard, OnceCell};

use super::{Api, Namespace, images, programs_are_there};
use crate::harness::{loud, tools};

/// Programs that a node needs, and Debian's packages of them.
const NEEDED: [(&str, &str); 7] = [
    ("/usr/bin/containerd", "containerd"),
    ("/usr/sbin/runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("/usr/sbin/conntrack", "conntrack"),
    ("/usr/sbin/nft", "nftables"),
    ("/usr/sbin/iptables", "iptables"),
    ("/usr/share/doc/busybox-static", "busybox-static"),
];

/// For the control plane to be ready after it was applied, on a busy machine.
const INSTALLATION: Duration = Duration::from_secs(120);

/// A running cluster.
#[derive(Debug)]
pub(crate) struct Cluster {
    api: Api,
    /// Directory of its state; the last part is its number.
    home: PathBuf,
    /// Its standard input is what holds the cluster.
    _hold: Child,
}

impl Cluster {
    /// The cluster of this process, booted if it is not yet. `None` where there can be none; then this has said why.
    ///
    /// # Panics
    /// It does not boot; then every test that wants it fails with what the first has seen.
    pub(crate) async fn get(test: &str) -> Option<&'static Self> {
        static CLUSTER: OnceCell<Result<Cluster, String>> = OnceCell::const_new();
        if !programs_are_there(test) {
            return None;
        }
        if let Some(obstacle) = obstacle() {
            loud(&format!("{test}: SKIPPED: {obstacle}"));
            return None;
        }
        let boot = async || {
            // It panics where a program is older than its sources.
            let booted = tokio::task::spawn_blocking(Self::boot).await;
            booted.map_err(Into::into).flatten().map_err(|error| format!("{error:#}"))
        };
        match CLUSTER.get_or_init(boot).await {
            Ok(cluster) => Some(cluster),
            Err(error) => panic!("no cluster: {error}"),
        }
    }

    /// The same, with Weft installed as people install it: `k8s/install.yaml`, applied once for this process.
    ///
    /// # Panics
    /// The control plane is not ready in time.
    pub(crate) async fn installed(test: &str) -> Option<&'static Self> {
        static INSTALLED: OnceCell<()> = OnceCell::const_new();
        let cluster = Self::get(test).await?;
        let install = async || {
            let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).with_file_name("k8s/install.yaml");
            cluster.apply_file(&manifest).await;
            cluster.control_plane_is_ready().await;
        };
        INSTALLED.get_or_init(install).await;
        Some(cluster)
    }

    /// Whoever writes the one `MeshConfig` of all tests holds this until it is gone again.
    pub(crate) async fn mesh_config() -> MutexGuard<'static, ()> {
        static ONE: Mutex<()> = Mutex::const_new(());
        ONE.lock().await
    }

    /// Waits until the control plane runs as its Deployment says, and with it the webhook.
    pub(crate) async fn control_plane_is_ready(&self) {
        self.rolled_out("weft-system", "deployment/weft-control-plane", INSTALLATION).await;
    }

    fn boot() -> Result<Self> {
        let said = tempfile::NamedTempFile::new()?;
        let mut hold = Command::new(script("hold"))
            .arg(tools().context("TEST_TOOLS is set")?)
            .args(images::of_node()?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(said.path())?)
            // A terminal's ctrl-C is for the tests; the cluster ends after them.
            .process_group(0)
            .spawn()?;
        let stdout = hold.stdout.take().context("it was piped")?;
        let mut line = String::new();
        // Bound: the script has a deadline for each of its steps.
        BufReader::new(stdout).read_line(&mut line)?;
        let home = line.trim().strip_prefix("ready ").map(PathBuf::from);
        let home =
            home.with_context(|| std::fs::read_to_string(said.path()).unwrap_or_default())?;
        Ok(Self { api: Api::new(home.join("admin.conf")), home, _hold: hold })
    }

    /// A new namespace, gone with the value.
    pub(crate) async fn namespace(&self, purpose: &str) -> Namespace {
        Namespace::create(&self.api, purpose, &[]).await
    }

    /// The same, with labels.
    pub(crate) async fn labelled(&self, purpose: &str, labels: &[(&str, &str)]) -> Namespace {
        Namespace::create(&self.api, purpose, labels).await
    }

    /// Where pods reach what runs in no pod, the test's own servers for example.
    pub(crate) fn host(&self) -> IpAddr {
        let address = std::fs::read_to_string(self.home.join("host-address"));
        address.expect("the cluster runs").trim().parse().expect("it is an address")
    }

    /// Gives the node images, by their archives.
    pub(crate) async fn load(&self, archives: &[PathBuf]) {
        let mut args: Vec<&Path> = vec![self.number()];
        args.extend(archives.iter().map(PathBuf::as_path));
        succeed("load", &args).await;
    }

    /// `start`, `stop`, `kill` or `crash` a component: etcd, kube-apiserver, kube-controller-manager, kube-scheduler,
    /// containerd, kubelet or kube-proxy. One that crashes, or ends by itself, is started again at once. Other tests use the cluster too: only for tests that run alone.
    pub(crate) async fn component(&self, action: &str, name: &str) {
        succeed("component", &[self.number(), Path::new(action), Path::new(name)]).await;
    }

    /// What a component has written.
    pub(crate) fn log(&self, component: &str) -> String {
        std::fs::read_to_string(self.home.join(format!("logs/{component}.log"))).unwrap_or_default()
    }

    fn number(&self) -> &Path {
        Path::new(self.home.file_name().expect("its last part is its number"))
    }
}

impl Deref for Cluster {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// Why there can be no node on this machine; `None` if there can.
fn obstacle() -> Option<String> {
    if !Uid::effective().is_root() {
        return Some("a node of Kubernetes needs root".to_owned());
    }
    if !Path::new("/sys/fs/cgroup/cpuset").exists() {
        return Some("the node's scripts know cgroups of version 1 only".to_owned());
    }
    let missing = NEEDED.iter().find(|(program, _)| !Path::new(program).exists());
    missing.map(|(program, package)| {
        format!("there is no {program}: install {package}, or use tests/run")
    })
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("kubernetes/cluster").join(name)
}

async fn succeed(name: &str, args: &[&Path]) {
    let output =
        tokio::process::Command::new(script(name)).args(args).stdin(Stdio::null()).output();
    let output = output.await.expect("the script can be started");
    let check = || -> Result<()> {
        ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        Ok(())
    };
    check().unwrap_or_else(|error| panic!("{name} {args:?}: {error}"));
}

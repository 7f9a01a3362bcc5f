//! The fast tier: kube-apiserver over etcd, on a loopback network of its own. No controllers, no nodes: namespaces have
//! no default service account unless the test makes it, and pods are objects that never run. RBAC is in force, tokens
//! of service accounts are issued and reviewed for real.

use std::ffi::OsString;
use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, ensure};
use rcgen::{CertifiedKey, KeyPair, generate_simple_self_signed};
use tempfile::TempDir;

use super::{Api, programs_are_there};
use crate::harness::network::Network;
use crate::harness::{Process, Program, eventually, tool};

/// On a busy machine; usually it takes 2 to 6 s.
const DEADLINE: Duration = Duration::from_secs(90);

/// The token of the user who may do anything.
const ADMIN: &str = "admin-of-this-test";

/// A kube-apiserver and its etcd. They end with the value, and with the thread that has started them.
#[derive(Debug)]
pub(crate) struct ApiServer {
    api: Api,
    // Order: the server first, or it would say much about its etcd.
    server: Process,
    _etcd: Process,
    _network: Network,
    directory: TempDir,
}

impl ApiServer {
    /// One that answers. `None` where there are no programs for it; then it has said so.
    ///
    /// # Panics
    /// It does not answer in time.
    pub(crate) async fn start(test: &str) -> Option<Self> {
        // Without controllers nobody makes the accounts that the plugin wants pods to have.
        Self::start_with(test, &["--disable-admission-plugins=ServiceAccount"]).await
    }

    /// The same with these flags and without those that [`ApiServer::start`] adds: none for the usual admission plugins.
    pub(crate) async fn start_with(test: &str, flags: &[&str]) -> Option<Self> {
        if !programs_are_there(test) {
            return None;
        }
        let this = Self::spawn(flags).expect("its programs can be started");
        this.answers().await;
        Some(this)
    }

    fn spawn(flags: &[&str]) -> Result<Self> {
        let directory = tempfile::Builder::new().prefix("weft-kubernetes-").tempdir()?;
        let network = Network::claim();
        let [client, peer, api] = [2379, 2380, 6443].map(|port| network.at(1, port));
        let url = |address: SocketAddr| format!("http://{address}");
        let etcd = Process::start(program(
            "etcd",
            directory.path(),
            tool("etcd"),
            &[
                format!("--data-dir={}", directory.path().join("etcd").display()),
                "--unsafe-no-fsync".to_owned(),
                "--log-level=error".to_owned(),
                format!("--listen-client-urls={}", url(client)),
                format!("--advertise-client-urls={}", url(client)),
                format!("--listen-peer-urls={}", url(peer)),
                format!("--initial-advertise-peer-urls={}", url(peer)),
                format!("--initial-cluster=default={}", url(peer)),
            ],
        ))?;
        credentials(directory.path(), api)?;
        let file = |name: &str| directory.path().join(name).display().to_string();
        let mut args = vec![
            "kube-apiserver".to_owned(),
            format!("--etcd-servers={}", url(client)),
            format!("--bind-address={}", api.ip()),
            format!("--advertise-address={}", api.ip()),
            format!("--secure-port={}", api.port()),
            "--service-cluster-ip-range=10.96.0.0/16".to_owned(),
            format!("--tls-cert-file={}", file("server.crt")),
            format!("--tls-private-key-file={}", file("server.key")),
            format!("--token-auth-file={}", file("tokens")),
            "--service-account-issuer=https://kubernetes.default.svc".to_owned(),
            format!("--service-account-key-file={}", file("accounts.pub")),
            format!("--service-account-signing-key-file={}", file("accounts.key")),
            "--authorization-mode=RBAC".to_owned(),
            "--endpoint-reconciler-type=none".to_owned(),
            "--profiling=false".to_owned(),
            "--shutdown-delay-duration=0s".to_owned(),
        ];
        args.extend(flags.iter().map(|&flag| flag.to_owned()));
        let server = program("kube-apiserver", directory.path(), tool("kubeall"), &args);
        Ok(Self {
            api: Api::new(directory.path().join("admin.conf")),
            server: Process::start(server)?,
            _etcd: etcd,
            _network: network,
            directory,
        })
    }

    /// Waits until it answers.
    pub(crate) async fn answers(&self) {
        eventually("kube-apiserver answers", DEADLINE, async || {
            self.server.pid()?;
            let ready = self.api.client().await;
            let request = http::Request::get("/readyz").body(Vec::new())?;
            let said = ready.request_text(request).await?;
            ensure!(said == "ok", "{said}");
            Ok(())
        })
        .await;
    }

    /// The key that signs tokens of service accounts, PEM.
    pub(crate) fn accounts_key(&self) -> String {
        fs::read_to_string(self.directory.path().join("accounts.key")).expect("it was written")
    }

    /// It is away, at once; what it stored stays.
    pub(crate) fn kill(&self) {
        self.server.kill();
    }

    /// It comes back at the same address.
    pub(crate) async fn start_again(&self) {
        self.server.start_again().expect("it could be started before");
        self.answers().await;
    }
}

impl Deref for ApiServer {
    type Target = Api;

    fn deref(&self) -> &Api {
        &self.api
    }
}

/// A program that does not outlive the thread which starts it, however the test ends.
fn program(name: &str, directory: &Path, path: PathBuf, args: &[String]) -> Program {
    let follows: [OsString; 3] = ["--pdeathsig".into(), "KILL".into(), path.into()];
    Program {
        name: name.to_owned(),
        path: "setpriv".into(),
        args: follows.into_iter().chain(args.iter().map(Into::into)).collect(),
        variables: Vec::new(),
        log: directory.join(format!("{name}.log")),
    }
}

/// The server's certificate, the key of service accounts' tokens, and the kubeconfig of who may do anything.
fn credentials(directory: &Path, api: SocketAddr) -> Result<()> {
    let names = vec![api.ip().to_string(), "localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names)?;
    let accounts = KeyPair::generate()?;
    let authority = directory.join("server.crt");
    let kubeconfig = format!(
        "apiVersion: v1\nkind: Config\ncurrent-context: test\n\
         clusters: [{{name: test, cluster: {{server: \"https://{api}\", certificate-authority: {}}}}}]\n\
         users: [{{name: admin, user: {{token: {ADMIN}}}}}]\n\
         contexts: [{{name: test, context: {{cluster: test, user: admin}}}}]\n",
        authority.display()
    );
    for (name, text) in [
        ("server.crt", cert.pem()),
        ("server.key", signing_key.serialize_pem()),
        ("accounts.key", accounts.serialize_pem()),
        ("accounts.pub", accounts.public_key_pem()),
        ("tokens", format!("{ADMIN},admin,admin,system:masters\n")),
        ("admin.conf", kubeconfig),
    ] {
        fs::write(directory.join(name), text)?;
    }
    Ok(())
}

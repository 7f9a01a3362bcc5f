//! One Kubernetes API as tests use it: `kubectl`, as a person does, and plain requests for what tests read and compare.
//! Waiting has a deadline, and what fails shows what the cluster knows about it.

use std::fs;
use std::net::{IpAddr, SocketAddr};
use std::ops::AsyncFnMut;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures_util::{StreamExt, TryStreamExt, stream};
use http::Request;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};
use serde_json::{Value, json};

use crate::harness::deadline::attempt;
use crate::harness::{Output, Process, Program, binary, run, tool};

/// For one call of `kubectl`, whatever it waits for.
const DEADLINE: Duration = Duration::from_secs(400);

/// `kubectl` waits no shorter, however fast things usually are.
const SHORTEST: Duration = Duration::from_secs(180);

/// For one call of `weft`, whatever it waits for.
const WEFT: Duration = Duration::from_secs(300);

/// Requests at once where there are thousands to make.
const AT_ONCE: usize = 8;

/// Lines of each container's log in a dump.
const QUOTED: &str = "--tail=40";

/// A Kubernetes API, and the user who asks it.
#[derive(Clone, Debug)]
pub(crate) struct Api {
    kubeconfig: PathBuf,
}

impl Api {
    /// The API and user of this file. In its directory kubectl keeps what the server can do.
    pub(super) fn new(kubeconfig: PathBuf) -> Self {
        Self { kubeconfig }
    }

    /// For programs that are to ask it.
    pub(crate) fn kubeconfig(&self) -> &Path {
        &self.kubeconfig
    }

    /// A client. Its connections belong to the runtime of this very test: every test makes its own.
    pub(crate) async fn client(&self) -> Client {
        let kubeconfig = Kubeconfig::read_from(&self.kubeconfig).expect("it was written before");
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await;
        Client::try_from(config.expect("it is complete")).expect("its certificates are sound")
    }

    /// `kubectl` with these arguments, however it ends.
    pub(crate) async fn try_kubectl(&self, args: &[&str]) -> Output {
        let home = self.kubeconfig.parent().unwrap_or(Path::new("/")).to_string_lossy();
        let program = Program {
            name: format!("kubectl {}", args.join(" ")),
            path: tool("kubeall"),
            args: ["kubectl"].iter().chain(args).map(Into::into).collect(),
            variables: vec![
                ("KUBECONFIG".to_owned(), self.kubeconfig.to_string_lossy().into_owned()),
                ("HOME".to_owned(), home.into_owned()),
            ],
            log: PathBuf::new(),
        };
        run(&program, DEADLINE).await
    }

    /// What `kubectl` with these arguments writes.
    ///
    /// # Panics
    /// It fails.
    pub(crate) async fn kubectl(&self, args: &[&str]) -> String {
        let output = self.try_kubectl(args).await;
        assert!(output.code == Some(0), "kubectl {}: {output:#?}", args.join(" "));
        output.stdout
    }

    /// Applies a file, server-side.
    pub(crate) async fn apply_file(&self, path: &Path) {
        let path = path.to_string_lossy();
        let args = ["apply", "--server-side", "--force-conflicts", "-f", &path];
        let apply = async || {
            let output = self.try_kubectl(&args).await;
            // A kind is served a moment after it is established.
            let is_early = ["no matches for kind", "could not find the requested resource"];
            let is_early = is_early.iter().any(|said| output.stderr.contains(said));
            ensure!(!is_early, "{output:#?}");
            Ok(output)
        };
        match attempt(SHORTEST, apply).await {
            Ok(output) => {
                assert!(output.code == Some(0), "kubectl {}: {output:#?}", args.join(" "))
            }
            Err(error) => panic!("kubectl {}: {error}", args.join(" ")),
        }
    }

    /// Waits until every definition of a kind is established.
    pub(crate) async fn established(&self) {
        let all = ["wait", "--for=condition=Established", "--timeout=180s", "crd", "--all"];
        self.kubectl(&all).await;
    }

    /// Applies these manifests, server-side.
    pub(crate) async fn apply(&self, manifests: &str) {
        let file = tempfile::NamedTempFile::with_suffix(".yaml").expect("a file can be made");
        fs::write(file.path(), manifests).expect("it can be written");
        self.apply_file(file.path()).await;
    }

    /// The object at a path of the API.
    pub(crate) async fn get(&self, path: &str) -> Result<Value> {
        let request = Request::get(path).body(Vec::new())?;
        Ok(self.client().await.request(request).await?)
    }

    /// What the API answers to this object.
    pub(crate) async fn post(&self, path: &str, object: &Value) -> Result<Value> {
        let request = Request::post(path)
            .header("content-type", "application/json")
            .body(serde_json::to_vec(object)?)?;
        Ok(self.client().await.request(request).await?)
    }

    /// Creates thousands of objects, each at the path of the API that it belongs to; several at once.
    ///
    /// # Errors
    /// The first that the API does not take.
    pub(crate) async fn post_all(&self, objects: Vec<(String, Value)>) -> Result<()> {
        let client = self.client().await;
        let create = |(path, object): (String, Value)| {
            let client = client.clone();
            async move {
                let request = Request::post(path)
                    .header("content-type", "application/json")
                    .body(serde_json::to_vec(&object)?)?;
                client.request::<Value>(request).await.map(drop).context("one of many")
            }
        };
        let all = stream::iter(objects).map(create).buffer_unordered(AT_ONCE);
        all.try_collect().await
    }

    /// Merges `patch` into the object at a path of the API, or into its status; what is there after that.
    pub(crate) async fn merge(&self, path: &str, patch: &Value) -> Result<Value> {
        let request = Request::patch(path)
            .header("content-type", "application/merge-patch+json")
            .body(serde_json::to_vec(patch)?)?;
        Ok(self.client().await.request(request).await?)
    }

    /// Deletes the object at a path of the API.
    pub(crate) async fn delete(&self, path: &str) -> Result<Value> {
        let request = Request::delete(path).body(Vec::new())?;
        Ok(self.client().await.request(request).await?)
    }

    /// The same API at another address that leads there, on the same host.
    pub(crate) fn by_way_of(&self, port: u16) -> Self {
        let text = fs::read_to_string(&self.kubeconfig).expect("it was written before");
        let path = self.kubeconfig.with_extension(port.to_string());
        let own = self.address().port();
        let text = text.replace(&format!(":{own}\""), &format!(":{port}\""));
        fs::write(&path, text).expect("the directory is ours");
        Self::new(path)
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        let text = fs::read_to_string(&self.kubeconfig).expect("it was written before");
        let url = text.split("https://").nth(1).and_then(|rest| rest.split('"').next());
        url.and_then(|url| url.parse().ok()).expect("a kubeconfig names a server")
    }

    /// The address of a Service, which is reached from here as from a pod.
    ///
    /// # Panics
    /// There is none.
    pub(crate) async fn service(&self, namespace: &str, name: &str) -> IpAddr {
        let found = self.get(&format!("/api/v1/namespaces/{namespace}/services/{name}")).await;
        address(&found.expect("the Service is there")["spec"]["clusterIP"])
    }

    /// The address of a pod.
    ///
    /// # Panics
    /// It has none yet, or there is no such pod.
    pub(crate) async fn pod(&self, namespace: &str, name: &str) -> IpAddr {
        let found = self.get(&format!("/api/v1/namespaces/{namespace}/pods/{name}")).await;
        address(&found.expect("the pod is there")["status"]["podIP"])
    }

    /// A token of a service account, for one hour, for these audiences; without any for the API itself.
    pub(crate) async fn token(&self, namespace: &str, account: &str, audiences: &[&str]) -> String {
        let path = format!("/api/v1/namespaces/{namespace}/serviceaccounts/{account}/token");
        let asked = json!({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest",
            "spec": {"audiences": audiences, "expirationSeconds": 3600}});
        let answer = self.post(&path, &asked).await.expect("the service account is there");
        answer["status"]["token"].as_str().expect("an answer holds a token").to_owned()
    }

    /// The same API, asked by a service account; its kubeconfig is a file beside this one's.
    pub(crate) async fn asked_by(&self, namespace: &str, account: &str) -> Self {
        let token = self.token(namespace, account, &[]).await;
        let kubeconfig = fs::read_to_string(&self.kubeconfig).expect("it was written before");
        // Ours are written one user a line.
        let lines = kubeconfig.lines().filter(|line| !line.starts_with("users:"));
        let user = format!("users: [{{name: admin, user: {{token: {token}}}}}]");
        let text = lines.chain([user.as_str()]).collect::<Vec<_>>().join("\n");
        let path = self.kubeconfig.with_file_name(format!("{namespace}-{account}.conf"));
        fs::write(&path, text).expect("the directory is ours");
        Self::new(path)
    }

    /// What a command in a container writes.
    ///
    /// # Errors
    /// It fails; holds what it said.
    pub(crate) async fn exec(
        &self,
        namespace: &str,
        pod: &str,
        container: &str,
        command: &[&str],
    ) -> Result<String> {
        let into = ["exec", "-n", namespace, pod, "-c", container, "--"];
        let output = self.try_kubectl(&[&into, command].concat()).await;
        ensure!(output.code == Some(0), "{}{}", output.stdout, output.stderr);
        Ok(output.stdout)
    }

    /// What `weft` says of this cluster.
    pub(crate) async fn weft(&self, args: &[&str]) -> Output {
        run(&self.weft_program(args, PathBuf::new()), WEFT).await
    }

    /// `weft` as it goes on until it is told to end; what it says is in this file.
    pub(crate) fn start_weft(&self, args: &[&str], log: PathBuf) -> Process {
        Process::start(self.weft_program(args, log)).expect("it can be started")
    }

    fn weft_program(&self, args: &[&str], log: PathBuf) -> Program {
        let kubeconfig = self.kubeconfig.to_string_lossy().into_owned();
        Program {
            name: format!("weft {}", args.join(" ")),
            path: binary("weft"),
            args: args.iter().map(Into::into).collect(),
            variables: vec![("KUBECONFIG".to_owned(), kubeconfig)],
            log,
        }
    }

    /// Repeats `probe` until it succeeds, as [`eventually`](crate::harness::eventually); the failure shows what is in
    /// `namespace`.
    pub(crate) async fn eventually<T>(
        &self,
        what: &str,
        namespace: &str,
        deadline: Duration,
        probe: impl AsyncFnMut() -> Result<T>,
    ) -> T {
        match attempt(deadline, probe).await {
            Ok(found) => found,
            Err(error) => {
                panic!("not within {deadline:?}: {what}: {error}\n{}", self.dump(namespace).await)
            }
        }
    }

    /// Waits until an object has a condition, `condition=Ready` or `jsonpath=…` for example, as `kubectl wait` has it.
    pub(crate) async fn wait(
        &self,
        namespace: &str,
        object: &str,
        until: &str,
        deadline: Duration,
    ) {
        let timeout = format!("--timeout={}s", deadline.max(SHORTEST).as_secs());
        let until = format!("--for={until}");
        let output = self.try_kubectl(&["wait", "-n", namespace, object, &until, &timeout]).await;
        if output.code != Some(0) {
            panic!("{object}: {until}: {}\n{}", output.stderr, self.dump(namespace).await);
        }
    }

    /// Waits until a Deployment, or another kind with replicas, runs as it should.
    pub(crate) async fn rolled_out(&self, namespace: &str, object: &str, deadline: Duration) {
        let timeout = format!("--timeout={}s", deadline.max(SHORTEST).as_secs());
        let output =
            self.try_kubectl(&["rollout", "status", "-n", namespace, object, &timeout]).await;
        if output.code != Some(0) {
            panic!("{object}: {}\n{}", output.stderr, self.dump(namespace).await);
        }
    }

    /// Pods, events and logs of a namespace, for people.
    pub(crate) async fn dump(&self, namespace: &str) -> String {
        let mut text = format!("--- namespace {namespace}\n");
        for args in [
            &["get", "pods,services,endpointslices", "-o", "wide"][..],
            &["get", "events", "--sort-by=.lastTimestamp"],
            &["describe", "pods"],
        ] {
            text += &self.try_kubectl(&[args, &["-n", namespace]].concat()).await.stdout;
        }
        for pod in self.pods(namespace).await.unwrap_or_default() {
            let args = ["logs", "-n", namespace, &pod, "--all-containers", "--prefix", QUOTED];
            let logs = self.try_kubectl(&args).await;
            text += &format!("--- logs of {pod}\n{}{}", logs.stdout, logs.stderr);
        }
        text
    }

    async fn pods(&self, namespace: &str) -> Result<Vec<String>> {
        let list = self.get(&format!("/api/v1/namespaces/{namespace}/pods")).await?;
        let pods = list["items"].as_array().context("a list has items")?;
        Ok(pods
            .iter()
            .filter_map(|pod| Some(pod["metadata"]["name"].as_str()?.to_owned()))
            .collect())
    }
}

fn address(value: &Value) -> IpAddr {
    let parsed = value.as_str().map(str::parse);
    parsed.unwrap_or_else(|| panic!("{value} is no address")).expect("the API has checked it")
}

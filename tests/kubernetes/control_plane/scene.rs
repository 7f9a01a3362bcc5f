//! What these tests share: an API server on which `k8s/install.yaml` is applied, control planes that ask it as their
//! Deployment would, and pods that a test makes of nothing. All that the control planes ask is in an audit log.

use std::fs;
use std::net::SocketAddr;
use std::ops::Deref;
use std::path::Path;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, ensure};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};
use tempfile::TempDir;
use weft_certs::{Authority, SpiffeId, TrustDomain};

use crate::harness::kubernetes::{Api, ApiServer};
use crate::harness::{ControlPlane, Network, eventually, get};

/// On a busy machine; nothing here takes longer than a few seconds by itself.
pub(super) const SOON: Duration = Duration::from_secs(40);

pub(super) const AUDIENCE: &str = "identity.weft.dev";
const ACCOUNT: &str = "system:serviceaccount:weft-system:weft-control-plane";
const SECRET: &str = "/api/v1/namespaces/weft-system/secrets/weft-ca";

const AUDIT: &str = "
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules:
- {level: Metadata, users: ['system:serviceaccount:weft-system:weft-control-plane']}
- {level: None}
";

const SHOP: &str = "
apiVersion: v1
kind: Namespace
metadata: {name: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: web, namespace: shop}
---
apiVersion: v1
kind: ServiceAccount
metadata: {name: order, namespace: shop}
";

/// See the module.
pub(super) struct Scene {
    pub(super) server: ApiServer,
    /// The API as the control plane's account may ask it.
    pub(super) account: Api,
    network: Network,
    directory: TempDir,
}

/// A control plane of the scene.
pub(super) struct Replica {
    control_plane: ControlPlane,
    /// `/ready` and `/metrics`.
    pub(super) health: SocketAddr,
    /// Where it takes reviews.
    pub(super) webhook: SocketAddr,
}

impl Scene {
    /// Weft is installed, and no control plane runs. `None` where there is no Kubernetes.
    pub(super) async fn start(test: &str) -> Option<Self> {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let [policy, log] = ["audit.yaml", "audit.log"].map(|name| directory.path().join(name));
        fs::write(&policy, AUDIT).expect("the directory is ours");
        let policy = format!("--audit-policy-file={}", policy.display());
        let log = format!("--audit-log-path={}", log.display());
        let flags = ["--disable-admission-plugins=ServiceAccount", &policy, &log];
        let server = ApiServer::start_with(test, &flags).await?;
        server.apply_file(&Path::new(env!("CARGO_MANIFEST_DIR")).join("../k8s/install.yaml")).await;
        server.apply(SHOP).await;
        let account = server.asked_by("weft-system", "weft-control-plane").await;
        Some(Self { server, account, network: Network::claim(), directory })
    }

    /// Starts a control plane of this name, which nobody has yet.
    pub(super) fn spawn(&self, name: &str) -> Replica {
        self.spawn_with(name, &self.account, &[])
    }

    /// The same that asks `api`, with further arguments.
    pub(super) fn spawn_with(&self, name: &str, api: &Api, args: &[&str]) -> Replica {
        let number = name.bytes().fold(0_u8, u8::wrapping_add) % 200 + 10;
        let at = |port| self.network.at(number, port);
        let own = [
            format!("--pod={name}"),
            format!("--webhook-listen={}", at(15017)),
            format!("--health-listen={}", at(15020)),
        ];
        let more = args.iter().map(|&arg| arg.to_owned());
        let args: Vec<_> = own.into_iter().chain(more).collect();
        let state_dir = self.directory.path().join(name);
        let started = ControlPlane::start_in_cluster(api, &state_dir, at(15010), &args);
        let control_plane = started.expect("it can be started");
        Replica { control_plane, health: at(15020), webhook: at(15017) }
    }

    /// The same, ready.
    pub(super) async fn replica(&self, name: &str) -> Replica {
        let replica = self.spawn(name);
        replica.ready().await;
        replica
    }

    /// The CA, as replicas share it.
    pub(super) async fn authority(&self) -> Authority {
        let secret = self.server.get(SECRET).await.expect("a control plane has made it");
        let state = text(&secret, "authority.pem");
        let domain: TrustDomain = text(&secret, "trust-domain").parse().expect("it is one");
        let loaded = Authority::from_state(&state, &domain, SystemTime::now());
        loaded.expect("it is sound").0
    }

    /// A pod in namespace `shop` of this account, with a sidecar; its uid. It has no address yet.
    pub(super) async fn pod(&self, name: &str, account: &str, container: &Value) -> String {
        let mut app = json!({ "name": "app", "image": "app" });
        let more = container.as_object().cloned().unwrap_or_default();
        app.as_object_mut().expect("it is one").extend(more);
        let pod = json!({
            "apiVersion": "v1", "kind": "Pod",
            "metadata": { "name": name, "labels": { "app": account },
                "annotations": { "weft.dev/injected": "0.1.0" } },
            "spec": { "serviceAccountName": account, "containers": [app] },
        });
        let made =
            self.server.post("/api/v1/namespaces/shop/pods", &pod).await.expect("it is taken");
        made["metadata"]["uid"].as_str().expect("the API gives one").to_owned()
    }

    /// Does the kubelet's part: this is its phase, at this address.
    pub(super) async fn phase(&self, name: &str, phase: &str, address: &str) {
        let status = json!({ "phase": phase, "podIP": address, "podIPs": [{ "ip": address }] });
        let path = format!("{}/status", pod_path(name));
        let merged = self.server.merge(&path, &json!({ "status": status })).await;
        merged.expect("the pod is there");
    }

    /// A pod that runs at this address.
    pub(super) async fn running(&self, name: &str, account: &str, address: &str) -> String {
        let uid = self.pod(name, account, &json!({})).await;
        self.phase(name, "Running", address).await;
        uid
    }

    /// What control planes have asked: verb, resource and code of every answer.
    pub(super) fn asked(&self) -> Vec<Asked> {
        let log = fs::read_to_string(self.directory.path().join("audit.log")).unwrap_or_default();
        // The last line may still be on its way.
        let events = log.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        events
            .filter(|event| event["user"]["username"] == ACCOUNT)
            .map(|event| Asked::of(&event))
            .collect()
    }

    /// Fails if a control plane asked what it may not.
    pub(super) fn assert_nothing_was_forbidden(&self, replicas: &[&Replica]) {
        let asked = self.asked();
        assert!(asked.len() > 10, "the audit log is in force: {asked:?}");
        let forbidden: Vec<_> = asked.iter().filter(|asked| asked.code == 403).collect();
        assert!(forbidden.is_empty(), "{forbidden:?}");
        for replica in replicas {
            let log = replica.process().log();
            assert!(!log.contains("orbidden"), "{log}");
        }
    }
}

/// One answer of the API server to a control plane.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) verb: String,
    pub(super) resource: String,
    /// Of the one object that is meant; empty where all are.
    pub(super) name: String,
    pub(super) code: u64,
    /// A watch is told of twice: when it begins, and when it ends.
    pub(super) is_over: bool,
}

impl Asked {
    fn of(event: &Value) -> Self {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        Self {
            verb: text(&event["verb"]),
            resource: text(&event["objectRef"]["resource"]),
            name: text(&event["objectRef"]["name"]),
            code: event["responseStatus"]["code"].as_u64().unwrap_or(0),
            is_over: event["stage"] == "ResponseComplete",
        }
    }
}

impl Replica {
    /// The sum of a metric's samples whose labels contain `label`.
    pub(super) async fn metric(&self, name: &str, label: &str) -> Result<f64> {
        let answer = get(self.health, "/metrics").await?;
        let page = String::from_utf8_lossy(&answer.body).into_owned();
        let samples = page.lines().filter_map(|line| line.strip_prefix(name));
        let samples = samples.filter(|rest| rest.starts_with(['{', ' ']) && rest.contains(label));
        let mut values = samples.filter_map(|rest| rest.rsplit(' ').next()?.parse::<f64>().ok());
        let first = values.next().with_context(|| format!("no {name} {label} in {page}"))?;
        Ok(first + values.sum::<f64>())
    }

    /// Waits until the mesh has so many objects of this kind.
    pub(super) async fn has(&self, kind: &str, count: u32) {
        let label = format!("kind=\"{kind}\"");
        eventually(&format!("{count} {kind}"), SOON, async || {
            let found = self.metric("weft_control_plane_objects", &label).await?;
            ensure!((found - f64::from(count)).abs() < 0.5, "{found}");
            Ok(())
        })
        .await;
    }
}

impl Deref for Replica {
    type Target = ControlPlane;

    fn deref(&self) -> &ControlPlane {
        &self.control_plane
    }
}

/// The identity of an account in namespace `shop`.
pub(super) fn id(account: &str) -> SpiffeId {
    format!("spiffe://cluster.local/ns/shop/sa/{account}").parse().expect("it is one")
}

pub(super) fn pod_path(name: &str) -> String {
    format!("/api/v1/namespaces/shop/pods/{name}")
}

/// A key of a Secret.
pub(super) fn text(secret: &Value, key: &str) -> String {
    let encoded = secret["data"][key].as_str().unwrap_or_else(|| panic!("no {key} in {secret}"));
    let decoded = STANDARD.decode(encoded).expect("the API writes base64");
    String::from_utf8(decoded).expect("it is text")
}

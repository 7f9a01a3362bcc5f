//! The mesh that all cases share: two callers with one identity, the backends, and the groups' Services. Everything is
//! written before anybody starts, and nobody is asked before both proxies have all of it.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::case::Group;
use super::client::Door;
use super::envoy::{Envoy, Ports};
use super::upstream::{self, BACKENDS, Ledger, MESHED, REFUSING};
use crate::harness::manifests::{SERVICE_PORT, traffic_policy};
use crate::harness::{Mesh, Sidecar, eventually};

/// Service account of both callers.
const ACCOUNT: &str = "caller";
/// The callers' workloads.
const WEFT: &str = "weft";
const ENVOY: &str = "envoy";
/// The Service with one sidecar behind it.
const MESHED_SERVICE: &str = "meshed";
/// Nobody calls the callers, but what is said of their ports must be accepted.
const INBOUND: &str = "\
apiVersion: weft.dev/v1alpha1
kind: InboundPolicy
metadata: {name: callers, namespace: shop}
spec:
  selector: {matchLabels: {role: caller}}
  mtls: STRICT
  rateLimits:
  - {requests: 100, per: 1s, burst: 20}
  - {requests: 10, per: 1s, key: CallerIdentity}
  - {requests: 1000, per: 1m, key: {header: x-tenant}}
";
/// Where the callers and the first backends are, and where the others are.
const NEAR: &str = "eu/a";
const FAR: &str = "eu/b";
/// Port of backend `a`; the others follow.
const FIRST_BACKEND_PORT: u16 = 24001;
const REFUSING_PORT: u16 = 24099;

/// A running mesh with both proxies.
pub(crate) struct Site {
    // Order: dropped in this order, so that nobody logs about a peer that went first.
    pub(crate) envoy: Envoy,
    weft: Arc<Sidecar>,
    mesh: Mesh,
    services: Vec<String>,
    outbound: SocketAddr,
    /// What the upstream has seen.
    pub(crate) ledger: Arc<Ledger>,
}

impl Site {
    /// Starts everything, and returns when both proxies have everything.
    pub(crate) async fn start(envoy: PathBuf, groups: &[Group]) -> Result<Self> {
        let backends = BACKENDS.iter().chain([&REFUSING]).map(char::to_string);
        let services: Vec<String> =
            groups.iter().map(|group| group.service.clone()).chain(backends).collect();
        let unique: BTreeSet<_> = services.iter().collect();
        ensure!(unique.len() == services.len(), "two groups have one name");
        let mesh = Mesh::builder()
            // As both have them anyway: that Envoy takes the fields is what counts.
            .setting("limits: {http: {headTimeout: 10s, headerFields: 100, http2Streams: 100, http2HeaderBudget: 1024, http2StallTimeout: 30s}}")
            .absent_caller(WEFT)
            .absent_caller(ENVOY)
            .locality(WEFT, NEAR)
            .without_app(MESHED_SERVICE, "http")
            .listed(services.clone())
            .start()
            .await;
        write(&mesh, groups, &services);
        let ledger = Arc::new(Ledger::default());
        for (letter, port) in BACKENDS.into_iter().zip(FIRST_BACKEND_PORT..) {
            upstream::serve(letter, mesh.spare_address(port), Arc::clone(&ledger)).await?;
        }
        let meshed = mesh.app_address(&format!("{MESHED_SERVICE}-v1"));
        upstream::serve(MESHED, meshed, Arc::clone(&ledger)).await?;
        understood(&mesh, services.len() + 1, groups).await;
        let ports = Ports { outbound: mesh.spare_address(15001), admin: mesh.spare_address(9901) };
        let envoy = Envoy::start(envoy, &mesh, ENVOY, ACCOUNT, ports).await?;
        let weft = mesh.start_sidecar(WEFT, false).await?;
        weft.ready().await;
        let site = Self { envoy, weft, mesh, services, outbound: ports.outbound, ledger };
        site.settled().await;
        Ok(site)
    }

    /// How each proxy is reached for a Service: weft-proxy, Envoy.
    pub(crate) fn doors(&self, service: &str) -> [Door; 2] {
        let index = self.services.iter().position(|known| known == service);
        let destination = cluster_ip(index.expect("the Service of a group"));
        let weft = Door { address: self.weft.entry(service), destination: None };
        let destination = Some((destination, SERVICE_PORT).into());
        [weft, Door { address: self.outbound, destination }]
    }

    /// Both proxies have accepted everything that there is.
    async fn settled(&self) {
        self.envoy.settled(self.services.len() as u64).await;
        eventually("both have everything", Duration::from_secs(30), async || {
            self.accepted(WEFT).await?;
            self.accepted(ENVOY).await
        })
        .await;
    }

    /// Has this proxy acknowledged all that it was sent? By the control plane's word.
    async fn accepted(&self, workload: &str) -> Result<()> {
        let status = self.mesh.control_plane().proxy(&format!("{workload}.shop")).await?;
        let kinds = status["resources"].as_object().context("resources")?;
        // weft-proxy asks for a Service's when it is first called; Envoy has everything at once.
        if workload == ENVOY {
            ensure!(kinds.len() == 5, "not everything was sent: {kinds:?}");
        }
        for (kind, of) in kinds {
            ensure!(of["acked"] == of["sent"], "{workload} has not acknowledged {kind}: {of}");
        }
        Ok(())
    }

    /// What either proxy has refused so far, in its own words; empty if nothing.
    pub(crate) async fn refusals(&self) -> String {
        let mut text = String::new();
        for workload in [WEFT, ENVOY] {
            let proxy = self.mesh.control_plane().proxy(&format!("{workload}.shop")).await;
            let kinds = proxy.map(|proxy| proxy["resources"].clone()).unwrap_or_default();
            for (kind, of) in kinds.as_object().into_iter().flatten() {
                if of["rejected"] != Value::Null {
                    let _ =
                        writeln!(text, "{workload} refuses {kind}: {}", of["rejected"]["reason"]);
                }
            }
        }
        let log = self.mesh.control_plane().process().log();
        for line in log.lines().filter(|line| line.contains("refused")) {
            let _ = writeln!(text, "{line}");
        }
        text
    }
}

/// The control plane has read all of it, and finds wrong with it what the groups say, and nothing else.
async fn understood(mesh: &Mesh, services: usize, groups: &[Group]) {
    let pair = |service: &str, code: &str| (format!("service-{service}.yaml"), code.to_owned());
    let expected: BTreeSet<_> = groups
        .iter()
        .flat_map(|group| group.findings.iter().map(|code| pair(&group.service, code)))
        .collect();
    eventually("the control plane has read everything", Duration::from_secs(20), async || {
        let admin = mesh.control_plane().admin();
        let counts = admin.get("/v1/mesh").await?["counts"].clone();
        ensure!(counts["services"] == services, "{counts}");
        let findings = admin.get("/v1/analysis").await?;
        let text = |found: &Value, key: &str| found[key].as_str().unwrap_or_default().to_owned();
        // Informations are about callers that nobody calls.
        let all = findings.as_array().into_iter().flatten();
        let bad: Vec<_> = all.filter(|found| found["severity"] != "info").collect();
        let found: BTreeSet<_> =
            bad.iter().map(|found| (text(found, "file"), text(found, "code"))).collect();
        ensure!(found == expected, "expected {expected:?}, found {bad:#?}");
        Ok(())
    })
    .await;
}

fn write(mesh: &Mesh, groups: &[Group], services: &[String]) {
    let mut pools: BTreeSet<&str> = groups.iter().map(|group| group.pool).collect();
    pools.extend(["a", "b", "c", "d", "e", "f", "x"]);
    for (letter, port) in BACKENDS.into_iter().zip(FIRST_BACKEND_PORT..) {
        mesh.write(&format!("backend-{letter}.yaml"), &workload(mesh, letter, port, &pools));
    }
    let refusing = workload(mesh, REFUSING, REFUSING_PORT, &pools);
    mesh.write("backend-refusing.yaml", &refusing);
    mesh.write("inbound.yaml", INBOUND);
    for (name, port) in [(WEFT, 24901), (ENVOY, 24902)] {
        let address = mesh.spare_address(port);
        mesh.write(&format!("workload-{name}.yaml"), &caller(name, address));
    }
    for (index, service) in services.iter().enumerate() {
        let group = groups.get(index);
        // A Service of one backend is a group's neighbour: its state must not depend on who came before.
        let (pool, policy) = group.map_or(
            (service.as_str(), "  outlierDetection: {consecutiveFailures: 0}\n"),
            |group| (group.pool, group.policy.as_str()),
        );
        let mut documents = vec![self::service(service, cluster_ip(index), pool)];
        documents.push(traffic_policy(service, policy));
        documents.extend(group.into_iter().flat_map(|group| group.documents.iter().cloned()));
        mesh.write(&format!("service-{service}.yaml"), &documents.join("---\n"));
    }
}

/// Addresses that no other Service has; the listeners of Envoy are found by them.
fn cluster_ip(index: usize) -> Ipv4Addr {
    let [high, low] = u16::try_from(index).expect("fewer Services").to_be_bytes();
    Ipv4Addr::new(10, 96, high, low)
}

fn service(name: &str, address: Ipv4Addr, pool: &str) -> String {
    let pool = if pool.is_empty() { "nobody" } else { pool };
    format!(
        "\
apiVersion: v1
kind: Service
metadata: {{name: {name}, namespace: shop}}
spec:
  clusterIP: {address}
  selector: {{pool-{pool}: here}}
  ports: [{{name: main, port: {SERVICE_PORT}, targetPort: main, appProtocol: http}}]
"
    )
}

fn workload(mesh: &Mesh, letter: char, port: u16, pools: &BTreeSet<&str>) -> String {
    let address = mesh.spare_address(port);
    let mut labels = String::new();
    for pool in pools.iter().filter(|pool| pool.contains(letter)) {
        let _ = write!(labels, "pool-{pool}: here, ");
    }
    format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: backend-{letter}, namespace: shop, labels: {{{labels}}}}}
spec:
  address: {}
  serviceAccount: backend
  locality: {}
  meshed: false
  ports: [{{name: main, port: {port}, appProtocol: http}}]
",
        address.ip(),
        if ['a', 'b', 'c'].contains(&letter) { NEAR } else { FAR },
    )
}

fn caller(name: &str, address: SocketAddr) -> String {
    format!(
        "\
apiVersion: weft.dev/v1alpha1
kind: MeshWorkload
metadata: {{name: {name}, namespace: shop, labels: {{role: caller}}}}
spec:
  address: {}
  serviceAccount: {ACCOUNT}
  locality: {NEAR}
  meshed: true
  ports: [{{name: main, port: {}, appProtocol: http}}]
",
        address.ip(),
        address.port()
    )
}

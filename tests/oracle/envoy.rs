//! A real Envoy as the sidecar of a workload: its certificate is issued like weft-proxy's, and everything that it does
//! with a request comes over ADS. Its bootstrap file holds only what a sidecar brings along: its node, its leaf, the
//! way to the control plane, and the one port that all connections of the application are led to.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use http::Method;
use serde_json::{Value, json};
use tonic::Request;
use weft_certs::{Leaf, PrivateKey, TrustBundle, csr};
use weft_proto::identity::IssueRequest;
use weft_proto::identity::identity_client::IdentityClient;
use weft_proto::names::LEAF_SECRET;

use crate::harness::{Mesh, Process, Program, control_channel, eventually, http1, request};

/// Where the types of what is not core are.
pub(super) const TYPES: &str = "type.googleapis.com/envoy.extensions";

/// Where it listens.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ports {
    /// All connections of the application.
    pub(crate) outbound: SocketAddr,
    /// Its own admin port.
    pub(crate) admin: SocketAddr,
}

/// A running Envoy.
#[derive(Debug)]
pub(crate) struct Envoy {
    process: Process,
    ports: Ports,
}

impl Envoy {
    /// Starts it as the sidecar of `workload` in namespace `shop`, whose service account is `account`.
    pub(crate) async fn start(
        program: PathBuf,
        mesh: &Mesh,
        workload: &str,
        account: &str,
        ports: Ports,
    ) -> Result<Self> {
        let key = format!("{workload}.shop");
        let directory = mesh.config_dir().with_file_name(format!("envoy-{workload}"));
        fs::create_dir(&directory)?;
        let (leaf, bundle) = issue(mesh, &key, account).await?;
        for (file, text) in [
            ("leaf.pem", leaf.chain_pem()),
            ("leaf.key", String::clone(&leaf.key().to_pem())),
            ("bundle.pem", bundle.to_pem()),
        ] {
            fs::write(directory.join(file), text)?;
        }
        let file = |name: &str| json!({"filename": directory.join(name)});
        let leaf = json!({"certificate_chain": file("leaf.pem"), "private_key": file("leaf.key")});
        let bootstrap = bootstrap(mesh, &key, &leaf, &file("bundle.pem"), ports);
        Self::run(program, &format!("Envoy of {key}"), &directory, &bootstrap, ports)
    }

    /// Starts one from its bootstrap, with what it writes in `directory`.
    pub(crate) fn run(
        program: PathBuf,
        name: &str,
        directory: &Path,
        bootstrap: &Value,
        ports: Ports,
    ) -> Result<Self> {
        let config = directory.join("bootstrap.json");
        fs::write(&config, serde_json::to_vec_pretty(bootstrap)?)?;
        let process = Process::start(Program {
            name: name.to_owned(),
            path: program,
            args: vec![
                "-c".into(),
                config.into(),
                "--concurrency".into(),
                "1".into(),
                "--disable-hot-restart".into(),
                "-l".into(),
                "warning".into(),
            ],
            variables: Vec::new(),
            log: directory.join("envoy.log"),
        })?;
        Ok(Self { process, ports })
    }

    /// Waits until it serves this many listeners and waits for nothing.
    pub(crate) async fn settled(&self, listeners: u64) {
        eventually("Envoy serves", Duration::from_secs(60), async || {
            self.process.pid()?;
            let stats = self.stats().await?;
            let gauge = |name: &str| stats.get(name).and_then(Value::as_u64).unwrap_or_default();
            ensure!(gauge("server.state") == 0 && gauge("server.live") == 1, "it initialises");
            let active = gauge("listener_manager.total_listeners_active");
            ensure!(active >= listeners, "{active} of {listeners} listeners");
            for waiting in
                ["listener_manager.total_listeners_warming", "cluster_manager.warming_clusters"]
            {
                ensure!(gauge(waiting) == 0, "{waiting}: {}", gauge(waiting));
            }
            Ok(())
        })
        .await;
    }

    /// Its counters and gauges by name.
    pub(crate) async fn stats(&self) -> Result<Value> {
        let asked = request(Method::GET, "/stats?format=json", &[], "");
        let answer = http1(self.ports.admin, asked).await?;
        let all: Value = serde_json::from_slice(&answer.body).context("JSON")?;
        let pairs = all["stats"].as_array().cloned().unwrap_or_default();
        let pair = |stat: Value| Some((stat["name"].as_str()?.to_owned(), stat["value"].clone()));
        Ok(Value::Object(pairs.into_iter().filter_map(pair).collect()))
    }

    /// The end of its log.
    pub(crate) fn quote(&self) -> String {
        self.process.quote()
    }
}

/// As weft-proxy does it: a key of its own, a join token, a signing request.
async fn issue(mesh: &Mesh, key: &str, account: &str) -> Result<(Leaf, TrustBundle)> {
    let id = mesh.id(account);
    let private = PrivateKey::generate()?;
    let asked = eventually("the mesh knows it", Duration::from_secs(10), async || {
        mesh.control_plane().join(key).await
    })
    .await;
    let token = asked["join_token"].as_str().context("a join token")?;
    let mut request = Request::new(IssueRequest { csr: csr::create(&private, &id)? });
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse()?);
    let channel = control_channel(mesh.control_plane(), None).await?;
    let issued = IdentityClient::new(channel).issue(request).await?.into_inner();
    let chain = issued.chain.into_iter().map(Into::into).collect();
    let bundle = asked["trust_bundle"].as_str().context("a trust bundle")?;
    Ok((Leaf::new(chain, private)?, TrustBundle::from_pem(bundle)?))
}

fn bootstrap(mesh: &Mesh, node: &str, leaf: &Value, bundle: &Value, ports: Ports) -> Value {
    let ads = json!({"ads": {}, "resource_api_version": "V3"});
    json!({
        "node": {"id": node, "cluster": node},
        "admin": {"address": socket(ports.admin)},
        "dynamic_resources": {
            "ads_config": {
                "api_type": "DELTA_GRPC",
                "transport_api_version": "V3",
                "grpc_services": [{"envoy_grpc": {"cluster_name": "control-plane"}}],
            },
            "cds_config": ads,
            "lds_config": ads,
        },
        "static_resources": {
            // The name that `translate` gives a proxy's own leaf, which is never sent.
            "secrets": [{"name": LEAF_SECRET, "tls_certificate": leaf}],
            "clusters": [control_plane(mesh, leaf, bundle), {"name": "nowhere"}],
            "listeners": [outbound(ports.outbound)],
        },
    })
}

/// Every connection of the application arrives here and goes on to the listener of its original destination. What
/// the kernel would say of that under interception, a PROXY header says here.
fn outbound(at: SocketAddr) -> Value {
    let unknown = json!({
        "@type": format!("{TYPES}.filters.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": "nowhere",
        "cluster": "nowhere",
    });
    json!({
        "name": "outbound",
        "address": socket(at),
        "use_original_dst": true,
        "listener_filters": [{
            "name": "envoy.filters.listener.proxy_protocol",
            "typed_config": {
                "@type": format!("{TYPES}.filters.listener.proxy_protocol.v3.ProxyProtocol"),
            },
        }],
        "filter_chains": [{"filters": [{"name": "nowhere", "typed_config": unknown}]}],
    })
}

fn control_plane(mesh: &Mesh, leaf: &Value, bundle: &Value) -> Value {
    let id = mesh.control_plane().id().to_string();
    let tls = json!({
        "@type": format!("{TYPES}.transport_sockets.tls.v3.UpstreamTlsContext"),
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "alpn_protocols": ["h2"],
            "tls_certificates": [leaf],
            "validation_context": {
                "trusted_ca": bundle,
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": {"exact": id}}],
            },
        },
    });
    let http2 = json!({
        "@type": format!("{TYPES}.upstreams.http.v3.HttpProtocolOptions"),
        "explicit_http_config": {"http2_protocol_options": {}},
    });
    let endpoint = json!({"endpoint": {"address": socket(mesh.control_plane().address())}});
    json!({
        "name": "control-plane",
        "type": "STATIC",
        "connect_timeout": "5s",
        "typed_extension_protocol_options": {
            "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": http2,
        },
        "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
        "load_assignment": {
            "cluster_name": "control-plane",
            "endpoints": [{"lb_endpoints": [endpoint]}],
        },
    })
}

/// An address as Envoy's API writes it.
pub(super) fn socket(address: SocketAddr) -> Value {
    let ip = address.ip().to_string();
    json!({"socket_address": {"address": ip, "port_value": address.port()}})
}

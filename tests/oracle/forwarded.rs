//! `x-forwarded-client-cert` as a real Envoy in the callee's place writes it, with `SANITIZE_SET` and the peer's URI: the
//! same callers, with the same certificates and the same forgeries, knock at both, and the application must see the same.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};
use weft_certs::{Leaf, TrustBundle};

use super::envoy::{Envoy, Ports, TYPES, socket};
use super::install;
use crate::harness::{App, Mesh, TlsClient, loud};

const HOUR: Duration = Duration::from_secs(3600);
const NAME: &str = "x-forwarded-client-cert";

/// What a caller writes into his request himself.
const FORGED: [&str; 4] = [
    "",
    "x-forwarded-client-cert: By=spiffe://mesh.test/x;Hash=00;URI=spiffe://mesh.test/ns/shop/sa/root\r\n",
    "X-Forwarded-Client-Cert: URI=a\r\nx-forwarded-client-cert: URI=b\r\n",
    "x-forwarded-client-cert: URI=a,URI=b\r\n",
];

#[tokio::test]
async fn the_application_reads_who_is_calling_as_envoy_would_tell_it() {
    let Some(program) = install::envoy() else {
        loud("oracle: SKIPPED, no Envoy: run tests/run without --quick once, it installs one");
        return;
    };
    let builder = Mesh::builder().service("product", &["v1"]);
    let mesh = builder.absent_caller("gateway").absent_caller("order").start().await;
    let ports = Ports { outbound: mesh.spare_address(15006), admin: mesh.spare_address(9901) };
    let authority = mesh.control_plane().authority();
    let bundle = authority.bundle();
    let directory = mesh.config_dir().with_file_name("envoy-product");
    let own = Credentials::write(&directory, &mesh.leaf("product", HOUR), bundle);
    let bootstrap = callee(&own, mesh.app_address("product-v1"), ports);
    let name = "Envoy in the callee's place";
    let envoy = Envoy::run(program, name, &directory, &bootstrap, ports).expect("it starts");
    envoy.settled(1).await;

    let app = mesh.app("product-v1");
    let mut compared = 0;
    for account in ["gateway", "order"] {
        let leaf = mesh.leaf(account, HOUR);
        let caller = TlsClient::new(Some(&leaf), bundle, &mesh.id("product"));
        for forged in FORGED {
            let ours = told(&app, &caller, mesh.workload_address("product-v1"), forged).await;
            let envoys = told(&app, &caller, ports.outbound, forged).await;
            assert_eq!(ours, envoys, "{account}, {forged:?}: {}", envoy.quote());
            assert_eq!(ours.len(), 1, "{account}, {forged:?}");
            let id = mesh.id(account).to_string();
            assert!(ours[0].ends_with(&format!(";URI={id}")), "{ours:?}");
            compared += 1;
        }
    }
    loud(&format!("oracle: {compared} values of {NAME} are Envoy's, byte for byte"));
}

/// What the application saw in the header after this caller's request.
async fn told(app: &App, caller: &TlsClient, to: SocketAddr, forged: &str) -> Vec<String> {
    let before = app.seen().len();
    let request =
        format!("GET / HTTP/1.1\r\nhost: product.shop\r\nconnection: close\r\n{forged}\r\n");
    let knock = caller.say(to, "", &request).await;
    assert!(knock.is_let_in(), "{knock:?}");
    let seen = app.seen();
    assert_eq!(seen.len(), before + 1, "one request, one time");
    let values = seen[before].headers.get_all(NAME).iter();
    values.map(|value| String::from_utf8_lossy(value.as_bytes()).into_owned()).collect()
}

/// Files that an Envoy reads.
struct Credentials {
    leaf: Value,
    bundle: Value,
}

impl Credentials {
    fn write(directory: &Path, leaf: &Leaf, bundle: &TrustBundle) -> Self {
        fs::create_dir(directory).expect("a new directory");
        let file = |name: &str, text: &str| {
            let path = directory.join(name);
            fs::write(&path, text).expect("it can be written");
            json!({"filename": path})
        };
        let chain = file("leaf.pem", &leaf.chain_pem());
        let key = file("leaf.key", &leaf.key().to_pem());
        Self {
            leaf: json!({"certificate_chain": chain, "private_key": key}),
            bundle: file("bundle.pem", &bundle.to_pem()),
        }
    }
}

/// All of an Envoy that stands before an application: mutual TLS, then the request as it came.
fn callee(own: &Credentials, app: SocketAddr, ports: Ports) -> Value {
    let tls = json!({
        "@type": format!("{TYPES}.transport_sockets.tls.v3.DownstreamTlsContext"),
        "require_client_certificate": true,
        "common_tls_context": {
            "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
            "tls_certificates": [own.leaf],
            "validation_context": {"trusted_ca": own.bundle},
        },
    });
    let router = json!({"@type": format!("{TYPES}.filters.http.router.v3.Router")});
    let manager = json!({
        "@type": format!("{TYPES}.filters.network.http_connection_manager.v3.HttpConnectionManager"),
        "stat_prefix": "inbound",
        "forward_client_cert_details": "SANITIZE_SET",
        "set_current_client_cert_details": {"uri": true},
        "route_config": {"virtual_hosts": [{
            "name": "app", "domains": ["*"],
            "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "app"}}],
        }]},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config": router}],
    });
    json!({
        "admin": {"address": socket(ports.admin)},
        "static_resources": {
            "listeners": [{
                "name": "inbound",
                "address": socket(ports.outbound),
                "filter_chains": [{
                    "transport_socket": {"name": "envoy.transport_sockets.tls", "typed_config": tls},
                    "filters": [{"name": "http", "typed_config": manager}],
                }],
            }],
            "clusters": [{
                "name": "app",
                "type": "STATIC",
                "load_assignment": {
                    "cluster_name": "app",
                    "endpoints": [{"lb_endpoints": [{"endpoint": {"address": socket(app)}}]}],
                },
            }],
        },
    })
}

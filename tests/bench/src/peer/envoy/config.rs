//! The parts of an Envoy configuration, as JSON.

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::peer::{CLIENT, HOST, SERVER, decoy_hosts};
use crate::pki::Identity;
use crate::site::Site;

const EXTENSIONS: &str = "type.googleapis.com/envoy.extensions";

/// One side of an mTLS connection.
pub(super) struct Tls<'a> {
    site: &'a Site,
    identity: &'a Identity,
    /// The SPIFFE id that the other side must have.
    peer: &'static str,
    alpn: Option<&'static str>,
    context: &'static str,
}

impl<'a> Tls<'a> {
    /// Of the outbound proxy.
    pub(super) fn client(site: &'a Site, alpn: Option<&'static str>) -> Self {
        let identity = &site.credentials.client;
        Self { site, identity, peer: SERVER.spiffe_id, alpn, context: "UpstreamTlsContext" }
    }

    /// Of the inbound proxy.
    pub(super) fn server(site: &'a Site, alpn: Option<&'static str>) -> Self {
        let identity = &site.credentials.server;
        Self { site, identity, peer: CLIENT.spiffe_id, alpn, context: "DownstreamTlsContext" }
    }

    fn transport_socket(&self) -> Value {
        let common = json!({
            "tls_params": {
                "tls_minimum_protocol_version": "TLSv1_3",
                "tls_maximum_protocol_version": "TLSv1_3",
                // As Weft: post-quantum where the other side can.
                "ecdh_curves": ["X25519MLKEM768", "X25519", "P-256"],
            },
            "alpn_protocols": Vec::from_iter(self.alpn),
            "tls_certificates": [{
                "certificate_chain": {"filename": self.identity.certificate},
                "private_key": {"filename": self.identity.key},
            }],
            "validation_context": {
                "trusted_ca": {"filename": self.site.ca},
                "match_typed_subject_alt_names":
                    [{"san_type": "URI", "matcher": {"exact": self.peer}}],
            },
        });
        let mut config = json!({
            "@type": format!("{EXTENSIONS}.transport_sockets.tls.v3.{}", self.context),
            "common_tls_context": common,
        });
        if self.context == "UpstreamTlsContext" {
            config["sni"] = HOST.into();
        } else {
            config["require_client_certificate"] = true.into();
        }
        json!({"name": "tls", "typed_config": config})
    }
}

/// An HTTP listener that routes [`HOST`] to the cluster of its own name.
pub(super) fn listener(name: &str, address: SocketAddr, tls: Option<Tls<'_>>) -> Value {
    let decoys = decoy_hosts().enumerate().map(|(n, host)| {
        let route = json!({"match": {"prefix": "/"}, "route": {"cluster": name}});
        json!({"name": format!("svc{n}"), "domains": [host], "routes": [route]})
    });
    let route = json!({"match": {"prefix": "/"}, "route": {
        "cluster": name,
        "timeout": "15s",
        "retry_policy": {"num_retries": 2, "retriable_status_codes": [503], "retry_on":
            "connect-failure,refused-stream,unavailable,cancelled,retriable-status-codes"},
    }});
    let domains = json!([HOST, format!("{HOST}:*")]);
    let served = json!({"name": "server", "domains": domains, "routes": [route]});
    let hosts: Vec<Value> = decoys.chain([served]).collect();
    let manager = json!({
        "@type": format!(
            "{EXTENSIONS}.filters.network.http_connection_manager.v3.HttpConnectionManager"
        ),
        "stat_prefix": name,
        "route_config": {"name": name, "virtual_hosts": hosts},
        "http_filters": [{"name": "envoy.filters.http.router", "typed_config":
            {"@type": format!("{EXTENSIONS}.filters.http.router.v3.Router")}}],
    });
    let filter =
        json!({"name": "envoy.filters.network.http_connection_manager", "typed_config": manager});
    with_chain(name, address, &filter, tls)
}

/// A cluster of one endpoint that speaks the protocol of its name, `http1` or `http2`.
pub(super) fn cluster(name: &str, endpoint: SocketAddr, tls: Option<Tls<'_>>) -> Value {
    let protocol = if name == "http2" { "http2_protocol_options" } else { "http_protocol_options" };
    let mut cluster = bare_cluster(name, endpoint, tls);
    cluster["typed_extension_protocol_options"] = json!({
        "envoy.extensions.upstreams.http.v3.HttpProtocolOptions": {
            "@type": format!("{EXTENSIONS}.upstreams.http.v3.HttpProtocolOptions"),
            "explicit_http_config": {protocol: {}},
        },
    });
    cluster
}

/// A listener whose bytes go to [`opaque_cluster`] as they come.
pub(super) fn opaque_listener(address: SocketAddr, tls: Option<Tls<'_>>) -> Value {
    let proxy = json!({
        "@type": format!("{EXTENSIONS}.filters.network.tcp_proxy.v3.TcpProxy"),
        "stat_prefix": OPAQUE,
        "cluster": OPAQUE,
    });
    let filter = json!({"name": "envoy.filters.network.tcp_proxy", "typed_config": proxy});
    with_chain(OPAQUE, address, &filter, tls)
}

/// A cluster of one endpoint for opaque bytes.
pub(super) fn opaque_cluster(endpoint: SocketAddr, tls: Option<Tls<'_>>) -> Value {
    bare_cluster(OPAQUE, endpoint, tls)
}

const OPAQUE: &str = "tcp";

fn with_chain(name: &str, address: SocketAddr, filter: &Value, tls: Option<Tls<'_>>) -> Value {
    let mut chain = json!({"filters": [filter]});
    if let Some(tls) = tls {
        chain["transport_socket"] = tls.transport_socket();
    }
    json!({"name": name, "address": socket(address), "filter_chains": [chain]})
}

fn bare_cluster(name: &str, endpoint: SocketAddr, tls: Option<Tls<'_>>) -> Value {
    let limit = 100_000;
    let mut cluster = json!({
        "name": name,
        "type": "STATIC",
        "lb_policy": "LEAST_REQUEST",
        "connect_timeout": "5s",
        "circuit_breakers": {"thresholds": [{
            "max_connections": limit,
            "max_pending_requests": limit,
            "max_requests": limit,
            "max_retries": 1000,
        }]},
        "load_assignment": {"cluster_name": name, "endpoints":
            [{"lb_endpoints": [{"endpoint": {"address": socket(endpoint)}}]}]},
    });
    if let Some(tls) = tls {
        cluster["transport_socket"] = tls.transport_socket();
    }
    cluster
}

fn socket(address: SocketAddr) -> Value {
    let ip = address.ip().to_string();
    json!({"socket_address": {"address": ip, "port_value": address.port()}})
}

//! Names of xDS resources. The control plane makes them, the proxy subscribes to them; people read them in
//! `weft proxy-config`, so they are the words that a user typed, not numbers.

/// Listener, RouteConfiguration, Cluster and ClusterLoadAssignment of one port of a Service:
/// `product.shop:8080`.
#[must_use]
pub fn service_port(service: &str, namespace: &str, port: u16) -> String {
    format!("{service}.{namespace}:{port}")
}

/// The same of one port of a workload that is called by its own address: `workload/product-v1.shop:8080`.
#[must_use]
pub fn workload_port(workload: &str, namespace: &str, port: u16) -> String {
    format!("workload/{workload}.{namespace}:{port}")
}

/// Splits `product.shop:8080` into `("product", "shop", 8080)`; `None` if it is no such name.
#[must_use]
pub fn parse_service_port(name: &str) -> Option<(&str, &str, u16)> {
    let (host, port) = name.rsplit_once(':')?;
    let (service, namespace) = host.split_once('.')?;
    let bad = service.is_empty() || namespace.is_empty() || namespace.contains('.');
    if bad { None } else { Some((service, namespace, port.parse().ok()?)) }
}

/// Name of a workload as people and `Node.id` write it: `product-v1.shop`.
#[must_use]
pub fn workload(name: &str, namespace: &str) -> String {
    format!("{name}.{namespace}")
}

/// Splits `product-v1.shop` into `("product-v1", "shop")`. Names of workloads may hold dots, namespaces not.
#[must_use]
pub fn parse_workload(id: &str) -> Option<(&str, &str)> {
    id.rsplit_once('.').filter(|(name, namespace)| !name.is_empty() && !namespace.is_empty())
}

/// The one inbound Listener of a workload: `inbound/shop/product-v1`.
#[must_use]
pub fn inbound_listener(name: &str, namespace: &str) -> String {
    format!("inbound/{namespace}/{name}")
}

/// Cluster that stands for the application behind an inbound port: `inbound:8080`.
#[must_use]
pub fn inbound_cluster(port: u16) -> String {
    format!("inbound:{port}")
}

/// Stands for every port of a workload that nothing speaks of: where inbound connections are intercepted, their own
/// destination says which one it is.
pub const OTHER_PORTS: u16 = 0;

/// Clusters of this name, with a number behind it, stand for backends that do not exist. There are none.
pub const INVALID_CLUSTER: &str = "invalid/";

/// SDS name of the proxy's own leaf. Never sent: the proxy has it from `weft.identity.v1`.
pub const LEAF_SECRET: &str = "weft:leaf";

/// SDS name of the trust bundle.
pub const TRUST_BUNDLE_SECRET: &str = "weft:trust-bundle";

/// The one resource that says who is denied.
pub const DENY_LIST: &str = "weft:deny-list";

/// What the text of a `PERMISSION_DENIED` of the control plane begins with if the caller himself is denied.
pub const DENIED: &str = "denied: ";

/// The fields of a line of the access log, in their order: what a policy may choose, and a proxy can write.
pub const ACCESS_LOG_FIELDS: [&str; 28] = [
    "time",
    "protocol",
    "direction",
    "workload",
    "identity",
    "service",
    "method",
    "host",
    "path",
    "http_version",
    "status",
    "grpc_status",
    "error",
    "denied_by",
    "denial",
    "duration_ms",
    "connect_ms",
    "first_byte_ms",
    "attempts",
    "fallback",
    "route",
    "peer_address",
    "peer_identity",
    "mtls",
    "bytes_sent",
    "bytes_received",
    "trace_id",
    "request_id",
];

/// `Node.metadata` and resource metadata keys.
pub mod metadata {
    /// Origin object of a resource, see [`crate::origin`].
    pub const SOURCE: &str = "weft.source";
    /// On an endpoint: `workload` (`product-v1.shop`) and `identity` (SPIFFE id, empty outside the mesh).
    pub const ENDPOINT: &str = "weft.endpoint";
    /// On a cluster: `pending_requests` and `pending_timeout_ms`, the queue for a connection. Envoy's own has no
    /// limit of time, and cannot be switched off.
    pub const LIMITS: &str = "weft.limits";
    /// On a RouteConfiguration: `status`, `headers` (a list of `name` and `value`) and `body` of the answer where
    /// nothing can serve. Envoy has no such thing.
    pub const FALLBACK: &str = "weft.fallback";
    /// On a cluster: `mode`, [`PREFER_LOCAL`] if near endpoints come first. Where they are stands with them, and where
    /// the proxy is, it knows.
    pub const LOCALITY: &str = "weft.locality";
    /// See [`LOCALITY`].
    pub const PREFER_LOCAL: &str = "PreferLocal";
    /// On an inbound listener: by port, a list of paths that may be asked for without mutual TLS; an empty one stands
    /// for a probe of the port itself.
    pub const PROBES: &str = "weft.probes";
    /// On an inbound listener: `region`, `zone` and `sub_zone` of the workload, as far as they are known.
    pub const PLACE: &str = "weft.place";
    /// On an inbound listener: `endpoint` and `protocol` (`grpc`, `http/protobuf`) of the collector of spans.
    pub const TRACING: &str = "weft.tracing";
    /// On an inbound listener: `successes`, the share of what went well that is logged, and `fields`, a list of names, if
    /// anything is logged; `endpoint` and `protocol` of the collector of lines.
    pub const ACCESS_LOG: &str = "weft.access_log";
    /// On a listener, typed: limits of HTTP that Envoy has no field for.
    pub const HTTP_LIMITS: &str = "weft.http_limits";
    /// Envoy's own key by which an endpoint chooses a transport socket.
    pub const TRANSPORT_SOCKET_MATCH: &str = "envoy.transport_socket_match";
}

/// Rate limits of inbound ports.
pub mod rate_limit {
    /// The HTTP filter.
    pub const FILTER: &str = "envoy.filters.http.local_ratelimit";
    /// Descriptor key of a limit by the caller's identity.
    pub const CALLER: &str = "caller";
    /// What Envoy computes it with.
    pub const CALLER_EXPRESSION: &str = "connection.uri_san_peer_certificate";
    /// Bound: keys whose requests one limit counts apart.
    pub const KEYS: u32 = 8192;
}

/// Access to inbound ports: Envoy's role based access control.
pub mod access {
    /// The filter of HTTP.
    pub const HTTP_FILTER: &str = "envoy.filters.http.rbac";
    /// The filter of opaque connections.
    pub const NETWORK_FILTER: &str = "envoy.filters.network.rbac";
    /// The matcher of path templates.
    pub const TEMPLATE: &str = "envoy.path.match.uri_template.uri_template_matcher";
    /// Bound: how deep conditions lie within each other.
    pub const MAX_DEPTH: usize = 8;
}

/// xDS v3 type URLs, in the order in which additions are sent.
pub mod type_url {
    /// Weft's own: where Service ports are found.
    pub const ADDRESSES: &str = "type.googleapis.com/weft.config.v1.Addresses";
    /// Weft's own: who is denied.
    pub const DENY_LIST: &str = "type.googleapis.com/weft.config.v1.DenyList";
    /// Cluster.
    pub const CLUSTER: &str = "type.googleapis.com/envoy.config.cluster.v3.Cluster";
    /// ClusterLoadAssignment.
    pub const ENDPOINT: &str = "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment";
    /// Listener.
    pub const LISTENER: &str = "type.googleapis.com/envoy.config.listener.v3.Listener";
    /// RouteConfiguration.
    pub const ROUTE: &str = "type.googleapis.com/envoy.config.route.v3.RouteConfiguration";
    /// Secret.
    pub const SECRET: &str = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret";
}

//! Name, type, labels and meaning of every metric of the proxy. `docs/reference/metrics.md` is made from
//! this table, and nothing may be exposed that is not in it.

use crate::telemetry::conventions::RPC_STATUS_LABEL;

/// Type of a metric.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Only grows.
    Counter,
    /// A value now.
    Gauge,
    /// Durations in seconds.
    Histogram,
}

/// One metric.
#[derive(Debug)]
pub struct Description {
    /// As Prometheus sees it.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Labels, in the order written.
    pub labels: &'static [&'static str],
    /// One sentence.
    pub help: &'static str,
}

macro_rules! metrics {
    ($($id:ident = $name:literal, $kind:ident, [$($label:expr),*], $help:literal;)+) => {
        $(
            #[doc = $help]
            pub(crate) const $id: &Description = &Description {
                name: $name,
                kind: Kind::$kind,
                labels: &[$($label),*],
                help: $help,
            };
        )+

        /// Every metric, by name.
        pub const ALL: &[&Description] = &[$($id),+];
    };
}

metrics! {
    CLIENT_DURATION = "http_client_request_duration_seconds", Histogram,
        ["http_request_method", "http_response_status_code", "error_type", "http_route", "network_protocol_version", "server_address", "server_port", "peer", "route", "backend"],
        "Requests of this workload to others, from the request's head to the last byte of the response. OpenTelemetry's http.client.request.duration.";
    SERVER_DURATION = "http_server_request_duration_seconds", Histogram,
        ["http_request_method", "http_response_status_code", "error_type", "network_protocol_version", "url_scheme", "peer"],
        "Requests to this workload, from the request's head to the last byte of the response. OpenTelemetry's http.server.request.duration.";
    CPU = "process_cpu_seconds_total", Counter, [],
        "CPU time of the proxy, user and system.";
    OPEN_FILES = "process_open_fds", Gauge, [],
        "Open files and sockets.";
    MEMORY = "process_resident_memory_bytes", Gauge, [],
        "Resident memory.";
    STARTED = "process_start_time_seconds", Gauge, [],
        "Start of the process, seconds since the Unix epoch.";
    CALL_CLIENT_DURATION = "rpc_client_call_duration_seconds", Histogram,
        ["rpc_system_name", "rpc_method", RPC_STATUS_LABEL, "error_type", "server_address", "server_port", "peer", "route", "backend"],
        "Calls of gRPC of this workload to others; each is a request of HTTP too. OpenTelemetry's rpc.client.call.duration.";
    CALL_SERVER_DURATION = "rpc_server_call_duration_seconds", Histogram,
        ["rpc_system_name", RPC_STATUS_LABEL, "error_type", "peer"],
        "Calls of gRPC to this workload; each is a request of HTTP too. OpenTelemetry's rpc.server.call.duration.";
    ACCESS_AUDITED = "weft_access_audited_total", Counter, ["rule"],
        "Requests and opaque connections that an AccessPolicy of the action AUDIT told of, by its rule. Of at most 1000 rules.";
    ACCESS_DENIED = "weft_access_denied_total", Counter, ["rule"],
        "Requests and opaque connections that were denied, by the rule that denies; none: no rule allows them.";
    LOG_LINES_DROPPED = "weft_access_log_dropped_total", Counter, [],
        "Lines of the access log that were dropped: whoever reads standard output or the log's file is too slow or gone, the disk is full, or the OTLP collector is away, silent or too slow.";
    BUILD = "weft_build_info", Gauge, ["version"],
        "Always 1; the version is in the label.";
    CERTIFICATES_REFUSED = "weft_certificates_refused_total", Counter, ["direction", "reason"],
        "Peers that were refused for their certificates in or after the handshake, by reason: bad_signature, chain_too_long, denied, expired, foreign_trust_domain, is_authority, malformed, no_certificate, no_uri, not_spiffe, not_valid_yet, other, several_uris, unknown_issuer, wrong_identity, wrong_usage.";
    CONFIG_ACCEPTED = "weft_config_accepted_timestamp_seconds", Gauge, [],
        "When the proxy last accepted something new from the control plane, seconds since the Unix epoch; 0 before the first.";
    CONFIG_GENERATION = "weft_config_generation", Gauge, [],
        "Generation of the configuration that was accepted last, as the replica of the control plane counts it that gave it (there: weft_control_plane_config_generation); 0 if it has no number.";
    CONFIG_STALE = "weft_config_stale", Gauge, [],
        "1 while the proxy serves from its last good configuration because the control plane was away at start.";
    CONFIG_UNCONFIRMED = "weft_config_unconfirmed_seconds", Gauge, [],
        "For how long nobody could say whether the configuration in force is the newest, because the control plane is away; 0 while the stream to it is open.";
    DENIED_PEERS = "weft_denied_peers_total", Counter, ["direction", "by", "outcome"],
        "Peers on the mesh's deny list that were met: by is identity or serial; outcome refused (a handshake, or an endpoint that was not dialled) or cut (a connection that was open).";
    DRAINING = "weft_draining", Gauge, [],
        "1 from the moment that draining begins.";
    HEALTH_CHECKS = "weft_health_checks_total", Counter, ["backend", "result"],
        "Active health checks of endpoints that have ended; result is passed or failed. Only of Service ports that have them.";
    HEALTH_ENDPOINTS = "weft_health_endpoints", Gauge, ["backend", "health"],
        "Endpoints by what active health checks say; health is unknown, healthy or unhealthy.";
    IDENTITY_NOT_AFTER = "weft_identity_not_after_seconds", Gauge, [],
        "End of the certificate's validity, seconds since the Unix epoch; 0 without a certificate.";
    IDENTITY_RENEWAL_FAILURES = "weft_identity_renewal_failures_total", Counter, [],
        "Attempts to get a certificate that failed; the one that there is stays in use to its end.";
    RENEWAL_OVERDUE = "weft_identity_renewal_overdue", Gauge, [],
        "1 while a quarter of the certificate's life is left, or less, and no other could be had: it ought to have been renewed after 50 to 70 % of it. An alarm.";
    LIMIT_MAX = "weft_limit_max", Gauge, ["backend", "limit"],
        "What a TrafficPolicy lets be under way at once; limit is requests, connections, pending or retries. Only of Service ports with limits, at most 2000 series.";
    LIMIT_USED = "weft_limit_used", Gauge, ["backend", "limit"],
        "What of it is under way now.";
    MEMORY_LIMIT = "weft_memory_limit_bytes", Gauge, [],
        "The most memory that the sidecar may have, by its cgroup or its flag; 0: no limit is known.";
    MEMORY_SHED = "weft_memory_shed_total", Counter, ["what"],
        "What was turned away or let go because memory or file descriptors were short; what is connection (as it came), request, idle (a connection that waited) or stalled (one whose handshake, head or body did not come).";
    MEMORY_SHEDDING = "weft_memory_shedding", Gauge, [],
        "1 while memory is short: from 85 % of the limit until it is below 80 %.";
    MEMORY_WORKING_SET = "weft_memory_working_set_bytes", Gauge, [],
        "What of the limit is in use, without page cache that can be taken back; 0 without a limit.";
    OTHER_REQUESTS = "weft_metrics_other_requests_total", Counter, [],
        "Requests whose histogram had no place and which were counted under other.";
    SERIES = "weft_metrics_series", Gauge, [],
        "Series about requests and connections that have a place: 10 an edge, 17 a histogram.";
    SERIES_LIMIT = "weft_metrics_series_limit", Gauge, [],
        "How many may have one.";
    MIRRORED = "weft_mirrored_requests_total", Counter,
        ["direction", "peer", "route", "backend", "outcome"],
        "Copies of requests for a mirror: answered, failed, or dropped because too many are under way or the backend is not there.";
    CIRCUIT = "weft_outlier_circuit", Gauge, ["backend", "workload", "endpoint"],
        "Outlier detection of an endpoint: 0 closed (in use), 1 half-open (one trial decides), 2 open (ejected). Only of Service ports with outlier detection, at most 2000 series.";
    EJECTIONS = "weft_outlier_ejections_total", Counter, ["backend", "reason"],
        "Ejections of endpoints; reason is consecutive_failures, consecutive_gateway_failures, consecutive_local_failures, failure_percentage, or trial.";
    RATE_LIMIT_KEYS_FORGOTTEN = "weft_rate_limit_keys_forgotten_total", Counter, [],
        "Keys of rate limits that were counted and made room for others; more of them means that limits by key let more pass.";
    RATE_LIMITED = "weft_rate_limited_total", Counter, [],
        "Requests to this workload that a rate limit refused.";
    ERRORS = "weft_request_errors_total", Counter,
        ["direction", "peer", "route", "backend", "error"],
        "Requests and opaque connections that the proxy failed itself, by error token.";
    FAILURES = "weft_request_failures_total", Counter,
        ["direction", "peer", "route", "backend"],
        "Requests that count against the success rate: 5xx, a server's fault in grpc-status (2, 4, 12, 13, 14, 15), or an error of the endpoint or the proxy.";
    FALLBACKS = "weft_request_fallbacks_total", Counter,
        ["direction", "peer", "route", "backend"],
        "Requests that were answered with the fallback of a TrafficPolicy, because surely no application saw them.";
    REQUESTS = "weft_requests_total", Counter,
        ["direction", "peer", "route", "backend", "status_class", "mtls"],
        "Requests that have ended; status_class is none, 1xx, 2xx, 3xx, 4xx or 5xx.";
    RETRIES = "weft_retries_total", Counter,
        ["direction", "peer", "route", "backend"],
        "Second and later attempts.";
    SPANS_DROPPED = "weft_spans_dropped_total", Counter, [],
        "Spans that no collector took: the queue was full, or an export failed.";
    SPANS_EXPORTED = "weft_spans_exported_total", Counter, [],
        "Spans that a collector took.";
    SPANS_STARTED = "weft_spans_started_total", Counter, [],
        "Spans begun.";
    TCP_CLOSED = "weft_tcp_connections_closed_total", Counter,
        ["direction", "peer", "route", "backend"],
        "Opaque connections that have closed.";
    TCP_OPEN = "weft_tcp_connections_open", Gauge,
        ["direction", "peer", "route", "backend"],
        "Opaque connections that are open now.";
    TCP_OPENED = "weft_tcp_connections_opened_total", Counter,
        ["direction", "peer", "route", "backend", "mtls"],
        "Opaque connections opened.";
    TCP_RECEIVED = "weft_tcp_received_bytes_total", Counter,
        ["direction", "peer", "route", "backend"],
        "Bytes from the accepting side of opaque connections, as they pass.";
    TCP_SENT = "weft_tcp_sent_bytes_total", Counter,
        ["direction", "peer", "route", "backend"],
        "Bytes to the accepting side of opaque connections, as they pass.";
    UPSTREAMS = "weft_upstreams", Gauge, ["standing"],
        "Service ports that the workload may call, by standing: in_force, waiting (for the control plane), absent (there is no such Service), unused (not subscribed).";
    XDS_CONNECTED = "weft_xds_connected", Gauge, [],
        "1 while the stream to the control plane is open.";
}

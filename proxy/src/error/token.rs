//! The table of error tokens, from which `docs/reference/errors.md` is generated. Tokens of RFC 9209 keep
//! its spelling; the others are Weft's own. A token is never renamed.

use http::StatusCode;

/// Who caused a failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The one who sent the request.
    Downstream,
    /// The endpoint, or the way to it.
    Upstream,
    /// This proxy or its configuration.
    Local,
}

macro_rules! tokens {
    ($($(#[doc = $doc:literal])+ $variant:ident = $name:literal, $status:literal, $fault:ident;)+) => {
        /// Stable word for one kind of failure.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Token { $($(#[doc = $doc])+ $variant,)+ }

        impl Token {
            /// Every token, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// As written in `Proxy-Status`, logs, spans and metrics.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name),+ }
            }

            /// Status of the response that the proxy makes.
            #[must_use]
            pub fn status(self) -> StatusCode {
                let code: u16 = match self { $(Self::$variant => $status),+ };
                StatusCode::from_u16(code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
            }

            /// Whose fault it is.
            #[must_use]
            pub fn fault(self) -> Fault {
                match self { $(Self::$variant => Fault::$fault),+ }
            }

            /// One sentence for people.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Self::$variant => concat!($($doc),+)),+ }
            }
        }
    };
}

tokens! {
    /// No rule of the routes on this Service port matches the request.
    RouteNotFound = "route_not_found", 404, Downstream;
    /// The request is malformed, or breaks a rule that keeps requests unambiguous.
    RequestError = "http_request_error", 400, Downstream;
    /// A policy forbids the request.
    RequestDenied = "http_request_denied", 403, Downstream;
    /// More requests than a rate limit of the receiving workload allows.
    RateLimited = "rate_limited", 429, Downstream;
    /// The request asks for another protocol than WebSocket on its connection.
    UpgradeRefused = "upgrade_refused", 403, Downstream;
    /// The client went away before the response was complete.
    DownstreamClosed = "downstream_closed", 499, Downstream;
    /// The matching rule has no usable backend: a reference is broken or the weights are all zero.
    BackendInvalid = "backend_invalid", 500, Local;
    /// The proxy has no configuration for this Service yet, or lost the right to it.
    ConfigurationMissing = "proxy_configuration_error", 503, Local;
    /// This workload's own certificate is missing or has expired, so no mutual TLS is possible.
    IdentityUnavailable = "identity_unavailable", 503, Local;
    /// This workload's own identity or certificate is on the mesh's deny list: it calls nobody, and nobody takes its calls.
    IdentityDenied = "identity_denied", 503, Local;
    /// Something failed inside the proxy that should not.
    InternalError = "proxy_internal_error", 500, Local;
    /// The Service has no endpoint.
    DestinationUnavailable = "destination_unavailable", 503, Upstream;
    /// The endpoint refused the connection or reset it while it was being opened.
    ConnectionRefused = "connection_refused", 503, Upstream;
    /// The connection was not open within the connect timeout.
    ConnectionTimeout = "connection_timeout", 503, Upstream;
    /// The bound on connections to the endpoint is reached.
    ConnectionLimitReached = "connection_limit_reached", 503, Local;
    /// The limit on requests to the Service is reached (`limits.requests`); this one was not sent.
    RequestLimitReached = "request_limit_reached", 503, Local;
    /// No connection to the Service was free within its limits, and too many requests waited for one, or this one had waited too long (`limits.connections`, `pendingRequests`, `pendingTimeout`); it was not sent.
    PendingLimitReached = "pending_limit_reached", 503, Local;
    /// This sidecar has too little memory left; the request was not sent (docs: http.md, "Too little memory").
    MemoryLimitReached = "memory_limit_reached", 503, Local;
    /// The endpoint's certificate is not the one expected for it.
    TlsCertificateError = "tls_certificate_error", 503, Upstream;
    /// The identity or certificate of the other side is on the mesh's deny list.
    PeerDenied = "peer_denied", 503, Upstream;
    /// The TLS handshake with the endpoint failed.
    TlsProtocolError = "tls_protocol_error", 503, Upstream;
    /// The connection ended before a response arrived.
    ConnectionTerminated = "connection_terminated", 503, Upstream;
    /// An idle connection was closed by the endpoint while a request that must not go out twice was on its way.
    KeepAliveRace = "keep_alive_race", 503, Upstream;
    /// The endpoint refused the request unread, in its protocol's own words (REFUSED_STREAM, GOAWAY).
    RequestRefused = "request_refused", 503, Upstream;
    /// No response within the time allowed by the route or policy.
    ResponseTimeout = "http_response_timeout", 504, Upstream;
    /// The response is no valid HTTP.
    ResponseError = "http_protocol_error", 502, Upstream;
    /// The response broke off in its body.
    ResponseIncomplete = "http_response_incomplete", 502, Upstream;
    /// The receiving sidecar could not reach its application.
    ApplicationUnreachable = "application_unreachable", 503, Upstream;
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}

//! Routes: Gateway API's HTTPRoute and GRPCRoute with their references resolved.

use std::time::Duration;

use super::{Key, Origin};

/// Which kind of route it is. Only one kind counts on a port: a GRPCRoute before an HTTPRoute (GEP-1294).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum RouteKind {
    /// HTTPRoute.
    Http,
    /// GRPCRoute.
    Grpc,
}

/// One route that is attached to at least one port of a Service.
///
/// In the namespace of the Service it is a producer's and counts for every caller. In another it is a consumer's:
/// it counts for callers of its own namespace only, and there instead of all of the producer's (GEP-1294).
#[derive(Clone, Debug, PartialEq)]
pub struct Route {
    /// Its kind.
    pub kind: RouteKind,
    /// Namespace and name.
    pub key: Key,
    /// Where it was read.
    pub origin: Origin,
    /// `metadata.creationTimestamp`, seconds since the epoch; 0 where it has none. Older wins ties.
    pub created: i64,
    /// Service ports that it is attached to; a parent without a port stands here once for each port.
    pub parents: Vec<(Key, u16)>,
    /// Lower-case host names, `*.` first for a wildcard; empty matches every host.
    pub hostnames: Vec<String>,
    /// Rules in the order written.
    pub rules: Vec<RouteRule>,
}

/// One rule.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RouteRule {
    /// `rules[].name`, else the index.
    pub name: String,
    /// Any of these; the source puts the default (`/` prefix) where none is written.
    pub matches: Vec<RouteMatch>,
    /// Changes to the request on its way to any backend of the rule.
    pub request_headers: HeaderFilter,
    /// Changes to the response.
    pub response_headers: HeaderFilter,
    /// Answer with a redirect and ask no backend.
    pub redirect: Option<Redirect>,
    /// What becomes of the URL on its way to any backend of the rule.
    pub rewrite: Rewrite,
    /// Who gets copies of the requests; what they answer is nobody's business.
    pub mirrors: Vec<Mirror>,
    /// Where the request goes, by weight. Empty without a redirect answers 500.
    pub backends: Vec<BackendRef>,
    /// `timeouts`.
    pub timeouts: Timeouts,
    /// Retries; go before the policy's.
    pub retry: Option<RuleRetry>,
}

/// All parts must match.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RouteMatch {
    /// Path.
    pub path: PathMatch,
    /// Upper-case method, as sent.
    pub method: Option<String>,
    /// Headers, names in lower case, each name once.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters, each name once.
    pub query: Vec<QueryMatch>,
}

/// Match on the path.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum PathMatch {
    /// The whole path, case-sensitive.
    Exact(String),
    /// Whole path elements: `/a` matches `/a` and `/a/b`, not `/ab`. No trailing slash but for `/`.
    Prefix(String),
    /// RE2 syntax, anchored at both ends.
    Regex(String),
    /// A method of gRPC; what is `None` matches any. Only gRPC requests match.
    Rpc {
        /// `pkg.Service`.
        service: Option<ValueMatch>,
        /// `Method`.
        method: Option<ValueMatch>,
    },
}

impl Default for PathMatch {
    fn default() -> Self {
        Self::Prefix("/".to_owned())
    }
}

/// Match on one value.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ValueMatch {
    /// To the letter.
    Exact(String),
    /// RE2 syntax, anchored at both ends.
    Regex(String),
}

/// Match on one header.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct HeaderMatch {
    /// Lower case.
    pub name: String,
    /// What its value must be.
    pub value: ValueMatch,
}

/// Match on one query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueryMatch {
    /// Case-sensitive.
    pub name: String,
    /// What its first value must be.
    pub value: ValueMatch,
}

/// Header changes, applied in the order set, add, remove.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderFilter {
    /// Replace or create.
    pub set: Vec<HeaderChange>,
    /// Append.
    pub add: Vec<HeaderChange>,
    /// Names to remove, lower case.
    pub remove: Vec<String>,
}

/// One header to write.
#[derive(Clone, Debug, PartialEq)]
pub struct HeaderChange {
    /// Lower case.
    pub name: String,
    /// Valid header value.
    pub value: String,
}

/// `RequestRedirect`; what is `None` stays as it was.
#[derive(Clone, Debug, PartialEq)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host name without port.
    pub hostname: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Path.
    pub path: Option<PathModifier>,
    /// 301, 302, 303, 307 or 308.
    pub status: u16,
}

/// `URLRewrite`; what is `None` stays as it was. The query always stays.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Rewrite {
    /// Host name without port.
    pub hostname: Option<String>,
    /// Path.
    pub path: Option<PathModifier>,
}

/// What of a path is replaced, and by what. Absolute, or empty, which means `/`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PathModifier {
    /// The whole path.
    Full(String),
    /// What the rule's one match, a prefix, has matched; whole path elements.
    Prefix(String),
}

/// One backend of a rule.
#[derive(Clone, Debug, PartialEq)]
pub struct BackendRef {
    /// Share of the rule's traffic, relative to the sum; 0 gets none.
    pub weight: u32,
    /// The Service port, or why there is none.
    pub backend: Backend,
    /// Changes to the request on its way to this backend only.
    pub request_headers: HeaderFilter,
    /// Changes to the response from this backend only.
    pub response_headers: HeaderFilter,
    /// Host that this backend sees; goes before the rule's.
    pub hostname: Option<String>,
}

/// `RequestMirror`.
#[derive(Clone, Debug, PartialEq)]
pub struct Mirror {
    /// Its place in `filters`.
    pub filter: usize,
    /// The Service port; an invalid one gets nothing.
    pub backend: Backend,
    /// Share of the requests, in millionths.
    pub millionths: u32,
}

/// A resolved reference.
#[derive(Clone, Debug, PartialEq)]
pub enum Backend {
    /// Port of a Service that exists.
    Service(Key, u16),
    /// Does not exist or may not be used; its weight answers 500 (Gateway API). Text for people.
    Invalid(String),
}

/// `retry` of a rule (GEP-1731): connections that fail, and these answers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RuleRetry {
    /// Statuses, 400 to 599.
    pub codes: Vec<u16>,
    /// Retries after the first attempt; the default of policies where `None`.
    pub attempts: Option<u32>,
    /// No retry comes sooner.
    pub backoff: Option<Duration>,
}

/// `timeouts` of a rule; `None` and zero mean no limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Timeouts {
    /// For the request with all its attempts.
    pub request: Option<Duration>,
    /// For one attempt.
    pub backend_request: Option<Duration>,
}

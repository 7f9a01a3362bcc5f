//! Route tables. The order of hosts and rules is the control plane's: first match wins.

use std::time::Duration;

use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, StatusCode};
use regex::Regex;
use weft_proto::origin::Origin;

use super::RetryPolicy;

/// RouteConfiguration of one Service port.
#[derive(Debug)]
pub struct RouteTable {
    /// `product.shop:8080`.
    pub name: String,
    /// By host.
    pub hosts: Vec<VirtualHost>,
    /// The answer where nothing can serve.
    pub fallback: Option<Box<Fallback>>,
    /// Every cluster that a rule names, each once; [`Split::cluster`] is an index into it.
    pub clusters: Vec<String>,
}

/// A fixed answer.
#[derive(Debug)]
pub struct Fallback {
    /// Status.
    pub status: StatusCode,
    /// Headers.
    pub headers: HeaderMap,
    /// Body.
    pub body: Bytes,
}

/// Rules for some hosts.
#[derive(Debug)]
pub struct VirtualHost {
    /// Hosts that it speaks for.
    pub hosts: Vec<HostPattern>,
    /// First match wins.
    pub rules: Vec<Rule>,
}

/// Pattern of a host without port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostPattern {
    /// `*`.
    Any,
    /// Lower case.
    Exact(String),
    /// `*.example.com` as `.example.com`: at least one label before it.
    Suffix(String),
}

/// One match with what follows from it.
#[derive(Debug)]
pub struct Rule {
    /// The route object and its rule, or the Service if it has no route.
    pub origin: Origin,
    /// What must match.
    pub matcher: Matcher,
    /// Changes to the request.
    pub request_headers: HeaderOps,
    /// Changes to the response.
    pub response_headers: HeaderOps,
    /// Changes to the URL of what is forwarded.
    pub rewrite: Option<Box<Rewrite>>,
    /// Who gets copies of what is forwarded.
    pub mirrors: Vec<Mirror>,
    /// What is done.
    pub action: Action,
    /// Limit on the request with all attempts, to the end of the response.
    pub timeout: Option<Duration>,
    /// Is `grpc-timeout`, where a call has it, a limit too?
    pub grpc_timeout: bool,
    /// Retries.
    pub retry: RetryPolicy,
    /// Share of the traces begun for its requests, 0 to 1; `None`: as for all others.
    pub sampling: Option<f64>,
}

/// All parts must match.
#[derive(Debug, Default)]
pub struct Matcher {
    /// Path.
    pub path: PathMatch,
    /// Only gRPC requests, by their `content-type`.
    pub grpc: bool,
    /// Method.
    pub method: Option<Method>,
    /// Headers.
    pub headers: Vec<HeaderMatch>,
    /// Query parameters.
    pub query: Vec<QueryMatch>,
}

/// Match on the path.
#[derive(Debug, Default)]
pub enum PathMatch {
    /// Every path.
    #[default]
    Any,
    /// The whole path.
    Exact(String),
    /// Whole path elements; no trailing slash.
    Prefix(String),
    /// Anchored at both ends.
    Regex(Regex),
}

/// Match on one value.
#[derive(Debug)]
pub enum ValueMatch {
    /// To the letter.
    Exact(String),
    /// Anchored at both ends.
    Regex(Regex),
    /// Any value.
    Present,
}

/// Match on one header; several values are judged as one list joined by commas (RFC 9110 §5.3).
#[derive(Debug)]
pub struct HeaderMatch {
    /// Name.
    pub name: HeaderName,
    /// Value.
    pub value: ValueMatch,
}

/// Match on one query parameter; its first value counts.
#[derive(Debug)]
pub struct QueryMatch {
    /// Name.
    pub name: String,
    /// Value.
    pub value: ValueMatch,
}

/// Header changes, applied in the order written.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HeaderOps {
    /// In order.
    pub changes: Vec<HeaderChange>,
}

/// One header change.
#[derive(Clone, Debug, PartialEq)]
pub enum HeaderChange {
    /// Replace or create.
    Set(HeaderName, HeaderValue),
    /// Append.
    Add(HeaderName, HeaderValue),
    /// Remove every value.
    Remove(HeaderName),
}

/// What a rule does.
#[derive(Debug)]
pub enum Action {
    /// Send it to one of these, by weight. Never empty, and the weights never sum to zero.
    Forward(Vec<Split>),
    /// Answer with a redirect.
    Redirect(Redirect),
    /// Answer with this status and no body.
    Respond(StatusCode),
}

/// One backend of a rule.
#[derive(Debug)]
pub struct Split {
    /// Index into [`RouteTable::clusters`].
    pub cluster: usize,
    /// Share, relative to the sum.
    pub weight: u32,
    /// Changes to the request on its way to this backend.
    pub request_headers: HeaderOps,
    /// Changes to the response from this backend.
    pub response_headers: HeaderOps,
    /// Host that this backend sees, unless the rule has one.
    pub host: Option<Host>,
}

/// A backend that gets copies of requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// Index into [`RouteTable::clusters`].
    pub cluster: usize,
    /// Share of the requests, in millionths.
    pub millionths: u32,
}

/// Changes to the URL of a request; the query stays.
#[derive(Debug)]
pub struct Rewrite {
    /// Host.
    pub host: Option<Host>,
    /// Path.
    pub path: Option<PathRewrite>,
}

/// A host, with port if it has one, as HTTP/2 and as HTTP/1 want it.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// `:authority`.
    pub authority: Authority,
    /// `Host`.
    pub value: HeaderValue,
}

/// What of a path is replaced, and by what.
#[derive(Debug)]
pub enum PathRewrite {
    /// The whole path.
    Full(String),
    /// The prefix that the rule matched; the whole path if it matched no prefix.
    Prefix(String),
    /// Every place that the pattern matches; the replacement is in the words of `regex`.
    Regex(Regex, String),
}

/// A redirect; what is `None` stays as it was.
#[derive(Debug)]
pub struct Redirect {
    /// `http` or `https`.
    pub scheme: Option<String>,
    /// Host.
    pub host: Option<String>,
    /// Port.
    pub port: Option<u16>,
    /// Path.
    pub path: Option<PathRewrite>,
    /// Status.
    pub status: StatusCode,
}

//! A span: open while the request is under way, closed with what became of it, and at last in the words of
//! OpenTelemetry's semantic conventions. Only the last step, which the export thread makes, costs much.

use std::net::SocketAddr;
use std::time::{Instant, SystemTime};

use http::{Method, Version};
use opentelemetry::trace::{
    SpanContext, SpanId, SpanKind as Kind, Status, TraceFlags, TraceId, TraceState,
};
use opentelemetry::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::transform::trace::tonic::group_spans_by_resource_and_scope;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{SpanData, SpanEvents, SpanLinks};

use super::context::Outgoing;
use super::route::Told;
use super::{Settings, SpanKind};
use crate::error::Token;
use crate::telemetry::conventions::{self, Verb};
use crate::telemetry::export::Item;
use crate::telemetry::export::otlp::{About, Request};
use crate::telemetry::metrics::{Direction, is_server_fault};
use crate::telemetry::{RequestEnd, clip, plain};

/// Bound: longest name of a method of gRPC, bytes.
const MAX_METHOD: usize = 200;
/// gRPC's code for a method that is not there.
const UNIMPLEMENTED: u16 = 12;
/// Bound: longest text of an attribute, bytes.
const MAX_TEXT: usize = 1024;

/// The workload that the proxy speaks for, as a resource.
#[derive(Clone, Debug, Default)]
pub struct Workload {
    /// `service.name`: as people call it (`product`).
    pub name: String,
    /// `service.namespace`.
    pub namespace: String,
    /// `service.version`; empty if it has none.
    pub version: String,
    /// `service.instance.id` (`product-v1.shop`).
    pub instance: String,
    /// `k8s.pod.name`, if it is a pod; its namespace is then `k8s.namespace.name`.
    pub pod: Option<String>,
}

/// Attributes of the process; the environment's go before the workload's.
pub(crate) fn resource(settings: &Settings, workload: &Workload) -> Resource {
    let name = settings.service_name.as_ref().unwrap_or(&workload.name);
    let mut attributes = vec![("service.name".to_owned(), name.clone())];
    let in_pod = workload.pod.as_deref().map_or("", |_| &workload.namespace);
    for (key, value) in [
        ("service.namespace", workload.namespace.as_str()),
        ("service.version", &workload.version),
        ("service.instance.id", &workload.instance),
        ("k8s.pod.name", workload.pod.as_deref().unwrap_or_default()),
        ("k8s.namespace.name", in_pod),
    ] {
        if !value.is_empty() && settings.resource.iter().all(|(set, _)| set != key) {
            attributes.push((key.to_owned(), value.to_owned()));
        }
    }
    attributes.extend(settings.resource.iter().cloned());
    let attributes = attributes.into_iter().map(|(key, value)| KeyValue::new(key, value));
    Resource::builder_empty().with_attributes(attributes).build()
}

/// A span under way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Open {
    kind: SpanKind,
    outgoing: Outgoing,
    parent: SpanId,
    parent_is_remote: bool,
    resend: u32,
    started: SystemTime,
    clock: Instant,
}

impl Open {
    pub(super) fn new(kind: SpanKind, outgoing: Outgoing, parent: SpanId) -> Self {
        Self {
            kind,
            outgoing,
            parent,
            parent_is_remote: parent != SpanId::INVALID,
            resend: 0,
            started: SystemTime::now(),
            clock: Instant::now(),
        }
    }

    /// The span of the next attempt: a sibling of this one. Where this one is the trace's root, a
    /// child of it, so that the trace stays one tree.
    pub(super) fn resend(&self, span_id: SpanId, attempt: u32) -> Self {
        let root = self.parent == SpanId::INVALID;
        let parent = if root { self.outgoing.span_id } else { self.parent };
        let outgoing = Outgoing { span_id, ..self.outgoing };
        let next = Self::new(self.kind, outgoing, parent);
        Self { resend: attempt, parent_is_remote: self.parent_is_remote, ..next }
    }

    pub(super) fn outgoing(&self) -> &Outgoing {
        &self.outgoing
    }

    /// `told`: by the caller's sidecar, where this span is the receiver's.
    pub(super) fn close(self, end: &RequestEnd<'_>, told: Option<&Told>) -> Box<Span> {
        let text = |text: &str| Box::from(&*plain(text, MAX_TEXT));
        let (pattern, origin) = match told {
            Some(told) => (told.pattern(), told.origin()),
            None => (end.http_route, end.route),
        };
        let (http_route, route) = (pattern.map(text), text(origin));
        Box::new(Span {
            ended: self.started + self.clock.elapsed(),
            open: self,
            direction: end.direction,
            method: end.method.clone(),
            path: text(end.path),
            host: text(end.host),
            version: end.version,
            status: end.status,
            grpc: end.grpc,
            grpc_status: end.grpc_status,
            error: end.error,
            http_route,
            route,
            service: text(end.service),
            peer_identity: text(end.peer_identity),
            peer_address: end.peer_address,
            request_bytes: end.request_bytes,
            response_bytes: end.response_bytes,
        })
    }
}

/// A span that is over: plain values, small enough to wait in a queue by the thousand.
#[derive(Debug)]
pub(super) struct Span {
    open: Open,
    ended: SystemTime,
    direction: Direction,
    method: Method,
    path: Box<str>,
    host: Box<str>,
    version: Version,
    status: u16,
    grpc: bool,
    grpc_status: Option<u16>,
    error: Option<Token>,
    http_route: Option<Box<str>>,
    route: Box<str>,
    service: Box<str>,
    peer_identity: Box<str>,
    peer_address: Option<SocketAddr>,
    request_bytes: u64,
    response_bytes: u64,
}

impl Item for Span {
    const WHAT: &'static str = "spans";
    const THREAD: &'static str = "weft-otlp";

    fn request(batch: Vec<Self>, about: &About) -> Request {
        let spans = batch.into_iter().map(|span| span.into_data(&about.scope)).collect();
        let resource_spans = group_spans_by_resource_and_scope(spans, &about.resource);
        Request::Traces(ExportTraceServiceRequest { resource_spans })
    }
}

impl Span {
    /// In OpenTelemetry's words.
    pub(super) fn into_data(self, scope: &InstrumentationScope) -> SpanData {
        let Open { outgoing, parent, parent_is_remote, started, kind, .. } = self.open;
        let Outgoing { trace_id, span_id, .. } = outgoing;
        SpanData {
            span_context: context(trace_id, span_id),
            parent_span_id: parent,
            parent_span_is_remote: parent_is_remote,
            span_kind: match kind {
                SpanKind::Client => Kind::Client,
                SpanKind::Server => Kind::Server,
            },
            name: self.name().into(),
            start_time: started,
            end_time: self.ended,
            status: self.status(),
            attributes: self.attributes(),
            dropped_attributes_count: 0,
            events: SpanEvents::default(),
            links: SpanLinks::default(),
            instrumentation_scope: scope.clone(),
        }
    }

    /// `{method} {route}`, else `{method}`; of gRPC `{rpc.method}`, else `grpc`. Never the path, which has no end of
    /// values.
    fn name(&self) -> String {
        if self.grpc {
            return self.rpc_method().unwrap_or("grpc").to_owned();
        }
        // Other methods would let clients invent span names.
        let method = if Verb::of(&self.method).is_known() { self.method.as_str() } else { "HTTP" };
        match &self.http_route {
            Some(route) => format!("{method} {route}"),
            None => method.to_owned(),
        }
    }

    /// `pkg.Service/Method`, if there is such a method as far as anybody has said. A caller may ask for what he likes: what
    /// is unknown to the server (or was never put to it, as the receiving side sees it) is nobody's method.
    fn rpc_method(&self) -> Option<&str> {
        let said = match self.open.kind {
            SpanKind::Client => self.grpc_status != Some(UNIMPLEMENTED),
            SpanKind::Server => self.grpc_status.is_some_and(|code| code != UNIMPLEMENTED),
        };
        let path = self.path.strip_prefix('/').filter(|_| said)?;
        let (service, method) = path.split_once('/')?;
        let is_name = |text: &str| {
            !text.is_empty()
                && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._".contains(&b))
        };
        let good = path.len() <= MAX_METHOD && is_name(service) && is_name(method);
        good.then_some(path)
    }

    /// What went wrong, in one stable word: the token; else the code of gRPC or HTTP.
    fn error_type(&self) -> Option<String> {
        let least = match self.open.kind {
            SpanKind::Client => 400,
            SpanKind::Server => 500,
        };
        let grpc_failed = |code: &u16| match self.open.kind {
            SpanKind::Client => *code != 0,
            SpanKind::Server => is_server_fault(*code),
        };
        let by_token = self.error.map(|token| token.as_str().to_owned());
        by_token
            .or_else(|| self.grpc_status.filter(grpc_failed).map(grpc_name))
            .or_else(|| (self.status >= least).then(|| self.status.to_string()))
    }

    /// A client's mistake (4xx) is no error of the server's span.
    fn status(&self) -> Status {
        let own_4xx = self.open.kind == SpanKind::Server && (400..500).contains(&self.status);
        match self.error {
            Some(_) if own_4xx => Status::Unset,
            Some(token) => Status::error(token.meaning().trim()),
            None if self.error_type().is_some() => Status::error(""),
            None => Status::Unset,
        }
    }

    fn attributes(&self) -> Vec<KeyValue> {
        let mut all = Attributes(Vec::with_capacity(20));
        if Verb::of(&self.method).is_known() {
            all.text("http.request.method", self.method.as_str());
        } else {
            all.text("http.request.method", "_OTHER");
            all.text("http.request.method_original", clip(self.method.as_str(), MAX_TEXT));
        }
        all.text("url.scheme", "http");
        all.text("url.path", &self.path);
        if self.open.kind == SpanKind::Client {
            all.text("url.full", &format!("http://{}{}", self.host, self.path));
        }
        self.add_addresses(&mut all);
        all.text("http.route", self.http_route.as_deref().unwrap_or_default());
        all.text("network.protocol.name", "http");
        all.text("network.protocol.version", conventions::version(self.version));
        if self.status > 0 {
            all.number("http.response.status_code", self.status.into());
        }
        if self.grpc {
            all.text("rpc.system.name", "grpc");
            all.text("rpc.method", self.rpc_method().unwrap_or("_OTHER"));
            if self.rpc_method().is_none() {
                all.text("rpc.method_original", self.path.trim_start_matches('/'));
            }
        }
        if let Some(code) = self.grpc_status {
            all.text("rpc.response.status_code", &grpc_name(code));
        }
        all.text("error.type", &self.error_type().unwrap_or_default());
        if self.open.resend > 0 {
            all.number("http.request.resend_count", self.open.resend.into());
        }
        all.number("http.request.body.size", self.request_bytes);
        all.number("http.response.body.size", self.response_bytes);
        all.text("weft.direction", self.direction.as_str());
        all.text("weft.route", &self.route);
        all.text("weft.peer.identity", &self.peer_identity);
        all.0
    }

    fn add_addresses(&self, all: &mut Attributes) {
        let (name, port) = self.service.rsplit_once(':').unwrap_or((&self.service, ""));
        all.text("server.address", name);
        if let Ok(port) = port.parse() {
            all.number("server.port", port);
        }
        if let Some(address) = self.peer_address {
            all.text("network.peer.address", &address.ip().to_string());
            all.number("network.peer.port", address.port().into());
        }
    }
}

struct Attributes(Vec<KeyValue>);

impl Attributes {
    /// Nothing, if there is no value.
    fn text(&mut self, key: &'static str, value: &str) {
        if !value.is_empty() {
            self.0.push(KeyValue::new(key, value.to_owned()));
        }
    }

    fn number(&mut self, key: &'static str, value: u64) {
        self.0.push(KeyValue::new(key, i64::try_from(value).unwrap_or(i64::MAX)));
    }
}

fn context(trace_id: TraceId, span_id: SpanId) -> SpanContext {
    SpanContext::new(trace_id, span_id, TraceFlags::SAMPLED, false, TraceState::default())
}

/// What is no code of gRPC is told by its number.
fn grpc_name(code: u16) -> String {
    conventions::grpc_name(code).map_or_else(|| code.to_string(), str::to_owned)
}

#[cfg(test)]
mod tests;

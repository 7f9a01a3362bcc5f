//! One collector: OTLP over gRPC, or over HTTP with protobuf, on a connection of [`dial`]. Called by the export thread; nothing of it is ever on
//! the way of a request.
//!
//! It must never collect more of an answer than a small bound, nor wait for ever: the thread's own limit holds around
//! every call.

use std::time::Duration;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HOST, HeaderMap, HeaderValue, USER_AGENT};
use http::{Method, Uri};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::client::conn::http1;
use opentelemetry::InstrumentationScope;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_client::TraceServiceClient;
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::transform::common::tonic::ResourceAttributesWithSchema;
use opentelemetry_sdk::Resource;
use prost::Message;
use tonic::metadata::MetadataMap;
use tonic::transport::{Channel, Endpoint};

use super::dial;
use super::settings::{Collector, Otlp, Protocol};

/// Bound: what is read of an answer over HTTP.
const MAX_ANSWER: usize = 64 * 1024;
const SCOPE: &str = "weft-proxy";
const AGENT: HeaderValue =
    HeaderValue::from_static(concat!("weft-proxy/", env!("CARGO_PKG_VERSION")));
const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// What all items of this process have in common.
#[derive(Debug)]
pub(in crate::telemetry) struct About {
    /// The workload.
    pub(in crate::telemetry) resource: ResourceAttributesWithSchema,
    /// This program.
    pub(in crate::telemetry) scope: InstrumentationScope,
}

impl About {
    /// Of that workload.
    pub(in crate::telemetry) fn new(resource: &Resource) -> Self {
        let scope = InstrumentationScope::builder(SCOPE).with_version(env!("CARGO_PKG_VERSION"));
        Self { resource: resource.into(), scope: scope.build() }
    }
}

/// A batch.
#[derive(Debug)]
pub(in crate::telemetry) enum Request {
    /// Spans.
    Traces(ExportTraceServiceRequest),
    /// Log lines.
    Logs(ExportLogsServiceRequest),
}

/// The client of one collector. It connects when it is first used.
#[derive(Debug)]
pub(super) struct Client {
    way: Way,
    headers: HeaderMap,
}

#[derive(Debug)]
enum Way {
    Grpc(Channel),
    Http(Box<Http>),
}

/// A kept connection of HTTP/1.1, one call at a time.
#[derive(Debug)]
struct Http {
    way: dial::Way,
    /// As written, for all kinds of items or for this one.
    path: String,
    exact: bool,
    timeout: Duration,
    kept: Option<http1::SendRequest<Full<Bytes>>>,
}

impl Client {
    /// # Errors
    /// In words, if the endpoint is none that can be called.
    pub(super) fn new(collector: &Collector, otlp: &Otlp) -> Result<Self, String> {
        let uri: Uri = collector.endpoint.parse().map_err(|error| format!("no URL: {error}"))?;
        let to =
            |protocol| dial::Way::new(&uri, collector.authorities.as_deref(), &otlp.tls, protocol);
        let way = match collector.protocol_of(otlp.protocol) {
            Protocol::Grpc => {
                let to = to(b"h2")?;
                // What is sent says `https` all the same; how it travels is the way's affair.
                let endpoint = Endpoint::from_shared(format!("http://{}", to.address()));
                let endpoint = endpoint.map_err(|error| format!("no URL: {error}"))?.origin(uri);
                let endpoint = endpoint.connect_timeout(otlp.timeout).timeout(otlp.timeout);
                let connector = tower::service_fn(move |_: Uri| to.clone().open());
                Way::Grpc(endpoint.connect_with_connector_lazy(connector))
            }
            Protocol::HttpProtobuf => Way::Http(Box::new(Http {
                way: to(b"http/1.1")?,
                path: uri.path_and_query().map_or("/", |path| path.as_str()).to_owned(),
                exact: collector.exact,
                timeout: otlp.timeout,
                kept: None,
            })),
        };
        Ok(Self { way, headers: otlp.headers.clone() })
    }

    /// How many of the items the collector rejected.
    ///
    /// # Errors
    /// In words: none of them is known to be taken.
    pub(super) async fn export(&mut self, request: Request) -> Result<u64, String> {
        let answer = match &mut self.way {
            Way::Grpc(channel) => grpc(channel.clone(), &self.headers, request).await?,
            Way::Http(http) => {
                let (kind, body) = (request.kind(), request.encode());
                Answer::read(kind, &http.post(kind, &self.headers, body).await?)?
            }
        };
        if answer.rejected > 0 {
            let reason: String = answer.reason.chars().take(200).collect();
            tracing::debug!(rejected = answer.rejected, reason, "a collector rejects");
        }
        Ok(answer.rejected)
    }
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Traces,
    Logs,
}

impl Request {
    fn kind(&self) -> Kind {
        match self {
            Self::Traces(_) => Kind::Traces,
            Self::Logs(_) => Kind::Logs,
        }
    }

    fn encode(&self) -> Bytes {
        match self {
            Self::Traces(message) => message.encode_to_vec(),
            Self::Logs(message) => message.encode_to_vec(),
        }
        .into()
    }
}

/// What a collector says of a batch that it has read.
#[derive(Debug, Default)]
struct Answer {
    rejected: u64,
    reason: String,
}

impl Answer {
    fn read(kind: Kind, bytes: &[u8]) -> Result<Self, String> {
        let bad = |error| format!("the answer cannot be read: {error}");
        Ok(match kind {
            Kind::Traces => ExportTraceServiceResponse::decode(bytes).map_err(bad)?.into(),
            Kind::Logs => ExportLogsServiceResponse::decode(bytes).map_err(bad)?.into(),
        })
    }

    fn new(rejected: i64, reason: String) -> Self {
        Self { rejected: rejected.try_into().unwrap_or(0), reason }
    }
}

impl From<ExportTraceServiceResponse> for Answer {
    fn from(answer: ExportTraceServiceResponse) -> Self {
        let part = answer.partial_success.unwrap_or_default();
        Self::new(part.rejected_spans, part.error_message)
    }
}

impl From<ExportLogsServiceResponse> for Answer {
    fn from(answer: ExportLogsServiceResponse) -> Self {
        let part = answer.partial_success.unwrap_or_default();
        Self::new(part.rejected_log_records, part.error_message)
    }
}

async fn grpc(channel: Channel, headers: &HeaderMap, request: Request) -> Result<Answer, String> {
    Ok(match request {
        Request::Traces(message) => {
            let mut client = TraceServiceClient::new(channel);
            client
                .export(with(headers, message))
                .await
                .map_err(|status| said(&status))?
                .into_inner()
                .into()
        }
        Request::Logs(message) => {
            let mut client = LogsServiceClient::new(channel);
            client
                .export(with(headers, message))
                .await
                .map_err(|status| said(&status))?
                .into_inner()
                .into()
        }
    })
}

/// With what lies behind it: that a certificate is not believed is said at the very end of the chain.
fn said(status: &tonic::Status) -> String {
    let mut text = format!("{:?}: {}", status.code(), status.message());
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        let words = error.to_string();
        if !text.contains(&words) {
            text = format!("{text}: {words}");
        }
        cause = error.source();
    }
    text
}

fn with<M>(headers: &HeaderMap, message: M) -> tonic::Request<M> {
    let metadata = MetadataMap::from_headers(headers.clone());
    tonic::Request::from_parts(metadata, tonic::Extensions::default(), message)
}

impl Http {
    async fn post(
        &mut self,
        kind: Kind,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, String> {
        let limit = self.timeout;
        let posted = tokio::time::timeout(limit, self.send(kind, headers, body)).await;
        posted.unwrap_or_else(|_| Err(format!("no answer within {limit:?}")))
    }

    /// A connection that was kept may have been closed meanwhile: then it is tried once more on a new one. A batch that
    /// arrives twice is one that the collector tells apart by its ids.
    async fn send(
        &mut self,
        kind: Kind,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<Bytes, String> {
        let request = self.request(kind, headers, body)?;
        if let Some(kept) = self.kept.take().filter(|kept| !kept.is_closed())
            && let Ok(answer) = self.ask(kept, request.clone()).await
        {
            return answer;
        }
        let connection = self.connect().await?;
        self.ask(connection, request).await?
    }

    fn request(
        &self,
        kind: Kind,
        headers: &HeaderMap,
        body: Bytes,
    ) -> Result<http::Request<Full<Bytes>>, String> {
        let own = match kind {
            Kind::Traces => "/v1/traces",
            Kind::Logs => "/v1/logs",
        };
        let path = match self.exact || self.path.ends_with(own) {
            true => self.path.clone(),
            false => format!("{}{own}", self.path.trim_end_matches('/')),
        };
        let mut request = http::Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = path.parse().map_err(|error| format!("no URL: {error}"))?;
        let host = HeaderValue::try_from(self.way.address()).map_err(|error| error.to_string())?;
        let map = request.headers_mut();
        map.extend(headers.clone());
        map.extend([(HOST, host), (CONTENT_TYPE, PROTOBUF), (USER_AGENT, AGENT)]);
        Ok(request)
    }

    /// The connection ends with its sender.
    async fn connect(&self) -> Result<http1::SendRequest<Full<Bytes>>, String> {
        let stream = self.way.clone().open().await.map_err(|error| error.to_string())?;
        let shaken = http1::handshake(stream).await;
        let (sender, connection) = shaken.map_err(|error| error.to_string())?;
        tokio::spawn(async move {
            // Whoever waits for the answer is told of its failure.
            let _ = connection.await;
        });
        Ok(sender)
    }

    /// The outer error is that of the connection, the inner one the collector's.
    async fn ask(
        &mut self,
        mut sender: http1::SendRequest<Full<Bytes>>,
        request: http::Request<Full<Bytes>>,
    ) -> Result<Result<Bytes, String>, String> {
        sender.ready().await.map_err(|error| error.to_string())?;
        let answer = sender.send_request(request).await.map_err(|error| error.to_string())?;
        let status = answer.status();
        if !status.is_success() {
            return Ok(Err(format!("HTTP status {status}")));
        }
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        self.kept = Some(sender);
        Ok(Ok(body))
    }
}

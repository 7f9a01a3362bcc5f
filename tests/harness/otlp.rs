//! An OTLP collector in the test's process: takes spans and log records over gRPC, or over HTTP with protobuf, and keeps
//! them. A door to it that speaks TLS; and one that takes connections and never says a word.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Result;
use bytes::Bytes;
use http::{Request as HttpRequest, Response as HttpResponse};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use opentelemetry_proto::tonic::collector::logs::v1::logs_service_server::{
    LogsService, LogsServiceServer,
};
use opentelemetry_proto::tonic::collector::logs::v1::{
    ExportLogsServiceRequest, ExportLogsServiceResponse,
};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::SpanKind;
use prost::Message as _;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::AbortHandle;
use tokio_rustls::TlsAcceptor;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status};

/// A span as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct Span {
    /// `service.name` of its resource.
    pub(crate) service: String,
    /// In hexadecimal.
    pub(crate) trace: String,
    /// In hexadecimal.
    pub(crate) id: String,
    /// In hexadecimal; empty at the root.
    pub(crate) parent: String,
    /// Its name.
    pub(crate) name: String,
    /// Client or server.
    pub(crate) kind: SpanKind,
    /// Attributes, as text.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A log record as it arrived.
#[derive(Clone, Debug)]
pub(crate) struct LogRecord {
    /// `service.name` of its resource.
    pub(crate) service: String,
    /// In hexadecimal; empty without one.
    pub(crate) trace: String,
    /// Severity in words.
    pub(crate) severity: String,
    /// Its body.
    pub(crate) body: String,
    /// Attributes, as text.
    pub(crate) attributes: BTreeMap<String, String>,
}

/// A running collector. Ends with the value.
#[derive(Debug)]
pub(crate) struct Collector {
    address: SocketAddr,
    kept: Kept,
    server: AbortHandle,
}

#[derive(Clone, Debug, Default)]
struct Kept(Arc<Mutex<Signals>>);

#[derive(Debug, Default)]
struct Signals {
    spans: Vec<Span>,
    records: Vec<LogRecord>,
    /// Value of `api-key` of the calls over HTTP.
    keys: Vec<String>,
}

impl Collector {
    /// Listens at `address`, for gRPC.
    pub(crate) async fn start(address: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let server = tonic::transport::Server::builder()
            .add_service(TraceServiceServer::new(kept.clone()))
            .add_service(LogsServiceServer::new(kept.clone()))
            .serve_with_incoming(TcpListenerStream::new(listener));
        let server = tokio::spawn(async move { server.await.is_ok() }).abort_handle();
        Ok(Self { address, kept, server })
    }

    /// Listens on a free port, for HTTP with protobuf.
    pub(crate) async fn start_http() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let kept = Kept::default();
        let to_all = kept.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let kept = to_all.clone();
                let service = service_fn(move |request| kept.clone().take(request));
                let http1 = hyper::server::conn::http1::Builder::new();
                tokio::spawn(http1.serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self { address, kept, server: server.abort_handle() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Every span so far.
    pub(crate) fn spans(&self) -> Vec<Span> {
        self.kept.lock().spans.clone()
    }

    /// Every log record so far.
    pub(crate) fn records(&self) -> Vec<LogRecord> {
        self.kept.lock().records.clone()
    }

    /// What calls over HTTP had as `api-key`.
    pub(crate) fn keys(&self) -> Vec<String> {
        self.kept.lock().keys.clone()
    }
}

/// A door to a collector, which speaks TLS. Ends with the value.
#[derive(Debug)]
pub(crate) struct TlsDoor {
    address: SocketAddr,
    authority: String,
    server: AbortHandle,
}

impl TlsDoor {
    /// Leads to `inside`, and shows a certificate for its own address, signed by an authority of its own.
    pub(crate) async fn to(inside: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let mut params = CertificateParams::new(Vec::<String>::new())?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let authority = CertifiedIssuer::self_signed(params, KeyPair::generate()?)?;
        let key = KeyPair::generate()?;
        let names = vec![address.ip().to_string()];
        let leaf = CertificateParams::new(names)?.signed_by(&key, &authority)?;
        let key = PrivatePkcs8KeyDer::from(key.serialize_der()).into();
        let mut config = ServerConfig::builder_with_provider(Arc::new(default_provider()))
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(vec![leaf.into()], key)?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let acceptor = acceptor.clone();
                tokio::spawn(async move {
                    let mut outside = acceptor.accept(stream).await?;
                    let mut inside = TcpStream::connect(inside).await?;
                    tokio::io::copy_bidirectional(&mut outside, &mut inside).await
                });
            }
        });
        Ok(Self { address, authority: authority.pem(), server: server.abort_handle() })
    }

    /// `https://…`.
    pub(crate) fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    /// Who has signed its certificate, as PEM.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }
}

impl Drop for TlsDoor {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// Takes connections, reads what comes, and never answers.
pub(crate) struct Silent {
    address: SocketAddr,
    server: AbortHandle,
}

impl Silent {
    /// Listens on a free port.
    pub(crate) async fn start() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let server = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
                });
            }
        });
        Ok(Self { address, server: server.abort_handle() })
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for Silent {
    fn drop(&mut self) {
        self.server.abort();
    }
}

impl Kept {
    fn lock(&self) -> MutexGuard<'_, Signals> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A call over HTTP.
    async fn take(self, request: HttpRequest<Incoming>) -> Result<HttpResponse<Full<Bytes>>> {
        let path = request.uri().path().to_owned();
        let protobuf =
            request.headers().get("content-type").is_some_and(|t| t == "application/x-protobuf");
        if let Some(key) = request.headers().get("api-key") {
            self.lock().keys.push(key.to_str()?.to_owned());
        }
        let body = request.into_body().collect().await?.to_bytes();
        let mut answer = HttpResponse::new(Full::default());
        match path.as_str() {
            "/v1/traces" if protobuf => self.keep_spans(ExportTraceServiceRequest::decode(body)?),
            "/v1/logs" if protobuf => self.keep_records(ExportLogsServiceRequest::decode(body)?),
            _ => *answer.status_mut() = http::StatusCode::NOT_FOUND,
        }
        Ok(answer)
    }

    fn keep_spans(&self, request: ExportTraceServiceRequest) {
        let mut signals = self.lock();
        for resource in request.resource_spans {
            let service = service_of(resource.resource);
            let found = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            signals.spans.extend(found.map(|span| Span {
                service: service.clone(),
                trace: hex(&span.trace_id),
                id: hex(&span.span_id),
                parent: hex(&span.parent_span_id),
                kind: span.kind(),
                name: span.name,
                attributes: attributes(span.attributes),
            }));
        }
    }

    fn keep_records(&self, request: ExportLogsServiceRequest) {
        let mut signals = self.lock();
        for resource in request.resource_logs {
            let service = service_of(resource.resource);
            let found = resource.scope_logs.into_iter().flat_map(|scope| scope.log_records);
            signals.records.extend(found.map(|record| LogRecord {
                service: service.clone(),
                trace: hex(&record.trace_id),
                severity: record.severity_text,
                body: text(record.body),
                attributes: attributes(record.attributes),
            }));
        }
    }
}

#[tonic::async_trait]
impl TraceService for Kept {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.keep_spans(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

#[tonic::async_trait]
impl LogsService for Kept {
    async fn export(
        &self,
        request: Request<ExportLogsServiceRequest>,
    ) -> Result<Response<ExportLogsServiceResponse>, Status> {
        self.keep_records(request.into_inner());
        Ok(Response::new(ExportLogsServiceResponse::default()))
    }
}

fn service_of(resource: Option<Resource>) -> String {
    let about = attributes(resource.map(|resource| resource.attributes).unwrap_or_default());
    about.get("service.name").cloned().unwrap_or_default()
}

fn attributes(list: Vec<KeyValue>) -> BTreeMap<String, String> {
    list.into_iter().map(|pair| (pair.key, text(pair.value))).collect()
}

fn text(value: Option<AnyValue>) -> String {
    match value.and_then(|value| value.value) {
        Some(Value::StringValue(text)) => text,
        Some(Value::IntValue(number)) => number.to_string(),
        Some(Value::BoolValue(flag)) => flag.to_string(),
        Some(other) => format!("{other:?}"),
        None => String::new(),
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

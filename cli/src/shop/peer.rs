//! How a service of the shop calls another: a base URL, a small keep-alive pool, and the trace headers of
//! the request that is being served, passed on. Used by gateway and order.

use std::time::Duration;

use anyhow::{Result, ensure};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use http::{HeaderMap, Method, Request, StatusCode, Uri};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use serde_json::{Value, json};

/// Headers that belong to the request as a whole and that every service must pass on.
const TRACE_HEADERS: [&str; 10] = [
    "traceparent",
    "tracestate",
    "baggage",
    "x-request-id",
    "b3",
    "x-b3-traceid",
    "x-b3-spanid",
    "x-b3-parentspanid",
    "x-b3-sampled",
    "x-b3-flags",
];
/// Bound: an answer is read into memory.
const MAX_ANSWER: usize = 1 << 20;
const TIMEOUT: Duration = Duration::from_secs(5);

/// Another service.
#[derive(Debug)]
pub(super) struct Peer {
    base: String,
    client: Client<HttpConnector, Full<Bytes>>,
}

/// What another service answered.
#[derive(Debug)]
pub(super) struct Answer {
    /// Its status; 502 if there was none.
    pub(super) status: StatusCode,
    /// Its JSON; an `error` if there was none.
    pub(super) body: Value,
}

impl Answer {
    /// Is it a good one?
    pub(super) fn is_good(&self) -> bool {
        self.status.is_success()
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        (self.status, axum::Json(self.body)).into_response()
    }
}

impl Peer {
    /// The service at `base`, such as `http://127.0.0.1:15101`.
    ///
    /// # Errors
    /// That is no such URL.
    pub(super) fn new(base: &str) -> Result<Self> {
        let uri: Uri = base.parse()?;
        ensure!(
            uri.scheme_str() == Some("http") && uri.authority().is_some(),
            "expected a URL such as http://127.0.0.1:15101"
        );
        // Bound: idle connections kept; more are opened under load and closed after it.
        let client = Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(30))
            .pool_max_idle_per_host(16)
            .build_http();
        Ok(Self { base: base.trim_end_matches('/').to_owned(), client })
    }

    /// `GET path`, within the trace of the request whose headers are `inbound`.
    pub(super) async fn get(&self, path: &str, inbound: &HeaderMap) -> Answer {
        self.call(Method::GET, path, inbound, Bytes::new()).await
    }

    /// `POST path` with a JSON value.
    pub(super) async fn post(&self, path: &str, inbound: &HeaderMap, value: &Value) -> Answer {
        self.call(Method::POST, path, inbound, value.to_string().into()).await
    }

    async fn call(&self, method: Method, path: &str, inbound: &HeaderMap, body: Bytes) -> Answer {
        match tokio::time::timeout(TIMEOUT, self.exchange(method, path, inbound, body)).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(error)) => no_answer(StatusCode::BAD_GATEWAY, &error.to_string()),
            Err(_) => no_answer(StatusCode::GATEWAY_TIMEOUT, "no answer in time"),
        }
    }

    async fn exchange(
        &self,
        method: Method,
        path: &str,
        inbound: &HeaderMap,
        body: Bytes,
    ) -> Result<Answer, Box<dyn std::error::Error + Send + Sync>> {
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", self.base))
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        pass_on(inbound, request.headers_mut());
        let response = self.client.request(request).await?;
        let status = response.status();
        let body = Limited::new(response.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        // The mesh's own answers need not be JSON.
        let body = serde_json::from_slice(&body)
            .unwrap_or_else(|_| json!({ "error": String::from_utf8_lossy(&body) }));
        Ok(Answer { status, body })
    }
}

/// Copies the trace headers, every value of each.
fn pass_on(inbound: &HeaderMap, outbound: &mut HeaderMap) {
    for name in TRACE_HEADERS {
        for value in inbound.get_all(name) {
            outbound.append(name, value.clone());
        }
    }
}

fn no_answer(status: StatusCode, reason: &str) -> Answer {
    Answer { status, body: json!({ "error": reason }) }
}

#[cfg(test)]
mod tests;

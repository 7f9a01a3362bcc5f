//! What a Jaeger has stored, read over its own query API.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Result, ensure};
use http::Method;
use serde_json::Value;

use crate::harness::{eventually, http1, request};

/// A Jaeger.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Jaeger {
    query: SocketAddr,
}

impl Jaeger {
    /// The one whose query API is there, usually port 16686 of its Service.
    pub(crate) fn at(query: SocketAddr) -> Self {
        Self { query }
    }

    /// Names of all services that have sent spans.
    pub(crate) async fn services(&self) -> Result<Vec<String>> {
        let found = self.ask("/api/services").await?;
        Ok(serde_json::from_value(found["data"].clone()).unwrap_or_default())
    }

    /// The newest traces that a service has a part in.
    pub(crate) async fn traces(&self, service: &str) -> Result<Vec<Value>> {
        let found = self.ask(&format!("/api/traces?service={service}&limit=100")).await?;
        Ok(found["data"].as_array().cloned().unwrap_or_default())
    }

    /// All spans of a trace, as Jaeger has them: `operationName`, `references`, `tags`, `processID` and others; an error
    /// until there are at least `spans` of them.
    pub(crate) async fn trace(&self, id: &str, spans: usize) -> Result<Value> {
        let found = self.ask(&format!("/api/traces/{id}")).await?;
        let trace = found["data"][0].clone();
        let count = trace["spans"].as_array().map_or(0, Vec::len);
        ensure!(count >= spans, "{count} spans of {spans}");
        Ok(trace)
    }

    /// Waits until a trace has that many spans, which come a little later than the response.
    pub(crate) async fn whole_trace(&self, id: &str, spans: usize) -> Value {
        let what = format!("Jaeger has {spans} spans of {id}");
        eventually(&what, Duration::from_secs(30), async || self.trace(id, spans).await).await
    }

    async fn ask(&self, path: &str) -> Result<Value> {
        let answer = http1(self.query, request(Method::GET, path, &[], "")).await?;
        ensure!(answer.status.as_u16() == 200, "{path}: {}", answer.status);
        Ok(serde_json::from_slice(&answer.body)?)
    }
}

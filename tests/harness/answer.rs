//! A whole response, as every client here returns it.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, StatusCode, Version};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use serde_json::Value;

/// A response that has ended.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    /// Status.
    pub(crate) status: StatusCode,
    /// HTTP version of the connection.
    pub(crate) version: Version,
    /// Headers.
    pub(crate) headers: HeaderMap,
    /// Trailers; empty if none.
    pub(crate) trailers: HeaderMap,
    /// Body.
    pub(crate) body: Bytes,
}

impl Answer {
    /// Reads a response to its end.
    pub(crate) async fn read(response: http::Response<Incoming>) -> Result<Self> {
        let (parts, body) = response.into_parts();
        let body = body.collect().await?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        let body = body.to_bytes();
        let (status, version, headers) = (parts.status, parts.version, parts.headers);
        Ok(Self { status, version, headers, trailers, body })
    }

    /// A header; empty if absent.
    pub(crate) fn header(&self, name: &str) -> &str {
        self.headers.get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
    }

    /// The echo of [`super::App`], or any other JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    /// The workload that answered, by the echo of its [`super::App`].
    pub(crate) fn workload(&self) -> String {
        self.json()["workload"].as_str().unwrap_or_default().to_owned()
    }

    /// A request header as the application got it; empty if absent.
    pub(crate) fn received(&self, name: &str) -> String {
        self.json()["headers"][name].as_str().unwrap_or_default().to_owned()
    }
}

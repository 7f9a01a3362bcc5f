//! Client of the admin sockets: HTTP/1.1 and JSON over a Unix socket, of the control plane and the sidecars.
//!
//! Every command that asks a running mesh anything does it through [`AdminSocket`]. The file's permissions
//! are the authentication; in a cluster the API server's. One connection a request: these are questions of people.

mod answers;
mod lines;
mod place;

use std::path::Path;

use bytes::Bytes;
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper_util::rt::TokioIo;
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub(crate) use answers::{
    BrokenTraces, Edge, Finding, Golden, MeshInfo, Proxy, ResourceState, Route, Stat, TraceCounts,
    Workload,
};
pub(crate) use lines::Lines;
pub(crate) use place::Container;
use place::{Connection, Place};

/// Bound: answers are read into memory.
const MAX_ANSWER: usize = 32 << 20;

/// Why a question got no answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AdminError {
    /// Nothing listens there.
    #[error("nothing answers at {place}: {reason}")]
    Unreachable {
        /// The socket.
        place: String,
        /// Why.
        reason: String,
    },
    /// It answered, but not with success.
    #[error("{message} (HTTP {status})")]
    Refused {
        /// The status.
        status: StatusCode,
        /// What it said.
        message: String,
    },
    /// It answered something else than expected.
    #[error("{place} answered {what} in a form that this weft does not know: {source}")]
    Unreadable {
        /// The socket.
        place: String,
        /// What was asked for.
        what: String,
        /// What does not fit.
        source: serde_json::Error,
    },
}

/// One admin socket.
#[derive(Clone, Debug)]
pub(crate) struct AdminSocket {
    place: Place,
}

impl AdminSocket {
    /// The socket at `path`; nothing is opened yet.
    pub(crate) fn new(path: &Path) -> Self {
        Self { place: Place::Here(path.to_owned()) }
    }

    /// The socket in a container of one of `pods`; nothing is opened yet.
    pub(crate) fn in_pod(pods: Api<Pod>, container: Container) -> Self {
        Self { place: Place::Pod(pods, Box::new(container)) }
    }

    /// Is it reached through an API server?
    pub(crate) fn is_in_cluster(&self) -> bool {
        matches!(self.place, Place::Pod(..))
    }

    /// Asks for a JSON value.
    ///
    /// # Errors
    /// No answer, or not a good one.
    pub(crate) async fn get<T: DeserializeOwned>(&self, target: &str) -> Result<T, AdminError> {
        let body = self.exchange(Method::GET, target, Bytes::new()).await?;
        self.decode(target, &body)
    }

    /// Asks for a text.
    ///
    /// # Errors
    /// No answer, or not a good one.
    pub(crate) async fn text(&self, target: &str) -> Result<String, AdminError> {
        let body = self.exchange(Method::GET, target, Bytes::new()).await?;
        Ok(String::from_utf8_lossy(&body).into_owned())
    }

    /// Where it is, for people.
    pub(crate) fn place(&self) -> String {
        self.place.to_string()
    }

    /// Sends a JSON value and reads the JSON answer.
    ///
    /// # Errors
    /// No answer, or not a good one.
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        target: &str,
        value: &impl Serialize,
    ) -> Result<T, AdminError> {
        let text = serde_json::to_vec(value).map_err(|source| self.unreadable(target, source))?;
        let body = self.exchange(Method::POST, target, text.into()).await?;
        self.decode(target, &body)
    }

    /// Does the process behind it say that it can serve?
    ///
    /// # Errors
    /// It does not answer, or says why not.
    pub(crate) async fn ready(&self) -> Result<(), AdminError> {
        self.exchange(Method::GET, "/ready", Bytes::new()).await.map(drop)
    }

    fn decode<T: DeserializeOwned>(&self, target: &str, body: &[u8]) -> Result<T, AdminError> {
        serde_json::from_slice(body).map_err(|source| self.unreadable(target, source))
    }

    fn unreadable(&self, target: &str, source: serde_json::Error) -> AdminError {
        AdminError::Unreadable { place: self.place.to_string(), what: target.to_owned(), source }
    }

    async fn exchange(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<Bytes, AdminError> {
        let deadline = self.place.deadline();
        let asked = tokio::time::timeout(deadline, self.ask(method, target, body)).await;
        let unreachable =
            |reason: String| AdminError::Unreachable { place: self.place.to_string(), reason };
        let (status, body) = asked
            .map_err(|_| unreachable(format!("no answer within {} s", deadline.as_secs())))?
            .map_err(|error| unreachable(error.to_string()))?;
        if status.is_success() {
            return Ok(body);
        }
        Err(AdminError::Refused { status, message: message_of(&body) })
    }

    async fn ask(
        &self,
        method: Method,
        target: &str,
        body: Bytes,
    ) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
        let Connection { stream, relay } = self.place.connect().await?;
        match exchange(stream, method, target, body).await {
            Ok(answer) => Ok(answer),
            // Whoever relays knows better why nothing came.
            Err(error) => match place::complaint(relay).await {
                Some(complaint) => Err(complaint.into()),
                None => Err(error),
            },
        }
    }
}

/// One question and its answer.
async fn exchange(
    stream: Box<dyn place::Stream>,
    method: Method,
    target: &str,
    body: Bytes,
) -> Result<(StatusCode, Bytes), Box<dyn std::error::Error + Send + Sync>> {
    let (mut sender, connection) =
        hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let request = Request::builder()
        .method(method)
        .uri(target)
        .header(http::header::HOST, "localhost")
        .header(http::header::CONTENT_TYPE, "application/json")
        .body(Full::new(body))?;
    let exchange = async {
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
        Ok((status, body))
    };
    // Order: the connection is driven beside the exchange; whichever ends first, the exchange decides.
    tokio::pin!(connection, exchange);
    tokio::select! {
        answer = &mut exchange => answer,
        ended = &mut connection => { ended?; exchange.await }
    }
}

/// The text of a refusal: the `error` of a JSON object with the names it knows instead, else the first line.
fn message_of(body: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let Some(error) = value["error"].as_str() else {
        return String::from_utf8_lossy(body).lines().next().unwrap_or("refused").to_owned();
    };
    let known = value["known_workloads"].as_array().into_iter().flatten();
    let known: Vec<&str> = known.filter_map(serde_json::Value::as_str).collect();
    match known[..] {
        [] => error.to_owned(),
        [..] => format!("{error}; there are {}", known.join(", ")),
    }
}

#[cfg(test)]
mod tests;

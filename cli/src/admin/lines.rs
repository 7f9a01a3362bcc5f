//! An answer that has no end: lines of JSON, as long as the other side writes and we read. Used by `weft tap`.

use bytes::{Buf, Bytes, BytesMut};
use http::{Method, Request, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;
use kube::api::AttachedProcess;
use serde::Serialize;
use serde_json::Value;
use tokio::task::AbortHandle;

use super::place::Connection;
use super::{AdminError, AdminSocket, MAX_ANSWER, message_of};

/// Bound: bytes of one line.
const MAX_LINE: usize = 256 * 1024;

/// Lines of JSON. The connection ends with the value.
#[derive(Debug)]
pub(crate) struct Lines {
    body: Incoming,
    read: BytesMut,
    connection: AbortHandle,
    place: String,
    _relay: Option<Relay>,
}

/// Whoever relays; it ends with the value.
struct Relay(#[allow(dead_code, reason = "held")] AttachedProcess);

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Relay")
    }
}

impl AdminSocket {
    /// Sends a JSON value and reads an answer of lines.
    ///
    /// # Errors
    /// No answer, or not a good one.
    pub(crate) async fn lines(
        &self,
        target: &str,
        value: &impl Serialize,
    ) -> Result<Lines, AdminError> {
        let text = serde_json::to_vec(value).map_err(|source| self.unreadable(target, source))?;
        let place = self.place.to_string();
        let deadline = self.place.deadline();
        let begun = tokio::time::timeout(deadline, self.begin(target, text.into())).await;
        let unreachable = |reason: String| AdminError::Unreachable { place: place.clone(), reason };
        begun
            .map_err(|_| unreachable(format!("no answer within {} s", deadline.as_secs())))?
            .map_err(|error| match error.downcast::<AdminError>() {
                Ok(refused) => *refused,
                Err(error) => unreachable(error.to_string()),
            })
    }

    async fn begin(
        &self,
        target: &str,
        body: Bytes,
    ) -> Result<Lines, Box<dyn std::error::Error + Send + Sync>> {
        let Connection { stream, relay } = self.place.connect().await?;
        let (mut sender, connection) =
            hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let connection = tokio::spawn(async move {
            // Its end shows in the body.
            let _ = connection.await;
        })
        .abort_handle();
        let request = Request::builder()
            .method(Method::POST)
            .uri(target)
            .header(http::header::HOST, "localhost")
            .header(http::header::CONTENT_TYPE, "application/json")
            .body(Full::new(body))?;
        let answer = sender.send_request(request).await?;
        let status = answer.status();
        if status != StatusCode::OK {
            let body = Limited::new(answer.into_body(), MAX_ANSWER).collect().await?.to_bytes();
            return Err(Box::new(AdminError::Refused { status, message: message_of(&body) }));
        }
        Ok(Lines {
            body: answer.into_body(),
            read: BytesMut::new(),
            connection,
            place: self.place.to_string(),
            _relay: relay.map(Relay),
        })
    }
}

impl Lines {
    /// The next line; `None` at an orderly end. Cancel: nothing is lost.
    ///
    /// # Errors
    /// The connection broke off, or what comes is no line of JSON.
    pub(crate) async fn next(&mut self) -> Result<Option<Value>, AdminError> {
        loop {
            if let Some(end) = self.read.iter().position(|byte| *byte == b'\n') {
                let line = self.read.split_to(end);
                self.read.advance(1);
                let read = serde_json::from_slice(&line);
                return read.map(Some).map_err(|source| AdminError::Unreadable {
                    place: self.place.clone(),
                    what: "a line".to_owned(),
                    source,
                });
            }
            if self.read.len() > MAX_LINE {
                return Err(self.broken("a line without end"));
            }
            match self.body.frame().await {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Some(data) = frame.data_ref() {
                        self.read.extend_from_slice(data);
                    }
                }
                Some(Err(error)) => return Err(self.broken(&error.to_string())),
            }
        }
    }

    fn broken(&self, reason: &str) -> AdminError {
        AdminError::Unreachable { place: self.place.clone(), reason: reason.to_owned() }
    }
}

impl Drop for Lines {
    fn drop(&mut self) {
        self.connection.abort();
    }
}

//! Unary gRPC calls on h2: one message there, the same back, and the status in trailers.

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use h2::client::SendRequest;
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{Method, Request, Uri};

use super::{Target, http2};
use crate::app::GRPC_PATH;
use crate::{framing, pattern};

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");

/// A connection, or a share of one: clones call on the same.
#[derive(Clone)]
pub(super) struct Channel {
    sender: SendRequest<Bytes>,
    uri: Uri,
    message: Bytes,
}

impl Channel {
    /// Connects; a task of the current runtime drives the connection.
    pub(super) async fn open(target: &Target) -> Result<Self> {
        let sender = http2::connect(target.address).await?;
        let uri = format!("http://{}{GRPC_PATH}", target.host).parse()?;
        Ok(Self { sender, uri, message: framing::frame(&pattern::message()) })
    }

    /// One call and its whole, verified answer.
    pub(super) async fn exchange(&mut self) -> Result<()> {
        let mut request = Request::new(());
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        request.headers_mut().insert(TE, HeaderValue::from_static("trailers"));
        request.headers_mut().insert(CONTENT_TYPE, GRPC);
        std::future::poll_fn(|context| self.sender.poll_ready(context)).await?;
        let (response, mut sending) = self.sender.send_request(request, false)?;
        sending.send_data(self.message.clone(), true)?;
        let response = response.await?;
        ensure!(response.status() == 200, "status {}", response.status());
        let content_type = response.headers().get(CONTENT_TYPE);
        ensure!(content_type == Some(&GRPC), "content type {content_type:?}");
        let mut stream = response.into_body();
        let mut rest = &self.message[..];
        while let Some(data) = stream.data().await {
            let data = data?;
            stream.flow_control().release_capacity(data.len())?;
            rest = rest.strip_prefix(&data[..]).context("the message came back changed")?;
        }
        ensure!(rest.is_empty(), "the message lacks {} bytes", rest.len());
        let trailers = stream.trailers().await?.context("no trailers")?;
        let status = trailers.get("grpc-status");
        ensure!(status.is_some_and(|status| status == "0"), "grpc-status {status:?}");
        Ok(())
    }
}

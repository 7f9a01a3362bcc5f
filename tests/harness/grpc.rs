//! A gRPC client as applications have one: tonic's, on one connection, with messages of plain bytes.

use std::net::SocketAddr;

use bytes::{Buf, BufMut, Bytes};
use http::uri::PathAndQuery;
use tonic::client::Grpc as Client;
use tonic::codec::{Codec, DecodeBuf, Decoder, EncodeBuf, Encoder};
use tonic::metadata::{AsciiMetadataKey, MetadataMap};
use tonic::transport::{Channel, Endpoint};
use tonic::{Request, Response, Status};

/// A channel to one address.
pub(crate) struct Grpc(Client<Channel>);

impl Grpc {
    /// Connects.
    pub(crate) async fn connect(to: SocketAddr) -> Self {
        let endpoint = Endpoint::from_shared(format!("http://{to}")).expect("it is a URI");
        Self(Client::new(endpoint.connect().await.expect("somebody listens there")))
    }

    /// One unary call; the message and the metadata of the answer.
    pub(crate) async fn call(
        &mut self,
        method: &'static str,
        metadata: &[(&'static str, &str)],
        message: &'static str,
    ) -> Result<(Bytes, MetadataMap), Status> {
        self.0.ready().await.map_err(|error| Status::unknown(error.to_string()))?;
        let mut request = Request::new(Bytes::from_static(message.as_bytes()));
        for (name, value) in metadata {
            let value = value.parse().expect("it is a value");
            request.metadata_mut().insert(AsciiMetadataKey::from_static(name), value);
        }
        let answer = self.0.unary(request, PathAndQuery::from_static(method), Plain).await?;
        let (metadata, message, _) = Response::into_parts(answer);
        Ok((message, metadata))
    }
}

/// Messages are what they are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Plain;

impl Codec for Plain {
    type Encode = Bytes;
    type Decode = Bytes;
    type Encoder = Self;
    type Decoder = Self;

    fn encoder(&mut self) -> Self {
        Self
    }

    fn decoder(&mut self) -> Self {
        Self
    }
}

impl Encoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn encode(&mut self, message: Bytes, buffer: &mut EncodeBuf<'_>) -> Result<(), Status> {
        buffer.put(message);
        Ok(())
    }
}

impl Decoder for Plain {
    type Item = Bytes;
    type Error = Status;

    fn decode(&mut self, buffer: &mut DecodeBuf<'_>) -> Result<Option<Bytes>, Status> {
        Ok(Some(buffer.copy_to_bytes(buffer.remaining())))
    }
}

//! The application behind the inbound proxy: HTTP/1.1 and HTTP/2 with prior knowledge on one port, with one fixed
//! body and an echo for gRPC; opaque bytes on another. Runs as `weft-bench app`, a process of its own, so that its
//! CPU time is nobody else's.

mod grpc;
mod tcp;

use std::convert::Infallible;
use std::net::SocketAddr;

use anyhow::Result;
use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use crate::{pattern, socket};

/// Body of an answer.
type Body = BoxBody<Bytes, Infallible>;

/// Serves until the process is killed: HTTP at one address, opaque bytes at the other.
pub(crate) async fn serve(address: SocketAddr, opaque: SocketAddr) -> Result<()> {
    let listener = socket::listen(address)?;
    tokio::spawn(tcp::serve(socket::listen(opaque)?));
    let body = pattern::body();
    loop {
        // An accept that fails is the peer's connection, not ours.
        let Ok((stream, _)) = listener.accept().await else { continue };
        tokio::spawn(connection(stream, body.clone()));
    }
}

/// One connection of either version, told apart by the first bytes of the HTTP/2 preface.
async fn connection(stream: TcpStream, body: Bytes) {
    let mut first = [0; 3];
    if stream.set_nodelay(true).is_err() || stream.peek(&mut first).await.is_err() {
        return;
    }
    let io = TokioIo::new(stream);
    // A connection that ends in an error ended at its client's side, where the error is counted.
    if &first == b"PRI" {
        let service = service_fn(move |request: Request<Incoming>| {
            let body = body.clone();
            async move {
                Ok::<_, Infallible>(match request.uri().path() {
                    grpc::PATH => grpc::answer(request).await,
                    _ => answer(&request, &body).map(BodyExt::boxed),
                })
            }
        });
        let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.max_concurrent_streams(1000);
        server.initial_stream_window_size(1 << 20).initial_connection_window_size(1 << 24);
        let _ = server.serve_connection(io, service).await;
    } else {
        let service = service_fn(move |request| {
            let response = answer(&request, &body);
            async move { Ok::<_, Infallible>(response) }
        });
        let _ = hyper::server::conn::http1::Builder::new().serve_connection(io, service).await;
    }
}

fn answer(request: &Request<Incoming>, body: &Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body.clone()));
    if request.uri().path() == pattern::PATH {
        let octets = header::HeaderValue::from_static("application/octet-stream");
        response.headers_mut().insert(header::CONTENT_TYPE, octets);
    } else {
        *response.status_mut() = StatusCode::NOT_FOUND;
    }
    response
}

pub(crate) use grpc::PATH as GRPC_PATH;

//! A gRPC method that sends every message back, as gRPC lays it down: five bytes before the message, the status in
//! trailers after it. What comes in otherwise is answered with a status of its own, which the load generator reports.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue, TE};
use http::{HeaderMap, HeaderName, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::Body;
use crate::framing;

/// The method.
pub(crate) const PATH: &str = "/bench.Echo/Unary";

const GRPC: HeaderValue = HeaderValue::from_static("application/grpc");
const STATUS: HeaderName = HeaderName::from_static("grpc-status");
const OK: HeaderValue = HeaderValue::from_static("0");
const INTERNAL: HeaderValue = HeaderValue::from_static("13");

/// One call.
pub(super) async fn answer(request: Request<Incoming>) -> Response<Body> {
    let asked = request.method() == Method::POST
        && request.headers().get(CONTENT_TYPE) == Some(&GRPC)
        && request.headers().get(TE).is_some_and(|value| value == "trailers");
    let received = request.into_body().collect().await.map(http_body_util::Collected::to_bytes);
    let message = received.ok().filter(|bytes| asked && framing::is_one_message(bytes));
    let status = if message.is_some() { OK } else { INTERNAL };
    let trailers = HeaderMap::from_iter([(STATUS, status)]);
    let body = Full::<Bytes>::new(message.unwrap_or_default());
    let body = body.with_trailers(async move { Some(Ok(trailers)) }).boxed();
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_TYPE, GRPC);
    response
}

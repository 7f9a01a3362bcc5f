//! What backends say to active health checks, which nobody announces: backend `a` is ill where it is asked so, over
//! HTTP by path, over gRPC by the name of the service. Called by `upstream` for every request without an id.

use anyhow::Result;
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::{Body, full};

/// `grpc.health.v1.HealthCheckResponse` as a message of gRPC: SERVING, NOT_SERVING.
const SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 1];
const NOT_SERVING: &[u8] = &[0, 0, 0, 0, 2, 8, 2];
/// The service, or the path, for which `a` is ill.
const ILL: &str = "ill";

/// The answer.
pub(super) async fn checked(backend: char, request: Request<Incoming>) -> Result<Response<Body>> {
    let is_grpc = request.uri().path() == "/grpc.health.v1.Health/Check";
    let path = request.uri().path().trim_start_matches('/').to_owned();
    let asked = request.into_body().collect().await?.to_bytes();
    let is_ill = backend == 'a' && (path == ILL || asked.ends_with(ILL.as_bytes()));
    if !is_grpc {
        let mut response = Response::new(full(""));
        if is_ill {
            *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
        }
        return Ok(response);
    }
    let message = Full::new(Bytes::from_static(if is_ill { NOT_SERVING } else { SERVING }));
    let trailers = HeaderMap::from_iter([(
        http::HeaderName::from_static("grpc-status"),
        HeaderValue::from_static("0"),
    )]);
    let body = message.with_trailers(async move { Some(Ok(trailers)) });
    let mut response = Response::new(body.map_err(|never| match never {}).boxed());
    response.headers_mut().insert("content-type", HeaderValue::from_static("application/grpc"));
    Ok(response)
}

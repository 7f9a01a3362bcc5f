//! What a check says of a server, over real sockets.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::probe;
use crate::cluster::Endpoint;
use crate::model::{EndpointSpec, HealthCheck, Probe};
use crate::overload::Overload;
use crate::testing::stop_the_clock;
use crate::tls::TlsStore;
use crate::upstream::Upstream;

fn settings(probe: Probe) -> HealthCheck {
    HealthCheck {
        probe,
        interval: Duration::from_secs(30),
        timeout: Duration::from_secs(60),
        healthy_threshold: 3,
        unhealthy_threshold: 3,
    }
}

/// What a check says of a server that answers these bytes to whatever it reads first.
async fn verdict(probe: Probe, answer: &'static [u8]) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut first = [0; 1024];
        if !answer.is_empty() {
            let _ = stream.read(&mut first).await;
            let _ = stream.write_all(answer).await;
            // Until the other side has read it.
            let _ = stream.read(&mut first).await;
        }
    });
    let spec = EndpointSpec { address, workload: String::new(), identity: None, weight: 1 };
    let endpoint = Arc::new(Endpoint::new(spec, 1));
    let upstream = Upstream {
        worker: 0,
        tls: Arc::new(TlsStore::default()),
        own: None,
        overload: Overload::default(),
    };
    probe::ask(&upstream, &endpoint, "product.shop:8080", &settings(probe)).await
}

fn http(expected: std::ops::RangeInclusive<u16>) -> Probe {
    let path = http::uri::PathAndQuery::from_static("/healthz");
    Probe::Http { path, host: String::new(), expected: vec![expected] }
}

#[tokio::test]
async fn a_status_that_is_expected_is_well() {
    let ok = b"HTTP/1.1 204 No Content\r\n\r\n";
    assert_eq!(verdict(http(200..=204), ok).await, Ok(()));
    assert_eq!(verdict(http(200..=200), ok).await, Err("status 204".to_owned()));
    assert!(verdict(http(200..=200), b"nonsense\r\n\r\n").await.is_err());
    assert!(verdict(http(200..=200), b"").await.is_err());
}

#[tokio::test]
async fn a_connection_that_ends_at_once_is_none() {
    // However long it takes to end: it has not stayed.
    stop_the_clock();
    assert_eq!(verdict(Probe::Tcp, b"").await, Err("closed".to_owned()));
    tokio::time::resume();
    assert_eq!(verdict(Probe::Tcp, b"never sent, for it reads first").await, Ok(()));
    let gone = EndpointSpec {
        address: ([127, 0, 0, 1], 1).into(),
        workload: String::new(),
        identity: None,
        weight: 1,
    };
    let upstream = Upstream {
        worker: 0,
        tls: Arc::new(TlsStore::default()),
        own: None,
        overload: Overload::default(),
    };
    let endpoint = Arc::new(Endpoint::new(gone, 1));
    assert!(probe::ask(&upstream, &endpoint, "c", &settings(Probe::Tcp)).await.is_err());
}

#[test]
fn only_serving_is_well() {
    assert_eq!(probe::serving(&[0, 0, 0, 0, 2, 8, 1]), Ok(()));
    for body in [&[][..], &[0, 0, 0, 0, 0], &[0, 0, 0, 0, 2, 8, 2], &[0, 0, 0, 0, 2, 255, 255]] {
        assert!(probe::serving(body).is_err(), "{body:?}");
    }
}

/// A health service over HTTP/2 that says this of `shop.v1.Product`, and NOT_FOUND of everything else.
async fn grpc_verdict(status: u8, service: &str) -> Result<(), String> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let service =
            hyper::service::service_fn(move |request: http::Request<Incoming>| async move {
                assert_eq!(request.uri().path(), "/grpc.health.v1.Health/Check");
                assert_eq!(request.headers()["te"], "trailers");
                let asked = request.into_body().collect().await.unwrap().to_bytes();
                let known = asked.ends_with(b"shop.v1.Product");
                let code = if known { "0" } else { "5" };
                let mut trailers = http::HeaderMap::new();
                trailers.insert("grpc-status", http::HeaderValue::from_static(code));
                let message = Bytes::from(vec![0, 0, 0, 0, 2, 8, status]);
                let frames =
                    [Ok::<_, Infallible>(Frame::data(message)), Ok(Frame::trailers(trailers))];
                let body = StreamBody::new(tokio_stream::iter(frames));
                Ok::<_, Infallible>(http::Response::new(body))
            });
        let http2 = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        let _ = http2.serve_connection(TokioIo::new(stream), service).await;
    });
    let spec = EndpointSpec { address, workload: String::new(), identity: None, weight: 1 };
    let endpoint = Arc::new(Endpoint::new(spec, 1));
    let upstream = Upstream {
        worker: 0,
        tls: Arc::new(TlsStore::default()),
        own: None,
        overload: Overload::default(),
    };
    let settings = settings(Probe::Grpc { service: service.to_owned() });
    probe::ask(&upstream, &endpoint, "product.shop:8080", &settings).await
}

#[tokio::test]
async fn grpc_is_asked_by_its_own_protocol() {
    assert_eq!(grpc_verdict(1, "shop.v1.Product").await, Ok(()));
    assert_eq!(grpc_verdict(2, "shop.v1.Product").await, Err("serving status 2".to_owned()));
    assert_eq!(grpc_verdict(1, "shop.v1.Order").await, Err("grpc-status 5".to_owned()));
}

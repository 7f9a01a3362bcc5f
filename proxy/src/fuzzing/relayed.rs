//! A proxy in small: bytes of a client to hyper's server, what that makes of them to our canonical form, and on by hyper's
//! client to another server, the application. Whatever the bytes, the application reads just those requests that were judged,
//! each as it was judged, and no further one from the middle of a body.

use std::cell::RefCell;
use std::convert::Infallible;
use std::rc::Rc;

use bytes::Bytes;
use http::header::CONNECTION;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::client::conn::http1::handshake;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncWriteExt, DuplexStream};

use crate::canonical::canonicalise;
use crate::headers::remove_hop_by_hop;

/// A request as somebody reads it.
#[derive(Clone, Debug, PartialEq)]
struct Read {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

/// Bound: of a body, and of what is on its way on one connection.
const MOST: usize = 64 << 10;

type Seen = Rc<RefCell<Vec<Read>>>;

/// See the module.
pub fn relayed(bytes: &[u8]) {
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let Ok(runtime) = runtime else { return };
    runtime.block_on(async {
        for request in judged(bytes).await {
            let arrived = sent(&request).await;
            assert_eq!(arrived.iter().map(plain).collect::<Vec<_>>(), [plain(&request)]);
        }
    });
}

/// Without what says where a body ends, which is each connection's own.
fn plain(request: &Read) -> Read {
    let mut plain = request.clone();
    for name in ["content-length", "transfer-encoding", "connection", "expect"] {
        plain.headers.remove(name);
    }
    plain
}

/// The requests in what a client sends, in canonical form.
async fn judged(bytes: &[u8]) -> Vec<Read> {
    // Bound: an answer is at most so much longer than what asks for it.
    let (mut client, server) = tokio::io::duplex(8 * bytes.len() + MOST);
    if client.write_all(bytes).await.is_err() || client.shutdown().await.is_err() {
        return Vec::new();
    }
    let seen = Seen::default();
    serve(server, &seen, |request| {
        let judged = canonicalise(request, "product.shop:8080").is_ok();
        remove_hop_by_hop(request.headers_mut());
        judged
    })
    .await;
    seen.take()
}

/// What the application reads of a request that is sent to it.
async fn sent(request: &Read) -> Vec<Read> {
    let (client, server) = tokio::io::duplex(MOST);
    let seen = Seen::default();
    let exchange = async {
        let Ok((mut sender, connection)) = handshake(TokioIo::new(client)).await else { return };
        let mut again = Request::new(Full::new(request.body.clone()));
        *again.method_mut() = request.method.clone();
        *again.uri_mut() = request.target.parse().unwrap_or_default();
        *again.headers_mut() = request.headers.clone();
        let answer = async {
            let _ = sender.send_request(again).await;
            drop(sender);
        };
        let _ = tokio::join!(connection, answer);
    };
    tokio::join!(serve(server, &seen, |_| true), exchange);
    seen.take()
}

/// Reads requests until one is refused.
async fn serve(io: DuplexStream, seen: &Seen, judge: impl Fn(&mut Request<Incoming>) -> bool) {
    let service = service_fn(|mut request: Request<Incoming>| {
        let judged = judge(&mut request);
        async move {
            let mut answer = Response::new(Full::<Bytes>::default());
            if !judged {
                *answer.status_mut() = StatusCode::BAD_REQUEST;
                answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
                return Ok::<_, Infallible>(answer);
            }
            let (head, body) = request.into_parts();
            if let Ok(body) = Limited::new(body, MOST).collect().await {
                seen.borrow_mut().push(Read {
                    method: head.method,
                    target: head.uri.to_string(),
                    headers: head.headers,
                    body: body.to_bytes(),
                });
            }
            Ok(answer)
        }
    });
    let mut server = hyper::server::conn::http1::Builder::new();
    // As the listener has it.
    server.half_close(true).preserve_header_case(false);
    let _ = server.serve_connection(TokioIo::new(io), service).await;
}

//! A server of HTTP/2 that leaves, or refuses, in the middle: what it did not begin is sent again, once and whatever
//! its method; what it had begun it finishes. The server is played frame by frame, behind the receiving sidecar and in
//! its place.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::{Method, StatusCode};
use hyper::client::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use weft_certs::tls::{ClientAuth, server_config};
use weft_proto::alpn;

use crate::harness::frames::{
    self, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, RST_STREAM, Raw,
};
use crate::harness::{Mesh, request, within};

const SOON: Duration = Duration::from_secs(60);
const REFUSED_STREAM: [u8; 4] = 7_u32.to_be_bytes();

/// How the server gets rid of a request that it has not begun.
#[derive(Clone, Copy, Debug)]
enum Refusal {
    /// GOAWAY, whose last stream is the one before.
    GoAway,
    /// RST_STREAM with REFUSED_STREAM.
    Stream,
}

/// Streams of requests that have come whole, `count` of them.
async fn requests<S: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<S>, count: usize) -> Vec<u32> {
    let mut whole = Vec::new();
    let frames = raw
        .until(SOON, |frame| {
            if [DATA, HEADERS].contains(&frame.kind) && frame.flags & END_STREAM != 0 {
                whole.push(frame.stream);
            }
            whole.len() == count
        })
        .await;
    assert_eq!(whole.len(), count, "{frames:?}");
    whole
}

async fn answer<S: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<S>, stream: u32) {
    raw.put(HEADERS, END_HEADERS | END_STREAM, stream, frames::OK);
    raw.send().await.unwrap();
}

/// Two requests of one connection; the server begins the first one only. Then whatever comes is answered.
/// Returns how many requests it has carried out.
async fn serve<S, A>(refusal: Refusal, mut accept: A) -> usize
where
    S: AsyncRead + AsyncWrite + Unpin,
    A: AsyncFnMut() -> Raw<S>,
{
    let mut first = accept().await;
    let streams = requests(&mut first, 2).await;
    let (begun, unseen) = (streams[0].min(streams[1]), streams[0].max(streams[1]));
    let again = match refusal {
        Refusal::GoAway => {
            let farewell = [begun.to_be_bytes(), [0; 4]].concat();
            first.put(GOAWAY, 0, 0, &farewell);
            first.send().await.unwrap();
            let mut second = accept().await;
            let again = requests(&mut second, 1).await;
            // Not before now: the one that was begun takes its time.
            answer(&mut second, again[0]).await;
            Some(second)
        }
        Refusal::Stream => {
            first.put(RST_STREAM, 0, unseen, &REFUSED_STREAM);
            first.send().await.unwrap();
            let again = requests(&mut first, 1).await;
            answer(&mut first, again[0]).await;
            None
        }
    };
    answer(&mut first, begun).await;
    let more = late(&mut first).await + late_of(again).await;
    2 + more
}

/// Requests that come although nothing is owed any more.
async fn late<S: AsyncRead + AsyncWrite + Unpin>(raw: &mut Raw<S>) -> usize {
    let frames = raw.until(Duration::from_millis(300), |frame| frame.kind == HEADERS).await;
    frames.iter().filter(|frame| frame.kind == HEADERS).count()
}

async fn late_of<S: AsyncRead + AsyncWrite + Unpin>(raw: Option<Raw<S>>) -> usize {
    match raw {
        Some(mut raw) => late(&mut raw).await,
        None => 0,
    }
}

/// Side by side on one connection.
async fn two_posts(to: SocketAddr) -> [hyper::Result<StatusCode>; 2] {
    let io = TokioIo::new(TcpStream::connect(to).await.unwrap());
    let (sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    let connection = tokio::spawn(connection);
    let send = async || {
        let request = request(Method::POST, "http://product.shop/buy", &[], "shoes");
        sender.clone().send_request(request).await.map(|answer| answer.status())
    };
    let both = async { tokio::join!(send(), send()) };
    let answers = within("both have their answers", 2 * SOON, both).await;
    connection.abort();
    answers.into()
}

fn assert_served(answers: [hyper::Result<StatusCode>; 2], carried_out: usize, refusal: Refusal) {
    for answer in answers {
        assert_eq!(answer.unwrap(), StatusCode::OK, "{refusal:?}");
    }
    assert_eq!(carried_out, 2, "{refusal:?}: each request was carried out once");
}

/// Called through both sidecars, and in plaintext by somebody who has none.
#[tokio::test]
async fn an_application_that_goes_away_gets_what_it_did_not_begin_once_more() {
    for (refusal, meshed) in [
        (Refusal::GoAway, true),
        (Refusal::GoAway, false),
        (Refusal::Stream, true),
        (Refusal::Stream, false),
    ] {
        let mesh = Mesh::builder().without_app("product", "http").caller("gateway").start().await;
        let listener = TcpListener::bind(mesh.app_address("product-v1")).await.unwrap();
        let server = serve(refusal, async || {
            let accepted = within("the application is called", SOON, listener.accept()).await;
            Raw::<TcpStream>::accept(accepted.unwrap().0).await.unwrap()
        });
        let to = match meshed {
            true => mesh.entry("gateway", "product"),
            false => mesh.proxy("product-v1").inbound(),
        };
        let (answers, carried_out) = tokio::join!(two_posts(to), server);
        assert_served(answers, carried_out, refusal);
    }
}

#[tokio::test]
async fn a_sidecar_that_goes_away_gets_what_it_did_not_begin_once_more() {
    for refusal in [Refusal::GoAway, Refusal::Stream] {
        let mesh = Mesh::builder().without_sidecar("bank", "http").caller("gateway").start().await;
        let leaf = mesh.leaf("bank", Duration::from_secs(3600));
        let authority = mesh.control_plane().authority();
        let bundle = authority.bundle();
        let config = server_config(&leaf, bundle, ClientAuth::Required, &[alpn::HTTP2]).unwrap();
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind(mesh.workload_address("bank-v1")).await.unwrap();
        let server = serve(refusal, async || {
            let accepted = within("the sidecar is called", SOON, listener.accept()).await;
            let stream: TlsStream<TcpStream> =
                acceptor.accept(accepted.unwrap().0).await.expect("the caller is of the mesh");
            Raw::accept(stream).await.unwrap()
        });
        let (answers, carried_out) = tokio::join!(two_posts(mesh.entry("gateway", "bank")), server);
        assert_served(answers, carried_out, refusal);
    }
}

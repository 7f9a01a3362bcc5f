//! Requests through two sidecars: what arrives, what comes back, and what is never sent twice.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use http::{Request, Response, StatusCode};
use http_body::Body as _;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::model::{AppProtocol, MtlsMode, RetryOn, RetryPolicy};
use crate::testing::{Handler, Pair, Setup, changes, send, stop_the_clock};

fn post(body: &str) -> Request<String> {
    Request::post("/orders").header("host", "app.test").body(body.to_owned()).unwrap()
}

#[tokio::test]
async fn a_request_arrives_with_the_callers_identity_and_nothing_it_made_up() {
    let pair = Pair::start(Setup::default()).await;
    let request = Request::get("/x?y=1")
        .header("host", "app.test")
        .header("x-forwarded-client-cert", "URI=spiffe://test.local/ns/test/sa/admin")
        .header("connection", "x-private")
        .header("x-private", "1")
        .body(String::new())
        .unwrap();
    let (status, _, body) = send(pair.entry, request).await;
    assert_eq!(status, StatusCode::OK);
    assert!(body.starts_with("GET /x?y=1\n"), "{body}");
    assert!(body.contains("URI=spiffe://test.local/ns/test/sa/caller\n"), "{body}");
    assert!(!body.contains("admin") && !body.contains("x-private"), "{body}");
}

#[tokio::test]
async fn plaintext_is_refused_on_a_strict_port_and_served_on_a_permissive_one() {
    for (mtls, served) in [(MtlsMode::Strict, false), (MtlsMode::Permissive, true)] {
        let pair = Pair::start(Setup { mtls: Some(mtls), ..Setup::default() }).await;
        let mut stream = TcpStream::connect(pair.inbound).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n").await.unwrap();
        let mut answer = Vec::new();
        // A refusal may come as a reset.
        let _ = stream.read_to_end(&mut answer).await;
        assert_eq!(answer.starts_with(b"HTTP/1.1 200"), served, "{mtls:?}");
        assert_eq!(pair.seen() > 0, served, "{mtls:?}");
    }
}

#[tokio::test]
async fn another_identity_than_the_expected_one_gets_no_request() {
    let expected = Some("spiffe://test.local/ns/test/sa/somebody-else");
    let pair = Pair::start(Setup { expected, ..Setup::default() }).await;
    let (status, headers, _) = pair.get("/").await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    let proxy_status = headers["proxy-status"].to_str().unwrap();
    assert!(proxy_status.contains("error=tls_certificate_error"), "{proxy_status}");
    assert_eq!(pair.seen(), 0);
}

#[tokio::test]
async fn a_post_to_an_application_that_is_not_there_goes_whole_to_the_next_endpoint() {
    let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let echo: Handler = Arc::new(|request| {
        Response::new(request.body().size_hint().exact().unwrap().to_string().into())
    });
    let pair =
        Pair::start(Setup { retry: retry.clone(), handler: Some(echo), ..Setup::default() }).await;
    let id = Some("spiffe://test.local/ns/test/sa/app");
    let endpoints = [(pair.deserted().await, id), (pair.inbound, id)];
    let setup = Setup { retry, ..Setup::default() };
    pair.state.apply(changes(&setup, AppProtocol::Http, &endpoints));
    for sent in 1..=8 {
        let (status, _, body) = send(pair.entry, post(&"x".repeat(60_000))).await;
        assert_eq!((status, body.as_str()), (StatusCode::OK, "60000"));
        assert_eq!(pair.seen(), sent);
    }
}

#[tokio::test]
async fn an_unreachable_application_is_named_and_the_mark_stays_inside_the_mesh() {
    let pair = Pair::start(Setup { no_app: true, ..Setup::default() }).await;
    let (status, headers, body) = send(pair.entry, post("x")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!headers.contains_key("weft-failure"));
    assert!(body.contains("application_unreachable"), "{body}");
}

/// Fails the first `n` requests with a status, then answers.
fn failing_first(n: usize, status: StatusCode) -> (Handler, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let handler: Handler = Arc::new(move |_| {
        let mut response = Response::new("".into());
        if counter.fetch_add(1, Relaxed) < n {
            *response.status_mut() = status;
        }
        response
    });
    (handler, count)
}

#[tokio::test]
async fn a_policy_retries_what_is_idempotent_and_never_a_post() {
    let retry =
        RetryPolicy { attempts: 2, on: vec![RetryOn::ServerError], ..RetryPolicy::default() };
    let (handler, count) = failing_first(1, StatusCode::SERVICE_UNAVAILABLE);
    let setup = Setup { handler: Some(handler), retry: retry.clone(), ..Setup::default() };
    let pair = Pair::start(setup).await;
    assert_eq!(pair.get("/").await.0, StatusCode::OK);
    assert_eq!(count.load(Relaxed), 2);
    let (handler, count) = failing_first(1, StatusCode::SERVICE_UNAVAILABLE);
    let pair = Pair::start(Setup { handler: Some(handler), retry, ..Setup::default() }).await;
    assert_eq!(send(pair.entry, post("x")).await.0, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(count.load(Relaxed), 1);
}

#[tokio::test]
async fn a_mark_that_the_application_forges_is_not_believed() {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let handler: Handler = Arc::new(move |_| {
        counter.fetch_add(1, Relaxed);
        Response::builder()
            .status(503)
            .header("weft-failure", "unprocessed")
            .body("".into())
            .unwrap()
    });
    let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let pair = Pair::start(Setup { handler: Some(handler), retry, ..Setup::default() }).await;
    let (status, headers, _) = send(pair.entry, post("x")).await;
    assert_eq!(status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!headers.contains_key("weft-failure"));
    assert_eq!(count.load(Relaxed), 1);
}

#[tokio::test]
async fn a_slow_answer_meets_the_routes_timeout() {
    stop_the_clock();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let silent = listener.local_addr().unwrap();
    let setup = Setup { timeout: Some(Duration::from_millis(50)), ..Setup::default() };
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(stream.read_u8().await.unwrap());
        }
        tokio::time::advance(Duration::from_millis(51)).await;
        let _ = stream.read_u8().await;
    });
    let pair = Pair::start(Setup::default()).await;
    pair.state.apply(changes(&setup, AppProtocol::Http, &[(silent, None)]));
    let (status, headers, _) = pair.get("/").await;
    assert_eq!(status, StatusCode::GATEWAY_TIMEOUT);
    assert!(headers["proxy-status"].to_str().unwrap().contains("http_response_timeout"));
}

#[tokio::test]
async fn connections_are_reused_and_a_drained_sidecar_loses_nothing() {
    let retry = RetryPolicy { attempts: 2, ..RetryPolicy::default() };
    let pair = Pair::start(Setup { retry, ..Setup::default() }).await;
    for sent in 1..=20 {
        // Mid-way every connection is asked to end; POSTs must go on without one being lost or doubled.
        if sent == 10 {
            pair.drain.start();
        }
        assert_eq!(send(pair.entry, post("x")).await.0, StatusCode::OK);
        assert_eq!(pair.seen(), sent);
    }
    // The one that is open answers its next request with "close"; after that, or idle, it ends.
    let drained = tokio::time::timeout(Duration::from_secs(60), pair.drain.finished()).await;
    assert!(drained.is_ok(), "{} connections did not end", pair.drain.open());
    let cluster = &pair.state.clusters()[crate::testing::SERVICE];
    assert!(cluster.endpoints[0].connections.load(Relaxed) <= 1);
}

#[tokio::test]
async fn opaque_bytes_keep_their_half_close() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echo = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        stream.read_to_end(&mut heard).await.unwrap();
        heard.reverse();
        stream.write_all(&heard).await.unwrap();
    });
    let pair = Pair::start(Setup { protocol: Some(AppProtocol::Tcp), ..Setup::default() }).await;
    let (_trigger, source) = crate::drain::channel();
    let inbound = crate::testing::start_inbound(
        crate::testing::tls(&pair.authority, "app"),
        echo,
        (AppProtocol::Tcp, MtlsMode::Strict),
        source,
        pair.stop.subscribe(),
    );
    let id = Some("spiffe://test.local/ns/test/sa/app");
    pair.state.apply(changes(&Setup::default(), AppProtocol::Tcp, &[(inbound, id)]));
    let mut stream = TcpStream::connect(pair.entry).await.unwrap();
    stream.write_all(b"abc").await.unwrap();
    stream.shutdown().await.unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).await.unwrap();
    assert_eq!(answer, "cba");
}

/// The other sidecar has waited for a handshake, and has then let its application speak; it does not do so every time.
#[tokio::test]
async fn a_handshake_that_was_overtaken_by_a_greeting_is_begun_again() {
    let app = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let greeting = app.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = app.accept().await {
            stream.write_all(b"220 ready").await.unwrap();
        }
    });
    let pair = Pair::start(Setup { protocol: Some(AppProtocol::Tcp), ..Setup::default() }).await;
    let (_trigger, source) = crate::drain::channel();
    let inbound = crate::testing::start_inbound(
        crate::testing::tls(&pair.authority, "app"),
        greeting,
        (AppProtocol::Tcp, MtlsMode::Strict),
        source,
        pair.stop.subscribe(),
    );
    // Twice the application's own words come first, then the sidecar is there.
    let door = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = door.local_addr().unwrap();
    tokio::spawn(async move {
        for to in [greeting, greeting, inbound] {
            let (mut near, _) = door.accept().await.unwrap();
            let mut far = TcpStream::connect(to).await.unwrap();
            tokio::spawn(async move { tokio::io::copy_bidirectional(&mut near, &mut far).await });
        }
    });
    let id = Some("spiffe://test.local/ns/test/sa/app");
    pair.state.apply(changes(&Setup::default(), AppProtocol::Tcp, &[(at, id)]));
    let mut heard = [0; 9];
    let mut stream = TcpStream::connect(pair.entry).await.unwrap();
    stream.read_exact(&mut heard).await.unwrap();
    assert_eq!(&heard, b"220 ready");
}

/// Memory per connection is a tested number: what the task of either side holds, without hyper's buffers.
#[tokio::test]
async fn the_task_of_a_connection_is_small() {
    let pair = Pair::start(Setup::default()).await;
    let (outbound, inbound) = pair.sides();
    let (_trigger, source) = crate::drain::channel();
    let connect = async || TcpStream::connect(pair.entry).await.unwrap();
    let client = pair.entry;
    let outbound = outbound.handle_connection(connect().await, client, source.watch());
    let inbound = inbound.handle_connection(connect().await, client, source.watch());
    let sizes = (size_of_val(&outbound), size_of_val(&inbound));
    println!("SIZES {sizes:?}");
    assert!(sizes.0 <= 4096 && sizes.1 <= 4096, "bytes outbound, inbound: {sizes:?}");
}

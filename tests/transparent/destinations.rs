//! Where a connection goes: Services, workloads by their own address, the workload itself, and everything else.

use std::time::Duration;

use anyhow::ensure;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpStream, UdpSocket};

use super::{CLIENT, WEB, call, caller, serve, web};
use crate::harness::{PodMesh, PodNetwork, TcpApp, eventually, exchange, within};

#[tokio::test]
async fn a_service_is_reached_by_both_families_and_nothing_can_be_read_on_the_way() {
    let Some(mesh) = web("http").start("a service").await else { return };
    let (client, web) = (mesh.pod("client"), mesh.pod("web"));
    let app = serve(web, 8080).await.unwrap();
    let wire = web.capture();
    for to in [PodNetwork::service_v4(WEB, 80), PodNetwork::service_v6(WEB, 80)] {
        let answer = call(client, to).await.unwrap();
        assert_eq!(answer.status, 200);
        assert_eq!(caller(&app), CLIENT);
    }
    let passed = wire.end();
    assert!(passed.frames() > 10, "the capture saw nothing");
    for word in [&b"GET / HTTP"[..], b"200 OK", b"x-forwarded-client-cert"] {
        assert!(!passed.has(word), "plaintext on the wire: {}", String::from_utf8_lossy(word));
    }
    eventually("the request is counted", Duration::from_secs(5), async || {
        let labels = ["direction=\"outbound\"", "web.shop:80"];
        let count = mesh.metric("client", "weft_requests_total", &labels).await?;
        ensure!((count - 2.0).abs() < 0.1, "{count}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_workload_that_is_dialled_itself_is_reached_itself_under_the_services_policy() {
    let builder = PodMesh::builder()
        .pod("client")
        .pod_of("web-0", "web", true)
        .port("{name: main, port: 8080, appProtocol: http}")
        .pod_of("web-1", "web", true)
        .port("{name: main, port: 8080, appProtocol: http}")
        .service("web", "web", 0, &["{port: 8080, targetPort: main, appProtocol: http}"]);
    let route = crate::harness::manifests::http_route(
        "marked",
        "web",
        "  - filters:
      - type: RequestHeaderModifier
        requestHeaderModifier: {set: [{name: x-policy, value: of-the-service}]}
    backendRefs: [{name: web, port: 8080}]
",
    );
    let Some(mesh) = builder.file("route.yaml", &route).start("headless").await else { return };
    let client = mesh.pod("client");
    for name in ["web-0", "web-1", "web-0"] {
        let pod = mesh.pod(name);
        let app = serve(pod, 8080).await.unwrap();
        for _ in 0..5 {
            assert_eq!(call(client, pod.v4(8080)).await.unwrap().status, 200);
            assert_eq!(caller(&app), CLIENT);
        }
        let seen = app.seen();
        assert_eq!(seen.len(), 5, "the others went elsewhere");
        assert!(seen.iter().all(|seen| seen.headers.get("x-policy").is_some()), "{seen:?}");
    }
}

#[tokio::test]
async fn a_workload_of_no_service_is_reached_by_mutual_tls_all_the_same() {
    let builder = PodMesh::builder()
        .pod("client")
        .pod("lonely")
        .port("{name: main, port: 8080, appProtocol: http}")
        .setting("mtls: STRICT");
    let Some(mesh) = builder.start("lonely").await else { return };
    let lonely = mesh.pod("lonely");
    let app = serve(lonely, 8080).await.unwrap();
    assert_eq!(call(mesh.pod("client"), lonely.v4(8080)).await.unwrap().status, 200);
    assert_eq!(caller(&app), CLIENT);
}

#[tokio::test]
async fn an_application_reaches_itself_through_its_own_service() {
    let Some(mesh) = web("http").setting("mtls: STRICT").start("own").await else { return };
    let web = mesh.pod("web");
    let app = serve(web, 8080).await.unwrap();
    for to in [PodNetwork::service_v4(WEB, 80), PodNetwork::service_v6(WEB, 80)] {
        assert_eq!(call(web, to).await.unwrap().status, 200);
        assert_eq!(caller(&app), "spiffe://mesh.test/ns/shop/sa/web");
    }
    // Without the detour: loopback and its own address are nobody's business.
    for to in [web.v4(8080), "127.0.0.1:8080".parse().unwrap()] {
        assert_eq!(call(web, to).await.unwrap().status, 200);
        assert_eq!(caller(&app), "");
    }
}

#[tokio::test]
async fn what_lies_outside_the_mesh_is_reached_as_ever_and_counted_as_such() {
    let builder = web("http").pod_of("plain", "plain", false);
    let Some(mesh) = builder.start("outside").await else { return };
    let (client, outside) = (mesh.pod("client"), mesh.outside());
    let server = serve(outside, 9000).await.unwrap();
    let greeter = outside.v4(9001);
    let _greeter = outside.on(TcpApp::greeting(greeter)).await.unwrap();
    let plain = serve(mesh.pod("plain"), 9000).await.unwrap();
    for to in [outside.v4(9000), outside.v6(9000)] {
        assert_eq!(call(client, to).await.unwrap().status, 200);
    }
    assert_eq!((server.count(), caller(&server)), (2, String::new()));
    assert_eq!(call(client, mesh.pod("plain").v4(9000)).await.unwrap().status, 200);
    assert_eq!(plain.count(), 1);
    let said = client.on(exchange(greeter, b"x")).await.unwrap();
    assert_eq!(said, [TcpApp::GREETING, b"x"].concat());
    // Nobody is there: the application is told at once, not after a time limit.
    let nobody = outside.v4(9999);
    let ended = within("an end", Duration::from_secs(5), client.on(exchange(nobody, b"x"))).await;
    assert!(ended.is_err() || ended.unwrap().is_empty());
    eventually("they are counted", Duration::from_secs(5), async || {
        let labels = ["direction=\"outbound\"", "passthrough"];
        let name = "weft_tcp_connections_opened_total";
        let count = mesh.metric("client", name, &labels).await?;
        ensure!((count - 5.0).abs() < 0.1, "{count}");
        Ok(())
    })
    .await;
    eventually("they are logged", Duration::from_secs(5), async || {
        let log = std::fs::read_to_string(mesh.log("client"))?;
        let line = log.lines().find(|line| line.contains(&greeter.to_string()));
        ensure!(line.is_some_and(|line| line.contains("passthrough")), "{log}");
        Ok(())
    })
    .await;
}

#[tokio::test]
async fn a_connection_straight_to_the_sidecar_is_refused_and_never_loops() {
    let Some(mesh) = web("http").start("straight").await else { return };
    let (client, web) = (mesh.pod("client"), mesh.pod("web"));
    let _app = serve(web, 8080).await.unwrap();
    let loopback = ["127.0.0.1:15001".parse().unwrap(), "[::1]:15001".parse().unwrap()];
    let doors = [loopback, client.both(15001), client.both(15006)];
    for to in doors.into_iter().flatten() {
        let ended = client.on(exchange(to, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(ended.is_err() || ended.unwrap().is_empty(), "{to}");
    }
    for to in web.both(15001).into_iter().chain(web.both(15006)) {
        let ended = mesh.outside().on(exchange(to, b"GET / HTTP/1.1\r\nhost: a\r\n\r\n")).await;
        assert!(ended.is_err() || ended.unwrap().is_empty(), "{to}");
    }
    // Both are well.
    assert_eq!(call(client, PodNetwork::service_v4(WEB, 80)).await.unwrap().status, 200);
}

#[tokio::test]
async fn what_is_no_tcp_passes_untouched() {
    let Some(mesh) = web("http").start("udp").await else { return };
    let to = mesh.outside().v4(53);
    let server = mesh.outside().on_as(0, UdpSocket::bind(to)).await.unwrap();
    let question = async move {
        let socket = UdpSocket::bind("0.0.0.0:0").await?;
        socket.send_to(b"who?", to).await?;
        socket.local_addr()
    };
    mesh.pod("client").on(question).await.unwrap();
    let mut bytes = [0; 16];
    let heard = within("the datagram", Duration::from_secs(5), server.recv_from(&mut bytes)).await;
    let (count, from) = heard.unwrap();
    assert_eq!((&bytes[..count], from.ip()), (&b"who?"[..], mesh.pod("client").v4(0).ip()));
}

#[tokio::test]
async fn opaque_bytes_keep_their_ends_apart() {
    let Some(mesh) = web("tcp").start("opaque").await else { return };
    let web = mesh.pod("web");
    let address = web.v4(8080);
    let _app = web.on(TcpApp::reversing(address)).await.unwrap();
    let to = PodNetwork::service_v4(WEB, 80);
    let asked = mesh.pod("client").on(exchange(to, b"half a close")).await.unwrap();
    assert_eq!(asked, b"esolc a flah");
    let kept = mesh.pod("client").on(async move {
        let mut stream = TcpStream::connect(to).await?;
        stream.write_all(b"abc").await?;
        stream.shutdown().await?;
        let mut back = Vec::new();
        stream.read_to_end(&mut back).await?;
        anyhow::Ok(back)
    });
    assert_eq!(kept.await.unwrap(), b"cba");
}

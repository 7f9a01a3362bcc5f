//! `weft-proxy init` in network namespaces: the rules of both backends, really loaded, and where connections then
//! arrive. Reporters stand in for the sidecar and for everybody else: they say who they are and what the kernel
//! thinks the connection's destination was.

mod refusals;
mod rules;
mod scene;

use std::time::Duration;

use tokio::net::UdpSocket;

use crate::harness::{APP_UID, PROXY_UID, PodNetwork, within};
use scene::{BACKENDS, Scene};

#[tokio::test]
async fn what_the_application_calls_arrives_at_the_sidecar() {
    for backend in BACKENDS {
        let Some(scene) = Scene::start("outbound", backend, &[]).await else { return };
        let services = [PodNetwork::service_v4(3, 80), PodNetwork::service_v6(3, 80)];
        // Also a port that has the number of a door, elsewhere.
        let all = [scene.peer.both(8080), scene.peer.both(15001), scene.peer.both(15006), services];
        for to in all.into_iter().flatten() {
            assert_eq!(scene.call(APP_UID, to).await, format!("outbound {to}"), "{backend}");
            assert_eq!(scene.call(0, to).await, format!("outbound {to}"), "{backend}");
        }
    }
}

#[tokio::test]
async fn what_comes_from_outside_arrives_at_the_sidecar() {
    for backend in BACKENDS {
        let Some(scene) = Scene::start("inbound", backend, &[]).await else { return };
        for to in scene.pod.both(8080) {
            assert_eq!(scene.call_from_peer(to).await, format!("inbound {to}"), "{backend}");
        }
        // Where nobody listens the kernel says so, as without a sidecar; iptables cannot tell.
        for to in scene.pod.both(9) {
            let answer = scene.call_from_peer(to).await;
            match backend {
                "nft" => assert!(answer.contains("refused"), "{answer}"),
                _ => assert_eq!(answer, format!("inbound {to}")),
            }
        }
        for to in scene.pod.both(15020) {
            assert_eq!(scene.call_from_peer(to).await, format!("health {to}"), "{backend}");
        }
    }
}

#[tokio::test]
async fn the_sidecar_itself_and_loopback_are_left_alone() {
    for backend in BACKENDS {
        let Some(scene) = Scene::start("left alone", backend, &[]).await else { return };
        for to in scene.peer.both(8080) {
            assert_eq!(scene.call(PROXY_UID, to).await, format!("peer {to}"), "{backend}");
        }
        let loopback = ["127.0.0.1:8080", "[::1]:8080"].map(|to| to.parse().unwrap());
        for to in scene.pod.both(8080).into_iter().chain(loopback) {
            for uid in [APP_UID, PROXY_UID, 0] {
                assert_eq!(scene.call(uid, to).await, format!("app {to}"), "{backend} {uid}");
            }
        }
    }
}

#[tokio::test]
async fn lists_are_left_alone_and_nothing_beside_them() {
    for backend in BACKENDS {
        let lists = [
            "--skip-inbound-ports=8079-8080,8080",
            "--skip-outbound-ports=9090",
            "--skip-outbound-ports=9100-9110,9105-9120",
            "--skip-uids=1001,1002",
        ];
        let Some(scene) = Scene::start("lists", backend, &lists).await else { return };
        for to in scene.pod.both(8080) {
            assert_eq!(scene.call_from_peer(to).await, format!("app {to}"), "{backend}");
        }
        for to in scene.pod.both(8081) {
            assert_eq!(scene.call_from_peer(to).await, format!("inbound {to}"), "{backend}");
        }
        for (port, uid, who) in [
            (9090, APP_UID, "peer"),
            (9091, APP_UID, "outbound"),
            (9100, APP_UID, "peer"),
            (9120, APP_UID, "peer"),
            (9121, APP_UID, "outbound"),
            (8080, 1001, "peer"),
            (8080, 1002, "peer"),
            (8080, 1003, "outbound"),
        ] {
            for to in scene.peer.both(port) {
                let expected = format!("{who} {to}");
                assert_eq!(scene.call(uid, to).await, expected, "{backend} {uid}");
            }
        }
    }
}

#[tokio::test]
async fn networks_are_left_alone_by_family() {
    for backend in BACKENDS {
        // The peer is 10.77.0.11 and fd77::b.
        for (cidrs, v4, v6) in [
            ("10.0.0.0/8,10.77.0.0/16,192.0.2.7", "peer", "outbound"),
            ("fd77::b,fd77::/64", "outbound", "peer"),
            ("10.77.0.12/30,fd78::/16", "outbound", "outbound"),
            ("0.0.0.0/0,::/0", "peer", "peer"),
        ] {
            let flag = format!("--skip-outbound-cidrs={cidrs}");
            let Some(scene) = Scene::start("networks", backend, &[&flag]).await else { return };
            for (to, who) in scene.peer.both(8080).into_iter().zip([v4, v6]) {
                let expected = format!("{who} {to}");
                assert_eq!(scene.call(APP_UID, to).await, expected, "{backend} {cidrs}");
            }
        }
    }
}

#[tokio::test]
async fn ports_and_user_can_be_others() {
    for backend in BACKENDS {
        let others =
            ["--outbound-port=8082", "--inbound-port=8080", "--health-port=81", "--proxy-uid=7"];
        let Some(scene) = Scene::start("other ports", backend, &others).await else { return };
        let to = scene.peer.v4(80);
        // Nobody stands at this door of loopback, but it is where the connection was led.
        assert!(scene.call(APP_UID, to).await.contains("refused"), "{backend}");
        assert_eq!(
            scene.call(7, scene.peer.v4(8080)).await,
            format!("peer {}", scene.peer.v4(8080))
        );
        let to = scene.pod.v4(15020);
        assert_eq!(scene.call_from_peer(to).await, format!("app {to}"), "{backend}");
    }
}

#[tokio::test]
async fn udp_passes_untouched() {
    for backend in BACKENDS {
        let Some(scene) = Scene::start("UDP", backend, &[]).await else { return };
        for (server, client) in [(&scene.peer, &scene.pod), (&scene.pod, &scene.peer)] {
            for to in server.both(53) {
                server
                    .on(async move {
                        let socket = UdpSocket::bind(to).await.unwrap();
                        tokio::spawn(async move {
                            let mut datagram = [0; 16];
                            let (length, from) = socket.recv_from(&mut datagram).await.unwrap();
                            socket.send_to(&datagram[..length], from).await.unwrap();
                        });
                    })
                    .await;
                let answer = client.on(async move {
                    let socket = UdpSocket::bind(if to.is_ipv4() { "0.0.0.0:0" } else { "[::]:0" });
                    let socket = socket.await.unwrap();
                    socket.connect(to).await.unwrap();
                    socket.send(b"name?").await.unwrap();
                    let mut answer = [0; 16];
                    let length = socket.recv(&mut answer).await.unwrap();
                    answer[..length].to_vec()
                });
                let answer = within("an answer", Duration::from_secs(5), answer).await;
                assert_eq!(answer, b"name?", "{backend} {to}");
            }
        }
    }
}

//! S29, the admin endpoints: what is on a port is for probes and scrapers and changes nothing; what changes something, or
//! shows the configuration, is on a socket that its owner alone may open. Pages in a browser get nothing.

use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use http::Method;
use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, connect, socket};

use super::pair;
use crate::harness::{Mesh, get, http1, http2, request};

/// What only the socket has.
const PRIVATE: [&str; 9] = [
    "/v1/drain",
    "/v1/config/routes",
    "/v1/config/certificate",
    "/v1/stats",
    "/v1/version",
    "/quitquitquit",
    "/shutdown",
    "/debug/pprof/heap",
    "/v1/../v1/drain",
];

fn ports(mesh: &Mesh) -> [SocketAddr; 1] {
    [mesh.proxy("product-v1").health()]
}

#[tokio::test]
async fn what_is_on_a_port_changes_nothing_and_shows_nothing() {
    let mesh = pair().start().await;
    for to in ports(&mesh) {
        for path in PRIVATE {
            for method in [Method::GET, Method::POST, Method::PUT, Method::DELETE, Method::OPTIONS]
            {
                let answer = http1(to, request(method.clone(), path, &[], "{}")).await.unwrap();
                assert!(answer.status.is_client_error(), "{method} {path}: {answer:?}");
            }
        }
        for path in ["/ready", "/live", "/metrics"] {
            let answer = http1(to, request(Method::POST, path, &[], "")).await.unwrap();
            assert_eq!(answer.status, 405, "{path}");
            assert_eq!(get(to, path).await.unwrap().status, 200, "{path}");
        }
        assert!(http2(to, request(Method::GET, "/ready", &[], "")).await.is_err(), "no HTTP/2");
    }
    let sidecar = mesh.proxy("product-v1");
    assert_eq!(sidecar.admin().get("/v1/stats").await.unwrap()["draining"], false);
    // Nor by its data ports: what reaches the application is the application's.
    for to in [mesh.entry("gateway", "product"), sidecar.inbound()] {
        for path in ["/v1/drain", "/ready", "/metrics"] {
            let answer = http1(to, request(Method::POST, path, &[], "")).await.unwrap();
            assert_eq!(answer.workload(), "product-v1", "{path}: {answer:?}");
        }
    }
    assert_eq!(sidecar.admin().get("/v1/stats").await.unwrap()["draining"], false);
}

/// A page whose site's name was made to lead here, or that posts across sites; a probe that has such a name is served.
#[tokio::test]
async fn pages_in_a_browser_get_nothing() {
    let mesh = pair().start().await;
    let pages: [&[(&str, &str)]; 5] = [
        &[
            ("host", "rebound.evil.test"),
            ("sec-fetch-site", "same-origin"),
            ("sec-fetch-mode", "cors"),
        ],
        &[("host", "rebound.evil.test:15020"), ("origin", "http://rebound.evil.test:15020")],
        &[("origin", "null")],
        &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors")],
        &[("origin", "https://evil.test"), ("content-type", "text/plain")],
    ];
    for to in ports(&mesh) {
        for headers in pages {
            for path in ["/metrics", "/ready"] {
                let answer = http1(to, request(Method::GET, path, headers, "")).await.unwrap();
                assert_eq!(answer.status, 403, "{headers:?}: {answer:?}");
                assert!(!String::from_utf8_lossy(&answer.body).contains("weft_"), "{answer:?}");
            }
        }
        for headers in [&[("host", "product.shop.svc")][..], &[("sec-fetch-site", "none")]] {
            let answer = http1(to, request(Method::GET, "/metrics", headers, "")).await.unwrap();
            assert_eq!(answer.status, 200, "{headers:?}");
        }
    }
    // On the sockets nobody's browser is; who leads one there all the same gets nothing either.
    for admin in [mesh.proxy("product-v1").admin(), mesh.control_plane().admin()] {
        let headers = [("origin", "http://localhost"), ("host", "localhost")];
        let answer = admin.send(request(Method::POST, "/v1/drain", &headers, "")).await.unwrap();
        assert_eq!(answer.status, 403, "{answer:?}");
        let answer =
            admin.send(request(Method::POST, "/v1/join-tokens", &headers, "{}")).await.unwrap();
        assert_eq!(answer.status, 403, "{answer:?}");
    }
    assert_eq!(mesh.proxy("product-v1").admin().get("/v1/stats").await.unwrap()["draining"], false);
}

/// Sockets are 0600 in directories of 0700, on the file system and not in the network's namespace of names, where every
/// process of the pod could open them.
#[tokio::test]
async fn sockets_are_their_owners() {
    let mesh = pair().start().await;
    for admin in [mesh.proxy("product-v1").admin(), mesh.control_plane().admin()] {
        let path = admin.socket();
        let mode = |path: &std::path::Path| path.metadata().unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(path), 0o600, "{}", path.display());
        assert_eq!(mode(path.parent().unwrap()), 0o700, "{}", path.display());
        let name = path.to_string_lossy().into_owned();
        let abstract_name = UnixAddr::new_abstract(name.as_bytes()).unwrap();
        let stream =
            socket(AddressFamily::Unix, SockType::Stream, SockFlag::empty(), None).unwrap();
        assert!(connect(std::os::fd::AsRawFd::as_raw_fd(&stream), &abstract_name).is_err());
    }
    // Who is not their owner is refused by the kernel.
    let socket = mesh.proxy("product-v1").admin().socket().to_owned();
    if nix::unistd::geteuid().is_root() {
        let program = crate::harness::Program {
            name: "somebody else".to_owned(),
            path: "/usr/bin/setpriv".into(),
            args: ["--reuid=65534", "--regid=65534", "--clear-groups", "test", "-w"]
                .into_iter()
                .map(Into::into)
                .chain([socket.into()])
                .collect(),
            variables: Vec::new(),
            log: "".into(),
        };
        let tried = crate::harness::run(&program, Duration::from_secs(10)).await;
        assert_eq!(tried.code, Some(1), "{tried:?}");
    }
}

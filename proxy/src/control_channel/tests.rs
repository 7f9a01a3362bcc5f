//! Who is talked to, and who is not.

use std::time::{Duration, SystemTime};

use tokio::net::TcpListener;
use weft_certs::{Authority, Lifetimes};

use super::fixture::{FakeControlPlane, id, within};
use super::{ChannelError, ControlPlane};
use crate::bootstrap::{Bootstrap, Roots};

async fn error(bootstrap: &Bootstrap) -> ChannelError {
    within("an error", ControlPlane::new(bootstrap).channel(None)).await.unwrap_err()
}

#[tokio::test]
async fn the_control_plane_is_reached_with_and_without_a_certificate() {
    let fake = FakeControlPlane::start();
    let control_plane = ControlPlane::new(&fake.bootstrap());
    control_plane.channel(None).await.unwrap();
    control_plane.channel(Some(&fake.credentials())).await.unwrap();
}

#[tokio::test]
async fn another_workload_in_its_place_is_not_believed() {
    let fake = FakeControlPlane::start();
    let mut bootstrap = fake.bootstrap();
    bootstrap.control_plane.identity =
        "spiffe://demo.local/ns/weft-system/sa/somebody-else".parse().unwrap();
    let error = error(&bootstrap).await.to_string();
    assert!(error.contains("weft-control-plane"), "{error}");
}

#[tokio::test]
async fn a_server_under_other_roots_is_not_believed() {
    let fake = FakeControlPlane::start();
    let mut bootstrap = fake.bootstrap();
    let domain = "demo.local".parse().unwrap();
    let other = Authority::create(&domain, SystemTime::now(), Lifetimes::default()).unwrap();
    bootstrap.roots = Roots::given(other.bundle().clone());
    let error = error(&bootstrap).await.to_string();
    assert!(error.contains("certificate"), "{error}");
}

#[tokio::test]
async fn a_dead_port_is_named() {
    let mut fake = FakeControlPlane::start();
    fake.stop().await;
    let bootstrap = fake.bootstrap();
    let error = error(&bootstrap).await.to_string();
    let expected = format!("control plane {}: Connection refused", bootstrap.control_plane.address);
    assert!(error.starts_with(&expected), "{error}");
}

#[tokio::test]
async fn a_port_that_accepts_and_is_silent_ends_in_a_timeout() {
    let fake = FakeControlPlane::start();
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut bootstrap = fake.bootstrap();
    bootstrap.control_plane.address = silent.local_addr().unwrap().to_string();
    // The handshake never moves, so nothing but the clock can end it.
    tokio::time::pause();
    let error = error(&bootstrap).await;
    assert!(matches!(error, ChannelError::Timeout(_)), "{error}");
}

#[tokio::test]
async fn a_broken_channel_stays_broken() {
    let mut fake = FakeControlPlane::start();
    let control_plane = ControlPlane::new(&fake.bootstrap());
    let leaf = fake.leaf(&id(), Duration::from_secs(60));
    let channel = control_plane.connect(Some(&leaf), &fake.bundle()).await.unwrap();
    fake.stop().await;
    fake.restart();
    let mut client = weft_proto::identity::identity_client::IdentityClient::new(channel);
    let broken = async {
        // The first call may still meet the dying connection; what matters is that none reconnects.
        for _ in 0..3 {
            client.issue(weft_proto::identity::IssueRequest::default()).await.unwrap_err();
        }
        client.issue(weft_proto::identity::IssueRequest::default()).await.unwrap_err()
    };
    let status = within("an error", broken).await;
    assert_eq!(status.code(), tonic::Code::Unavailable, "{status}");
    assert_eq!(fake.issuing.seen(), []);
}

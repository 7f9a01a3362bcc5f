//! Connections have the options, accepted ones by inheritance.

use nix::sys::socket::getsockopt;
use tokio::net::TcpStream;

use super::*;

fn assert_set(socket: &impl AsFd) {
    let options = SockRef::from(socket);
    assert!(options.tcp_nodelay().unwrap());
    assert!(options.keepalive().unwrap());
    assert_eq!(options.tcp_keepalive_time().unwrap(), KEEP_ALIVE_IDLE);
    assert_eq!(options.tcp_keepalive_interval().unwrap(), KEEP_ALIVE_INTERVAL);
    assert_eq!(options.tcp_keepalive_retries().unwrap(), KEEP_ALIVE_PROBES);
    assert_eq!(options.tcp_user_timeout().unwrap(), None, "it ends readers that pause");
    match getsockopt(socket, RetransmitMax) {
        Ok(limit) => assert_eq!(u128::from(limit), RETRANSMIT_MAX.as_millis()),
        Err(error) => assert_eq!(error, nix::errno::Errno::ENOPROTOOPT, "before Linux 6.15"),
    }
}

#[tokio::test]
async fn every_connection_has_them() {
    let listener = crate::listener::bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    let opened = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (accepted, _) = listener.accept().await.unwrap();
    assert_set(&accepted);
    assert!(
        !SockRef::from(&opened).keepalive().unwrap(),
        "they are nothing that goes without saying"
    );
    prepare(&opened);
    assert_set(&opened);
}

#[test]
fn a_silent_peer_is_found_in_time() {
    let found = KEEP_ALIVE_IDLE + KEEP_ALIVE_INTERVAL * KEEP_ALIVE_PROBES;
    assert!(found <= Duration::from_secs(15), "{found:?}");
}

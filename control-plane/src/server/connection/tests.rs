//! What a certificate is worth as time goes by on one connection.

use std::time::{Duration, SystemTime};

use weft_certs::verify::{RENEWAL_GRACE, Standing};
use weft_certs::{ExpiredPeer, Peer, Serial};

use super::ConnectionPeer;
use crate::testing::id;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_certificate_is_good_then_expired_then_nothing() {
    let not_after = SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000);
    let valid = Standing::Valid(Peer { id: id("product"), not_after, serial: Serial::new(&[1]) });
    let expired =
        Standing::Expired(ExpiredPeer { id: id("product"), not_after, serial: Serial::new(&[1]) });
    for standing in [valid, expired] {
        let peer = ConnectionPeer::new(Some(&standing));
        for (now, expected) in [
            (not_after - SECOND, Some(false)),
            (not_after, Some(false)),
            (not_after + SECOND / 2, Some(false)),
            (not_after + SECOND, Some(true)),
            (not_after + RENEWAL_GRACE, Some(true)),
            (not_after + RENEWAL_GRACE + SECOND, None),
        ] {
            assert_eq!(peer.at(now).map(|peer| peer.expired), expected, "{now:?}");
        }
    }
}

#[test]
fn without_a_certificate_there_is_no_peer() {
    let peer = ConnectionPeer::new(None);
    assert!(peer.is_anonymous());
    assert_eq!(peer.at(SystemTime::UNIX_EPOCH), None);
}

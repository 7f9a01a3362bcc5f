//! Serving certificates: what a client that is told the CA believes, and what it does not.

use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::pki_types::{ServerName, UnixTime};

use super::*;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);
const DAY: Duration = Duration::from_secs(24 * 3600);

fn at(days: u32) -> SystemTime {
    SystemTime::UNIX_EPOCH + DAY * 20_000 + DAY * days
}

fn names() -> Vec<String> {
    vec!["weft.test.svc".to_owned(), "weft.test.svc.cluster.local".to_owned()]
}

fn made() -> (ServingCertificate, ServingAuthorities) {
    ServingCertificate::create(&names(), YEAR, at(0)).unwrap()
}

/// As any client would judge it, Go's for one.
fn believed(
    leaf: &ServingCertificate,
    ca: &ServingAuthorities,
    name: &str,
    now: SystemTime,
) -> bool {
    let mut roots = rustls::RootCertStore::empty();
    for authority in &ca.0 {
        roots.add(authority.clone()).unwrap();
    }
    let provider = Arc::new(provider::default_provider());
    let verifier =
        WebPkiServerVerifier::builder_with_provider(roots.into(), provider).build().unwrap();
    let now = UnixTime::since_unix_epoch(now.duration_since(SystemTime::UNIX_EPOCH).unwrap());
    let name = ServerName::try_from(name.to_owned()).unwrap();
    verifier.verify_server_cert(&leaf.certificate, &[], &name, &[], now).is_ok()
}

#[test]
fn a_client_believes_its_names_while_it_lives_and_under_its_own_ca() {
    let (leaf, ca) = made();
    for name in names() {
        assert!(believed(&leaf, &ca, &name, at(0)), "{name}");
    }
    assert!(!believed(&leaf, &ca, "other.test.svc", at(0)));
    assert!(believed(&leaf, &ca, "weft.test.svc", at(364)));
    assert!(!believed(&leaf, &ca, "weft.test.svc", at(366)));
    let (_, other) = made();
    assert!(!believed(&leaf, &other, "weft.test.svc", at(0)));
    assert!(ca.signed(&leaf) && !other.signed(&leaf));
}

#[test]
fn what_was_written_is_read_again() {
    let (leaf, ca) = made();
    let read = ServingCertificate::from_pem(&leaf.certificate_pem(), &leaf.key_pem()).unwrap();
    assert_eq!(read.certificate, leaf.certificate);
    assert_eq!(ServingAuthorities::from_pem(&ca.to_pem()).unwrap(), ca);
    assert!(read.is_for(&names()).unwrap());
    assert!(!read.is_for(&["localhost".to_owned()]).unwrap());
    let (start, end) = read.validity().unwrap();
    assert_eq!(
        (start, end),
        (at(0) - Duration::from_secs(60), at(0) + YEAR - Duration::from_secs(60))
    );
    read.server_config().unwrap();
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let ((leaf, ca), (other, _)) = (made(), made());
    let mixed = ServingCertificate::from_pem(&leaf.certificate_pem(), &other.key_pem());
    assert!(matches!(mixed, Err(ServingError::KeyMismatch)));
    assert!(ServingCertificate::from_pem("", &leaf.key_pem()).is_err());
    assert!(ServingCertificate::from_pem(&leaf.certificate_pem(), "nonsense").is_err());
    assert!(ServingAuthorities::from_pem(&(ca.to_pem() + &leaf.key_pem())).is_err());
}

#[test]
fn earlier_authorities_stay_while_they_are_valid_and_few() {
    let ((_, oldest), (_, older)) = (made(), made());
    let (_, new) = ServingCertificate::create(&names(), YEAR, at(300)).unwrap();
    let before = older.clone().followed_by(oldest.clone(), at(10), 8);
    assert_eq!(before.0, [&older.0[..], &oldest.0[..]].concat());
    let both = new.clone().followed_by(before.clone(), at(300), 2);
    assert_eq!(both.0, [&new.0[..], &older.0[..]].concat(), "the newest of them");
    assert_eq!(new.clone().followed_by(before, at(366), 8), new, "those are over");
}

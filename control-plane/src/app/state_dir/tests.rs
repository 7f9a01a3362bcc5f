//! Who may use the directory, and what is remembered in it.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;

use super::{StateDir, StateDirError};
use crate::testing::trust_domain;

#[test]
fn it_is_made_private() {
    let root = tempfile::tempdir().unwrap();
    let path = root.path().join("mesh/control-plane");
    let _state = StateDir::open(&path).unwrap();
    assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o700);
}

#[test]
fn a_directory_that_others_can_write_to_is_refused() {
    for mode in [0o770, 0o702, 0o777] {
        let dir = tempfile::tempdir().unwrap();
        fs::set_permissions(dir.path(), Permissions::from_mode(mode)).unwrap();
        let error = StateDir::open(dir.path()).unwrap_err();
        assert!(matches!(error, StateDirError::Writable { .. }), "{error}");
        assert!(error.to_string().contains("chmod 700"), "{error}");
    }
}

#[test]
fn one_process_at_a_time() {
    let dir = tempfile::tempdir().unwrap();
    let first = StateDir::open(dir.path()).unwrap();
    assert!(matches!(StateDir::open(dir.path()), Err(StateDirError::InUse(_))));
    drop(first);
    StateDir::open(dir.path()).unwrap();
}

#[test]
fn the_trust_domain_is_remembered() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.trust_domain().unwrap(), None);
    state.record_trust_domain(&trust_domain()).unwrap();
    drop(state);
    let state = StateDir::open(dir.path()).unwrap();
    assert_eq!(state.trust_domain().unwrap(), Some(trust_domain()));
}

#[test]
fn a_damaged_record_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let state = StateDir::open(dir.path()).unwrap();
    for text in ["", "Not A Domain"] {
        fs::write(dir.path().join("trust-domain"), text).unwrap();
        let error = state.trust_domain().unwrap_err();
        assert!(matches!(error, StateDirError::Damaged { .. }), "{error}");
    }
}

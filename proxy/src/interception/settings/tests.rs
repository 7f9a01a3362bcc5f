//! What only shows when the settings are seen together, and user ids.

use super::{Settings, uid, uids};

#[test]
fn ports_of_the_sidecar_must_differ() {
    assert!(Settings::default().settle().is_ok());
    let same = Settings { health_port: 15001, ..Settings::default() };
    let error = same.settle().unwrap_err();
    assert!(error.contains("outbound and health port are both 15001"), "{error}");
}

#[test]
fn users_are_each_there_once_and_without_the_sidecar() {
    let skip_uids = vec![7, 1980, 0, 7];
    let settled = Settings { skip_uids, ..Settings::default() }.settle().unwrap();
    assert_eq!(settled.skip_uids, [0, 7]);
}

#[test]
fn user_ids() {
    assert_eq!(uids("1000, 0"), Ok(vec![1000, 0]));
    assert_eq!(uids(""), Ok(vec![]));
    assert_eq!(uid("4294967294"), Ok(4_294_967_294));
    for bad in ["4294967295", "-1", "+1", "root", "1 or true", ""] {
        assert!(uid(bad).unwrap_err().contains("no user id"), "{bad}");
    }
}
